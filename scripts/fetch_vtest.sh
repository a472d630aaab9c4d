#!/usr/bin/env bash
# Fetches OpenCV's pedestrian video (8 MB, in the Debian package opencv-doc of 96 MB) to
# data/vtest.avi, for the demo's test on a real video; installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
[ ! -f data/vtest.avi ] || exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -qq opencv-doc)
dpkg-deb --fsys-tarfile "$folder"/opencv-doc_*.deb |
  tar -xO --wildcards '*/examples/data/vtest.avi' >"$folder/vtest.avi"
mv "$folder/vtest.avi" data/vtest.avi
echo "-> data/vtest.avi"
