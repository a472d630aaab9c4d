# Sourced by get_weights.sh, get_voc.sh and get_coco.sh: downloads that continue where they stopped,
# and that take their place only after they were checked.
#   MIRRORS='https://a/b https://c'  folders tried in this order, in place of the published addresses
# shellcheck shell=bash

say() { echo "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }
wrong_usage() { say "${0##*/}: $1; $usage"; exit 2; } # $usage is the caller's

# plain_words WORD...: -h and --help print the head of the script; other flags are refused.
plain_words() {
  local word
  for word in "$@"; do
    case $word in
      -h | --help)
        printf 'usage: '
        sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"
        exit 0 ;;
      -*) wrong_usage "unknown flag $word" ;;
    esac
  done
}

require() { # TOOL PACKAGE
  command -v "$1" >/dev/null || fail "$1 is missing; install it: apt install $2"
}

# darknet_program: the program that the caller works with.
darknet_program() {
  local built
  built=$(dirname "${BASH_SOURCE[0]}")/../darknet
  if [ -n "${DARKNET:-}" ]; then
    command -v "$DARKNET" || fail "DARKNET=$DARKNET: no program; name one, or build it with make"
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

# transfer URL PART: continues PART. Returns 1, or 2 where the server sends whole files only, and
# leaves the reason in `reason`; PART keeps what has arrived. A server that closes the connection is
# asked again as long as bytes arrive.
transfer() {
  local url=$1 part=$2 before after code said http started idle=0
  local redirects='=http,https' progress=(--silent)
  [ -t 2 ] && progress=(--progress-bar)
  case ${url,,} in https:*) redirects='=https' ;; esac # a secure address leads to secure ones only
  while :; do
    before=$(stat -c %s "$part") code=0
    said=$(curl "${progress[@]}" --fail --location --proto '=http,https' \
      --proto-redir "$redirects" --connect-timeout 20 \
      --speed-limit 1000 --speed-time 60 --continue-at - --output "$part" \
      --write-out '%{http_code} %{time_pretransfer}' "$url") || code=$?
    read -r http started <<<"$said"
    after=$(stat -c %s "$part")
    case $code in
      0) return 0 ;;
      18 | 28 | 52 | 55 | 56 | 92) # the connection was closed, or nothing came
        if [ "$after" -gt "$before" ]; then idle=0; else idle=$((idle + 1)); fi
        if [ "$code" -ne 28 ] || [ "$after" -gt "$before" ]; then
          reason="the connection ends at byte $after"
        elif [[ $started == *[1-9]* ]]; then
          reason="nothing arrives within 60 s"
        else
          reason="nothing answers within 20 s"
        fi
        [ "$idle" -lt 3 ] || return 1
        sleep "$idle"
        continue ;;
      33 | 36) # it answered 200, with all of the file, to the request of a range
        reason="the server cannot continue at byte $after"
        return 2 ;;
      22) # 416: nothing is left to send, or the part is longer than the file
        [ "$http" != 416 ] || return 0
        reason="the server answers $http" ;;
      1) reason="not an address of http or https, or it leads to one that is not secure" ;;
      5 | 6) reason="its name has no address: is this machine online?" ;;
      7) reason="nothing answers there" ;;
      23) fail "$part: cannot be written: is the disk full?" ;;
      35 | 51 | 58 | 60 | 77) reason="no secure connection (curl error $code)" ;;
      *) reason="curl error $code" ;;
    esac
    return 1
  done
}

size_of() { stat -c %s "$1"; }

# The functions below are parts of fetch_file and use its variables.

arrived() { # PATH: it is the file
  mv -T "$1" "$file"
  rm -f "$part" "$whole"
  exec {lock}>&-
  say "-> $file"
}

open_whole() { # locked, for it may become $part
  exec {other}>>"$whole"
  flock -n "$other" || fail "$whole: another download writes it"
}

keep_longer() { # of $part and $whole, as $part
  if [ "$(size_of "$whole")" -gt "$(size_of "$part")" ]; then
    mv -T "$whole" "$part"
    exec {lock}>&-
    lock=$other
  else
    rm "$whole"
    exec {other}>&-
  fi
}

# fetch_file FILE CHECK BYTES URL...: CHECK is called with the path of what has arrived and prints
# what is wrong with it, or nothing. Less than BYTES cannot be all of the file. What has arrived is
# kept, whatever a server answers, until it is that long and wrong.
fetch_file() {
  local file=$1 check=$2 least=$3 part=$1.part whole=$1.whole.part lock other
  local url wrong reason reasons='' began status restarts=()
  shift 3
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
  if [ -e "$whole" ]; then # of an interrupted call
    open_whole
    keep_longer
  fi
  for url in "$@"; do
    say "$url"
    while :; do
      began=$(size_of "$part") status=0
      transfer "$url" "$part" || status=$?
      if [ "$status" -eq 2 ]; then # another address may continue the part
        restarts+=("$url")
        continue 2
      fi
      [ "$status" -eq 0 ] || break
      reason=$("$check" "$part")
      if [ -z "$reason" ]; then
        arrived "$part"
        return
      fi
      if [ "$began" -gt 0 ] && [ "$(size_of "$part")" -lt "$least" ]; then
        truncate -s "$began" "$part" # this server has another file, of which the rest came
        break
      fi
      : >"$part"
      [ "$began" -gt 0 ] || break # what was there may have been another file's: once more, all of it
    done
    reasons+=$'\n'"  $url: $reason"
  done
  for url in "${restarts[@]}"; do
    say "$url: cannot be continued, begins again"
    open_whole
    if transfer "$url" "$whole"; then
      reason=$("$check" "$whole")
      if [ -z "$reason" ]; then
        arrived "$whole"
        exec {other}>&-
        return
      fi
      : >"$whole" # a page, or another file
    fi
    keep_longer
    reasons+=$'\n'"  $url: $reason"
  done
  if [ -s "$part" ]; then
    reasons+=$'\n'"$part is kept; the next call continues it."
  else
    rm -f "$part"
  fi
  fail "$file: not downloaded:$reasons"$'\n'"MIRRORS='https://host/folder' names other places."
}
