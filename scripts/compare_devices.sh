#!/usr/bin/env bash
# scripts/compare_devices.sh OUT [DATA [CFG]]: the same trainings on two devices; the
# curves on one chart, and whether the mean mAPs differ by more than the seeds explain (t-test with
# equal variances, p < .01). A second call with the same OUT repeats no training that ended. From the
# environment: DARKNET (build-gpu/darknet), FIRST and SECOND (flags: "-nogpu", "-i 0"), FLAGS (of
# both), SEEDS ("1 2 3"), ITERATIONS (300), LEAST (.05: a mean below it has learnt nothing).
# The learning rate falls after 7 and 9 tenths of the iterations: at a constant one the mAP of the
# blood cells varied three times as much between seeds (standard deviation .075, then .025).
set -euo pipefail
if [ $# -lt 1 ] || [ $# -gt 3 ] || [[ $1 == -* ]]; then
  echo "usage: scripts/compare_devices.sh OUT [DATA [CFG]]" >&2
  exit 2
fi
root=$(dirname "$0")/..
out=$1
data=${2:-$root/data/bccd/bccd.data}
cfg=${3:-$root/cfg/blood-cells-focal.cfg}
darknet=${DARKNET:-$root/build-gpu/darknet}
read -ra seeds <<<"${SEEDS:-1 2 3}"
if [ ${#seeds[@]} -lt 2 ]; then
  echo "SEEDS: one has no spread; give two or more" >&2
  exit 2
fi
mkdir -p "$out"
logs=()
labels=()
iterations=${ITERATIONS:-300}

# train NAME FLAGS SEED
train() {
  local folder=$out/$1-$3
  if [ ! -f "$folder/ended" ]; then
    # shellcheck disable=SC2086 # the flags are several words
    "$darknet" detector train "$data" "$cfg" -dont_show -map -mAP_epochs 1000000 -seed "$3" \
      -max_batches "$iterations" -set "net.0.steps=$((iterations * 7 / 10)),$((iterations * 9 / 10))" \
      -set net.0.scales=.1,.1 -backup "$folder" ${FLAGS:-} $2 >"$out/$1-$3.txt" 2>&1 ||
      { tail -n 5 "$out/$1-$3.txt" >&2; exit 1; }
    touch "$folder/ended"
  fi
  logs+=("$folder/$(basename "$cfg" .cfg)_log.jsonl")
  labels+=(--label "$1 $3")
}

for seed in "${seeds[@]}"; do
  train first "${FIRST:--nogpu}" "$seed"
  train second "${SECOND:--i 0}" "$seed"
done
"$darknet" chart "${logs[@]}" --out "$out/curves" "${labels[@]}"
for log in "${logs[@]}"; do
  map=$(grep -o '"map":[0-9.e-]*' "$log" | tail -n 1 | cut -d: -f2 || true)
  echo "$(basename "$(dirname "$log")" | tr - ' ') ${map:?$log: no evaluation}"
done | awk -v first="${FIRST:--nogpu}" -v second="${SECOND:--i 0}" -v least="${LEAST:-.05}" '
  { map[$1, $2] = $3; seeds[$2] }
  END {
    for (s in seeds) {
      n++; a = map["first", s]; b = map["second", s]
      sum_a += a; sum_b += b; squares += a * a + b * b
      printf "seed %s: %s mAP %.4f, %s mAP %.4f\n", s, first, a, second, b
    }
    mean_a = sum_a / n; mean_b = sum_b / n
    variance = (squares - n * mean_a ^ 2 - n * mean_b ^ 2) / (2 * n - 2)
    # Of the t distribution with 2n - 2 degrees of freedom: .995.
    split("0 9.925 4.604 3.707 3.355 3.169 3.055 2.977", quantiles, " ")
    quantile = n <= 8 ? quantiles[n] : 2.977
    explained = variance > 0 ? quantile * sqrt(variance * 2 / n) : 0
    apart = mean_a > mean_b ? mean_a - mean_b : mean_b - mean_a
    passed = apart <= explained && mean_a >= least && mean_b >= least
    printf "means %.4f and %.4f, apart %.4f; the seeds explain %.4f: %s\n",
           mean_a, mean_b, apart, explained, passed ? "passed" : "FAILED"
    if (mean_a < least || mean_b < least) printf "a mean below %s: nothing was learnt\n", least
    exit !passed
  }'
