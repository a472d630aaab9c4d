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

# fetch_data FOLDER ARCHIVES PART FLAG...: imports PART of what the archives hold.
fetch_data() {
  local out=$1 source=$1-source archives=$2 part=$3 program name bytes sum folders
  shift 3
  program=$(darknet_program)
  if [ -e "$out/import.json" ]; then
    say "$out is there already"
    return
  fi
  while read -r name bytes sum folders; do
    [ -n "$name" ] || continue
    case $name in *.zip) require unzip unzip ;; esac
    [ ! -e "$source/$name.unpacked" ] || continue
    read -ra folders <<<"$folders"
    fetch_file "$source/$name" wrong_archive "${folders[@]/%//$name}"
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
