#!/usr/bin/env bash
# scripts/compare_devices.sh OUT [DATA [CFG]]: the same trainings on two devices, paired by seed; the
# curves on one chart, and whether the mean mAPs lie within two standard deviations of each other.
# From the environment: DARKNET (build-gpu/darknet), FIRST and SECOND (flags: "-nogpu", "-i 0"),
# SEEDS ("1 2 3"), ITERATIONS (300).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: scripts/compare_devices.sh OUT [DATA [CFG]]}
data=${2:-data/bccd/bccd.data}
cfg=${3:-cfg/blood-cells-focal.cfg}
darknet=${DARKNET:-build-gpu/darknet}
mkdir -p "$out"
logs=()
labels=()

# train NAME FLAGS SEED
train() {
  local folder=$out/$1-$3
  # shellcheck disable=SC2086 # the flags are several words
  "$darknet" detector train "$data" "$cfg" -dont_show -map -mAP_epochs 1000000 -seed "$3" \
    -max_batches "${ITERATIONS:-300}" -backup "$folder" $2 >"$out/$1-$3.txt" 2>&1 ||
    { tail -n 5 "$out/$1-$3.txt" >&2; exit 1; }
  logs+=("$folder/$(basename "$cfg" .cfg)_log.jsonl")
  labels+=(--label "$1 seed $3")
}

for seed in ${SEEDS:-1 2 3}; do
  train first "${FIRST:--nogpu}" "$seed"
  train second "${SECOND:--i 0}" "$seed"
done
"$darknet" chart "${logs[@]}" --out "$out/curves" "${labels[@]}"
for log in "${logs[@]}"; do
  map=$(grep -o '"map":[0-9.e-]*' "$log" | tail -n 1 | cut -d: -f2)
  echo "$(basename "$(dirname "$log")" | cut -d- -f1) ${map:?$log: no evaluation}"
done | awk -v first="${FIRST:--nogpu}" -v second="${SECOND:--i 0}" '
  { n[$1]++; sum[$1] += $2; squares[$1] += $2 * $2 }
  function mean(d) { return sum[d] / n[d] }
  function deviation(d) {
    return n[d] > 1 ? sqrt((squares[d] - n[d] * mean(d) ^ 2 > 0 ? squares[d] - n[d] * mean(d) ^ 2 : 0) / (n[d] - 1)) : 0
  }
  END {
    apart = mean("first") - mean("second"); if (apart < 0) apart = -apart
    spread = deviation("first") > deviation("second") ? deviation("first") : deviation("second")
    printf "%s: mAP %.4f +- %.4f; %s: mAP %.4f +- %.4f; apart %.4f, two standard deviations %.4f: %s\n",
           first, mean("first"), deviation("first"), second, mean("second"), deviation("second"),
           apart, 2 * spread, apart <= 2 * spread ? "within" : "BEYOND"
    exit apart <= 2 * spread ? 0 : 1
  }'
