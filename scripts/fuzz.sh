#!/usr/bin/env bash
# scripts/fuzz.sh BUILD_DIR [NAME...]: runs the fuzzers of BUILD_DIR (preset fuzz), all of them or
# those named, FUZZ_SECONDS=60 each. Inputs that were found go into runs/fuzz/NAME/corpus and are
# taken up the next time; those that crash a reader into runs/fuzz/NAME/, and the exit status is 1.
set -euo pipefail
build=${1:?usage: scripts/fuzz.sh BUILD_DIR [NAME...]}
shift
seconds=${FUZZ_SECONDS:-60}
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 # it goes on after an error otherwise
programs=$build/src/tests/fuzz
out=runs/fuzz
if [ $# -eq 0 ]; then
  for program in "$programs"/fuzz_*; do
    [ ! -f "$program" ] || [ ! -x "$program" ] || set -- "$@" "${program##*/fuzz_}"
  done
fi

"$programs/write_corpus" "$out/samples"
for cfg in cfg/*.cfg; do # not cp -n, which some versions end with an error where a file is there
  [ -e "$out/samples/$cfg" ] || cp "$cfg" "$out/samples/cfg/"
done
status=0
for name in "$@"; do
  mkdir -p "$out/$name/corpus"
  arguments=(-max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 -malloc_limit_mb=2048
    -max_len=8192 -print_final_stats=1 -artifact_prefix="$out/$name/")
  [ "$name" != cfg ] || arguments+=(-dict="$out/samples/cfg.dict")
  echo "fuzz_$name: $seconds s"
  if "$programs/fuzz_$name" "${arguments[@]}" "$out/$name/corpus" "$out/samples/$name" \
    >"$out/$name/log" 2>&1; then
    grep -E 'number_of_executed_units|peak_rss_mb' "$out/$name/log"
  else
    status=1
    grep -E 'ERROR|SUMMARY|runtime error|terminate|what\(\)|Test unit written' "$out/$name/log" || tail -5 "$out/$name/log"
    echo "fuzz_$name failed; all of it in $out/$name/log; again: $programs/fuzz_$name $out/$name/crash-..."
  fi
done
exit $status
