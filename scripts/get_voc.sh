#!/usr/bin/env bash
# scripts/get_voc.sh [FOLDER]: downloads Pascal VOC 2007 and 2012 (2.9 GB), unpacks them to
# FOLDER-source and makes FOLDER (data/voc) of them: lists, labels and a .data file. Training images
# are trainval of both years, the test images of 2007 validate. An interrupted call is continued by
# the next. 5.2 GB must be free, for an archive stays until it is unpacked; 3.1 GB remain in use. The
# images are of flickr, whose terms hold.
#   DARKNET=, MIRRORS=  as in get_weights.sh
#   ARCHIVES=file       lines "name bytes checksum folder..." in place of those below
set -euo pipefail
# shellcheck source=scripts/fetch_data.sh
. "$(dirname "$0")/fetch_data.sh"
# shellcheck disable=SC2034  # wrong_usage prints it
usage='usage: scripts/get_voc.sh [FOLDER]'
plain_words "$@"
[ $# -le 1 ] || wrong_usage "more than one folder"
oxford=http://host.robots.ox.ac.uk/pascal/VOC thor=https://thor.robots.ox.ac.uk/pascal/VOC
redmon=https://data.pjreddie.com/files
archives=$(cat "${ARCHIVES:-/dev/stdin}" <<LIST
VOCtrainval_06-Nov-2007.tar 460032000 7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508 \
  $oxford/voc2007 $thor/voc2007 $redmon
VOCtest_06-Nov-2007.tar 451020800 6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892 \
  $oxford/voc2007 $thor/voc2007 $redmon
VOCtrainval_11-May-2012.tar 1999639040 e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb \
  $oxford/voc2012 $thor/voc2012 $redmon
LIST
)
fetch_data "${1:-$repository/data/voc}" "$archives" VOCdevkit \
  -format voc -train trainval -valid test -names "$repository/data/voc.names"
