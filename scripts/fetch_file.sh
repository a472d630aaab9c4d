# Sourced by get_weights.sh, get_voc.sh and get_coco.sh: downloads that continue where they stopped,
# and that take their place only after they were checked.
#   MIRRORS='https://a/b https://c'  folders tried in this order, in place of the published addresses
# shellcheck shell=bash

say() { echo "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }

require() { # TOOL PACKAGE
  command -v "$1" >/dev/null || fail "$1 is missing; install it: apt install $2"
}

# darknet_program: the program that the caller works with.
darknet_program() {
  local built
  built=$(dirname "${BASH_SOURCE[0]}")/../darknet
  if [ -n "${DARKNET:-}" ]; then echo "$DARKNET"
  elif [ -x "$built" ]; then realpath "$built"
  else command -v darknet || fail "no program: build it with make, or name it: DARKNET=path/to/darknet"
  fi
}

# wrong_sum FILE SUM: says what is wrong; SUM is an MD5, SHA-1 or SHA-256, or empty.
wrong_sum() {
  local tool found
  case ${#2} in 32) tool=md5sum ;; 40) tool=sha1sum ;; 64) tool=sha256sum ;; *) return 0 ;; esac
  found=$("$tool" <"$1") || return 0
  [ "${found%% *}" = "$2" ] || echo "its ${tool%sum} sum is ${found%% *}, not $2"
}

# wrong_size FILE BYTES: the same of its length.
wrong_size() {
  local size
  size=$(stat -Lc %s "$1")
  [ "$size" = "$2" ] || echo "it has $size bytes, not $2"
}

# transfer URL PART: continues PART. Returns 1 and leaves the reason in `reason`. A server that
# closes the connection is asked again as long as bytes arrive.
transfer() {
  local url=$1 part=$2 before after code http idle=0 progress=(--silent)
  [ -t 2 ] && progress=(--progress-bar)
  while :; do
    before=$(stat -c %s "$part") code=0
    http=$(curl "${progress[@]}" --fail --location --proto '=http,https' --connect-timeout 20 \
      --speed-limit 1000 --speed-time 60 --continue-at - --output "$part" \
      --write-out '%{http_code}' "$url") || code=$?
    after=$(stat -c %s "$part")
    case $code in
      0) return 0 ;;
      18 | 28 | 52 | 55 | 56 | 92) # the connection was closed, or nothing came
        if [ "$after" -gt "$before" ]; then idle=0; else idle=$((idle + 1)); fi
        reason="the connection ends at byte $after"
        [ "$idle" -lt 3 ] || return 1
        sleep "$idle"
        continue ;;
      22 | 33 | 36) # 416: nothing is left to send, or the part is longer than the file
        [ "$http" != 416 ] || return 0
        if [ "$code" != 22 ] && [ "$before" -gt 0 ]; then # it sends whole files only
          : >"$part"
          continue
        fi
        reason="the server answers $http" ;;
      5 | 6) reason="its name has no address: is this machine online?" ;;
      7) reason="nothing answers there" ;;
      23) fail "$part: cannot be written: is the disk full?" ;;
      35 | 51 | 58 | 60 | 77) reason="no secure connection (curl error $code)" ;;
      *) reason="curl error $code" ;;
    esac
    return 1
  done
}

# fetch_file FILE CHECK URL...: CHECK is called with the path of what has arrived and prints what is
# wrong with it, or nothing.
fetch_file() {
  local file=$1 check=$2 part=$1.part url wrong reason reasons='' began
  shift 2
  if [ -n "${MIRRORS:-}" ]; then
    local folders
    read -ra folders <<<"$MIRRORS"
    set -- "${folders[@]/%//${file##*/}}"
  fi
  if [ -e "$file" ]; then
    wrong=$("$check" "$file")
    [ -z "$wrong" ] || fail "$file: $wrong; move it away and call again"
    say "$file is there already"
    return
  fi
  require curl curl
  mkdir -p "$(dirname "$file")"
  exec {lock}>>"$part"
  flock -n "$lock" || fail "$part: another download writes it"
  for url in "$@"; do
    say "$url"
    while :; do
      began=$(stat -c %s "$part")
      if transfer "$url" "$part"; then
        reason=$("$check" "$part")
        if [ -z "$reason" ]; then
          mv -T "$part" "$file"
          exec {lock}>&-
          say "-> $file"
          return
        fi
        : >"$part"
        [ "$began" -eq 0 ] || continue # what was there may have been another file's: once more, all of it
      fi
      break
    done
    reasons+=$'\n'"  $url: $reason"
  done
  if [ -s "$part" ]; then
    reasons+=$'\n'"$part is kept; the next call continues it."
  else
    rm -f "$part"
  fi
  fail "$file: not downloaded:$reasons"$'\n'"MIRRORS='https://host/folder' names other places."
}
