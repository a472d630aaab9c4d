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
if [ "${1:-}" = -check ] || [ "${1:-}" = --check ]; then
  plain_words "${@:2}"
  [ $# -eq 3 ] || wrong_usage "-check needs FILE and NAME"
  checked=$2
  shift 2
fi
plain_words "$@"
[ -n "${1:-}" ] || wrong_usage "no name is given"
[ $# -le 2 ] || wrong_usage "more than a name and a folder"
name=$1 folder=${2:-.}
program=$(darknet_program)
facts=$("$program" weights list "$name")

fact() { sed -n "s/^$1  *//p" <<<"$facts"; }
file=$(fact file) cfg=$(fact cfg) sum=$(fact 'sha[0-9]*') page=$(fact page)
values=$(fact bytes)
values=${values%% *}
if [ -z "$file" ] || ! [[ $values =~ ^[0-9]+$ ]]; then
  fail "$program weights list $name: tells no file or no bytes: is it an older program?" \
    "Build this one with make, or name another: DARKNET=path/to/darknet"
fi

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
  fail "no direct address of $file is known; download it with a browser: $page;" \
    "then check it: scripts/get_weights.sh -check FILE $name"
fetch_file "$folder/$file" wrong_weights $((values + 16)) "${urls[@]}"
