#!/usr/bin/env bash
# scripts/get_weights.sh NAME [FOLDER]: downloads weights that others have published, such as yolov4
# or yolov4.conv.137, to FOLDER (here). `darknet weights list` has the names. A file takes its place
# after its header, its length by the parameters of the cfg and, where it is known, its checksum have
# been found right.
# scripts/get_weights.sh -check FILE NAME: checks a file that a browser has downloaded.
#   DARKNET=path/to/darknet  the program (./darknet of this folder, or that of PATH)
#   MIRRORS='https://a/b'    folders tried in place of the published addresses
set -euo pipefail
# shellcheck source=scripts/fetch_file.sh
. "$(dirname "$0")/fetch_file.sh"
usage='usage: scripts/get_weights.sh NAME [FOLDER], or -check FILE NAME; darknet weights list has the names'
checked=
if [ "${1:-}" = -check ]; then
  checked=${2:?$usage}
  shift 2
fi
name=${1:?$usage} folder=${2:-.}
program=$(darknet_program)
facts=$("$program" weights list "$name")

fact() { sed -n "s/^$1  *//p" <<<"$facts"; }
file=$(fact file) cfg=$(fact cfg) sum=$(fact 'sha[0-9]*') page=$(fact page)
values=$(fact bytes)
values=${values%% *}

# What a .weights file is: version, images seen (in 8 bytes since version 0.2), values.
wrong_weights() {
  local size major minor header
  size=$(stat -Lc %s "$1")
  read -r major minor _ <<<"$(od -An -td4 -N12 "$1" | tr '\n' ' ')"
  if [ "$size" -lt 16 ] || [ "$major" -lt 0 ] || [ "$major" -gt 9 ] || [ "$minor" -lt 0 ] ||
    [ "$minor" -gt 99 ]; then
    echo "it is no weights file (of $size bytes)"
    return
  fi
  header=$((10 * major + minor >= 2 ? 20 : 16))
  [ "$size" -eq $((values + header)) ] ||
    { echo "it has $size bytes, not the $((values + header)) of $cfg"; return; }
  wrong_sum "$1" "$sum"
}

if [ -n "$checked" ]; then
  [ -f "$checked" ] || fail "$checked: no such file"
  wrong=$(wrong_weights "$checked")
  [ -z "$wrong" ] || fail "$checked: $wrong"
  say "$checked: right for $cfg"
  exit
fi
mapfile -t urls < <(fact url)
[ ${#urls[@]} -gt 0 ] || [ -n "${MIRRORS:-}" ] ||
  fail "$file can be had with a browser only: $page; then: scripts/get_weights.sh -check FILE $name"
fetch_file "$folder/$file" wrong_weights "${urls[@]}"
