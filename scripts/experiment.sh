#!/usr/bin/env bash
# scripts/experiment.sh PROGRAM: what losses of the objectness are worth as imbalance grows. At each
# point of an axis (background anchors for one with an object) every loss gets the same tuning on a
# part of the training images; what is chosen is trained with fresh seeds and evaluated on images
# that nothing has seen. Synthetic scenes of one class, cfg/experiment.cfg. The same call resumes
# after any interruption, and several calls, also of machines that share the folder, share the runs.
#   OUT=runs/experiment          the folder of everything made; its page is OUT/index.html
#   POINTS='150 700 3000 15000'  the points to work on
#   JOBS=N                       processes on this machine, one thread each (as many as cores)
set -euo pipefail
usage='usage: scripts/experiment.sh PROGRAM'
program=$(realpath "${1:?$usage}")
[ -z "${OUT:-}" ] || OUT=$(realpath -m "$OUT")
cd "$(dirname "$0")/.."
out=${OUT:-runs/experiment}
# One thread each: no core waits for another, and a run has the same bits on all machines of a kind.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

# point RATIO: input pixels, iterations (until the curves are flat), seeds of the confirmation.
point() {
  case $1 in
    150) size=96 iterations=500 seeds=8 ;;
    700) size=128 iterations=500 seeds=8 ;;
    3000) size=160 iterations=1000 seeds=4 ;;
    15000) size=192 iterations=1500 seeds=4 ;;
    *) echo "experiment: no point $1: 150, 700, 3000 or 15000" >&2; exit 2 ;;
  esac
}

# variants NAME KEYS WEIGHT...: a loss with each weight of the objectness, for `flags`.
variants() {
  local name=$1 keys=$2 weight
  shift 2
  for weight in "$@"; do
    flags+=(-variant "$name-${weight//auto\*/x}: $keys obj_normalizer=$weight")
  done
}

run_point() {
  local ratio=$1 size iterations seeds flags=()
  point "$ratio"
  local scenes=$out/scenes-$ratio
  local net=(-set "net.0.width=$size" -set "net.0.height=$size")
  [ -f "$scenes/scenes.data" ] ||
    "$program" synth "$scenes" -n 1500 -test 500 -classes 1 -seed 7 -size "${size}x$size" \
      -object_size 6..15 -cfg cfg/experiment.cfg "${net[@]}" -background "$ratio"
  # `auto` is the weight at which all losses pull equally at their start; squared error has none.
  local start='obj_prior=auto obj_init=auto' auto=('auto*1' 'auto*.25' 'auto*4' 'auto*.0625')
  variants ce "obj_loss=ce $start" "${auto[@]}"
  variants mse 'obj_loss=mse' 16 4 64 1
  variants balanced_ce "obj_loss=balanced_ce obj_alpha=.75 $start" "${auto[@]}"
  variants focal2 "obj_loss=focal obj_gamma=2 obj_alpha=.25 $start" "${auto[@]}"
  variants focal1 "obj_loss=focal obj_gamma=1 obj_alpha=.5 $start" "${auto[@]}"
  variants quality_focal "obj_loss=quality_focal obj_gamma=2 obj_target=iou $start" "${auto[@]}"
  "$program" detector sweep "$scenes/scenes.data" cfg/experiment.cfg -out "$out/$ratio" \
    "${net[@]}" -max_batches "$iterations" \
    -set "net.0.steps=$((iterations * 7 / 10)),$((iterations * 9 / 10))" \
    "${flags[@]}" -seeds 1..2 -tune -per obj_loss,obj_gamma -confirm "$seeds" \
    -jobs "${JOBS:-$(nproc)}"
}

for ratio in ${POINTS:-150 700 3000 15000}; do
  printf '\n== %s background anchors for each with an object\n' "$ratio"
  run_point "$ratio"
done
confirmed=()
for folder in "$out"/*/confirm; do
  [ ! -f "$folder/results.json" ] || confirmed+=("$folder")
done
"$program" report gain "${confirmed[@]}" -out "$out/gain"
