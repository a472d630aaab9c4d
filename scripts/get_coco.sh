#!/usr/bin/env bash
# scripts/get_coco.sh [FOLDER]: downloads COCO 2017 (20.4 GB), unpacks it to FOLDER-source and makes
# FOLDER (data/coco) of it: lists, labels and a .data file. train2017 trains, val2017 validates. An
# interrupted call is continued by the next. 42 GB must be free, for train2017.zip stays until it is
# unpacked; 22 GB remain in use. The annotations are under CC BY 4.0; the images are of flickr, whose
# terms hold.
#   DARKNET=, MIRRORS=  as in get_weights.sh
#   ARCHIVES=file       lines "name bytes checksum folder..." in place of those below
set -euo pipefail
# shellcheck source=scripts/fetch_data.sh
. "$(dirname "$0")/fetch_data.sh"
# shellcheck disable=SC2034  # wrong_usage prints it
usage='usage: scripts/get_coco.sh [FOLDER]'
plain_words "$@"
[ $# -le 1 ] || wrong_usage "more than one folder"
coco=http://images.cocodataset.org s3=https://s3.amazonaws.com/images.cocodataset.org
archives=$(cat "${ARCHIVES:-/dev/stdin}" <<LIST
annotations_trainval2017.zip 252907541 f4bbac642086de4f52a3fdda2de5fa2c $coco/annotations $s3/annotations
val2017.zip 815585330 442b8da7639aecaf257c1dceb8ba8c80 $coco/zips $s3/zips
train2017.zip 19336861798 cced6f7f71b7629ddf16f17bbcfab6b2 $coco/zips $s3/zips
LIST
)
fetch_data "${1:-$repository/data/coco}" "$archives" . -format coco -train train2017 -valid val2017
