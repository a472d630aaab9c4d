# Sourced by get_voc.sh and get_coco.sh: archives, unpacked, and what `darknet import-data` makes of
# them.
# shellcheck shell=bash
# shellcheck source=scripts/fetch_file.sh
. "$(dirname "${BASH_SOURCE[0]}")/fetch_file.sh"
# shellcheck disable=SC2034  # the callers' defaults
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

wrong_archive() { # of $bytes and $sum
  local wrong
  wrong=$(wrong_size "$1" "$bytes")
  if [ -n "$wrong" ]; then echo "$wrong"; else wrong_sum "$1" "$sum"; fi
}

# require_room SOURCE ARCHIVES: an archive and what it holds are there at the same time, beside what
# came before. A twentieth more is for labels, and for archives that are compressed.
require_room() {
  local source=$1 name bytes here held=0 there=0 most=0 free
  while read -r name bytes _; do
    if [ -z "$name" ] || [ -e "$source/$name.unpacked" ]; then continue; fi
    for here in "$source/$name" "$source/$name.part"; do
      [ ! -e "$here" ] || there=$((there + $(stat -Lc %s "$here")))
    done
    held=$((held + bytes))
    if [ $((held + bytes)) -gt "$most" ]; then most=$((held + bytes)); fi
  done <<<"$2"
  most=$((most * 21 / 20 - there))
  free=$(df -Pk "$source" | awk 'NR == 2 { print $4 }')
  [[ $free =~ ^[0-9]+$ ]] || return 0 # a file system that does not tell
  [ $((free * 1024)) -ge "$most" ] ||
    fail "$source: $(in_gb "$most") must be free there, $(in_gb $((free * 1024))) are;" \
      "make room, or name another FOLDER"
}
in_gb() { awk -v bytes="$1" 'BEGIN { printf "%.1f GB", bytes / 1e9 }'; }

# fetch_data FOLDER ARCHIVES PART FLAG...: imports PART of what the archives hold.
fetch_data() {
  local out=$1 whole source archives=$2 part=$3 program name bytes sum folders
  shift 3
  out=${out%"${out##*[!/]}"} # no slashes at its end
  [ -n "$out" ] || wrong_usage "FOLDER is empty or /"
  whole=$(realpath -ms -- "$out")
  source=$whole-source
  program=$(darknet_program)
  if [ -e "$out/import.json" ]; then
    if [ -e "$out/${whole##*/}.data" ]; then # the last that the import writes
      say "$out is there already"
      return
    fi
    set -- "$@" -force # it was interrupted
  elif [ -e "$out" ]; then
    [ -d "$out" ] || fail "$out: is not a folder; name another FOLDER"
    [ -z "$(ls -A "$out")" ] ||
      fail "$out: is not empty and holds no earlier import (no import.json); name another FOLDER"
  fi
  mkdir -p "$source"
  require_room "$source" "$archives"
  while read -r name bytes sum folders; do
    [ -n "$name" ] || continue
    case $name in *.zip) require unzip unzip ;; esac
    [ ! -e "$source/$name.unpacked" ] || continue
    read -ra folders <<<"$folders"
    fetch_file "$source/$name" wrong_archive "$bytes" "${folders[@]/%//$name}"
    say "unpacking $name"
    case $name in
      *.zip) unzip -q -o "$source/$name" -d "$source" ;;
      *) tar -xf "$source/$name" -C "$source" ;;
    esac || fail "$source/$name: cannot be unpacked: is the disk full?"
    touch "$source/$name.unpacked"
    rm "$source/$name" # what it held is there, and would need as much room again
  done <<<"$archives"
  "$program" import-data "$source/$part" "$out" "$@"
}
