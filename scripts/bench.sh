#!/usr/bin/env bash
# scripts/bench.sh PROGRAM: how fast the program runs here, next to other programs' published times.
# INFERENCES=30 TRAININGS=10 say how many iterations are counted; FULL=1 shows the tables of layers.
set -euo pipefail
program=$(realpath "${1:?usage: scripts/bench.sh PROGRAM}")
cd "$(dirname "$0")/.."

inferences=${INFERENCES:-30}
trainings=${TRAININGS:-10}

report=$(mktemp)
trap 'rm -f "$report"' EXIT

# measure NAME CFG FLAGS...: runs the bench and prints what matters of it.
measure() {
  local name=$1
  shift
  printf '\n%s\n' "== $name: darknet bench $*"
  "$program" bench "$@" >"$report"
  if [ -n "${FULL:-}" ]; then
    cat "$report"
  else
    grep -E '^(peak|inference|training step|convolutions alone|memory|  waiting)' "$report"
  fi
}

peers() { sed 's/^/   /'; }

# The peers' set-up: 3 classes, all 16 images at once.
three_classes=(-set convolutional.9.filters=24 -set convolutional.12.filters=24
  -set 'yolo.*.classes=3' -set net.0.subdivisions=1)

grep -m1 'model name' /proc/cpuinfo 2>/dev/null || true
printf 'cores: %s, load: %s\n' "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || echo unknown)"
cat <<'EOF'
The other programs' figures below are not from this run. They were measured once, as medians over
alternating runs, on two cores of an AMD EPYC (Zen 4, 3.6 GHz, 230 GFLOP/s) shared with other work,
with AlexeyAB/darknet 59596d7 (plain and -march=native), hank-ai/darknet f684e1d (OpenBLAS, as
shipped), OpenCV dnn 4.6 and PyTorch 1.13 (the best of its modes). Compare them on a like and quiet
machine only; anywhere, the ratio to the convolutions alone, which run interleaved with the
network in one process, says how much is lost around them.
EOF

measure 'yolov2-tiny-voc, 416 x 416, one image' cfg/yolov2-tiny-voc.cfg -reference -iterations "$inferences"
peers <<<'others: AlexeyAB 131 to 161 ms, hank-ai 98, OpenCV 65, PyTorch 49'
measure 'yolov3-tiny, 416 x 416, one image' cfg/yolov3-tiny.cfg -reference -iterations "$inferences"
peers <<'EOF'
others: AlexeyAB 98 to 104 ms, hank-ai 75 (44 with two BLAS threads and passive waits),
OpenCV 49, PyTorch 33
EOF
measure 'yolov4-tiny, 416 x 416, one image' cfg/yolov4-tiny.cfg -reference -iterations "$inferences"
peers <<<'others: AlexeyAB 117 to 125 ms, hank-ai 94, OpenCV 63, PyTorch 44'

measure 'yolov3-tiny, training, 16 images a step' cfg/yolov3-tiny.cfg -train -batch 16 \
  "${three_classes[@]}" -reference -iterations "$trainings"
peers <<'EOF'
others: AlexeyAB 7.5 to 8.5 s a step and 2079 MiB, hank-ai 4.5 s and 2078 MiB (both load images
meanwhile), PyTorch 2.1 s and 1574 MiB (synthetic images and a synthetic loss)
EOF

if [ -f data/bccd/bccd.data ]; then
  measure 'yolov3-tiny, training on blood cells, images loaded meanwhile' cfg/yolov3-tiny.cfg \
    -train -batch 16 "${three_classes[@]}" -data data/bccd/bccd.data -iterations "$trainings"
else
  printf '\n%s\n' 'data/bccd/bccd.data is not there: training with real images was not measured'
fi
