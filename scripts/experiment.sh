#!/usr/bin/env bash
# scripts/experiment.sh PROGRAM: what losses of the objectness are worth as imbalance grows. At each
# point of an axis (background anchors for one with an object) every loss gets the same tuning on a
# part of the training images; what is chosen is trained with fresh seeds and evaluated on images
# that nothing has seen. Synthetic scenes of one class, cfg/experiment.cfg. The same call resumes
# after any interruption, and several calls, also of machines that see OUT under the same path,
# share the runs.
#   OUT=runs/experiment          the folder of everything made; its page is OUT/gain/index.html
#   POINTS='150 700 3000 15000'  the points to work on
#   JOBS=N                       processes on this machine, one thread each (as many as cores)
#   WEIGHTS='auto*1 auto*.25 auto*4 auto*16'  of the objectness, tried with every loss but
#   MSE_WEIGHTS='.016 .0625 .004 .001'           squared error, which has no `auto`: as many
# Focal losses take four times the weight of cross-entropy, so that the lists reach up to sixteen.
# Where the best weight of a loss is the smallest or the largest, its point ends with the weight to
# add: add one to both lists, so that all losses have as many tries, and call again.
set -euo pipefail
fail() { echo "experiment: $*" >&2; exit "${code:-1}"; }
usage='usage: scripts/experiment.sh PROGRAM'
program=$(realpath "${1:?$usage}")
[ -z "${OUT:-}" ] || OUT=$(realpath -m "$OUT")
cd "$(dirname "$0")/.."
out=${OUT:-$PWD/runs/experiment}
points=${POINTS:-150 700 3000 15000}
read -ra weights <<<"${WEIGHTS:-auto*1 auto*.25 auto*4 auto*16}"
read -ra mse_weights <<<"${MSE_WEIGHTS:-.016 .0625 .004 .001}"
[ ${#weights[@]} -eq ${#mse_weights[@]} ] ||
  code=2 fail "WEIGHTS has ${#weights[@]} weights and MSE_WEIGHTS ${#mse_weights[@]}; give as many of each"
# One thread each: no core waits for another, and a run has the same bits on all machines of a kind.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

# point RATIO: input pixels, iterations (until the curves are flat), seeds of the confirmation.
point() {
  case $1 in
    150) size=96 iterations=500 seeds=8 ;;
    700) size=128 iterations=500 seeds=8 ;;
    3000) size=160 iterations=1000 seeds=4 ;;
    15000) size=192 iterations=1500 seeds=4 ;;
    *) code=2 fail "no point '$1'; POINTS are of 150, 700, 3000 and 15000" ;;
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

# draw_scenes RATIO: once, whichever call comes first.
draw_scenes() (
  flock 9
  [ -f "$scenes/scenes.data" ] ||
    "$program" synth "$scenes" -n 1500 -test 500 -classes 1 -seed 7 -size "${size}x$size" \
      -object_size 6..15 -cfg cfg/experiment.cfg "${net[@]}" -background "$1"
) 9>"$scenes.lock"

run_point() {
  local size iterations seeds flags=()
  point "$1"
  local scenes=$out/scenes-$1 net=(-set "net.0.width=$size" -set "net.0.height=$size")
  draw_scenes "$1" || return
  # `auto` is the weight at which all losses pull equally at their start. Squared error has none, and
  # from .25 on its background ends the learning within the first steps.
  local start='obj_prior=auto obj_init=auto'
  variants ce "obj_loss=ce $start" "${weights[@]}"
  variants mse 'obj_loss=mse' "${mse_weights[@]}"
  variants balanced_ce "obj_loss=balanced_ce obj_alpha=.75 $start" "${weights[@]}"
  variants focal2 "obj_loss=focal obj_gamma=2 obj_alpha=.25 $start" "${weights[@]}"
  variants focal1 "obj_loss=focal obj_gamma=1 obj_alpha=.5 $start" "${weights[@]}"
  variants quality_focal "obj_loss=quality_focal obj_gamma=2 obj_target=iou $start" "${weights[@]}"
  "$program" detector sweep "$scenes/scenes.data" cfg/experiment.cfg -out "$out/$1" \
    "${net[@]}" -max_batches "$iterations" \
    -set "net.0.steps=$((iterations * 7 / 10)),$((iterations * 9 / 10))" \
    "${flags[@]}" -seeds 1..2 -tune -per obj_loss,obj_gamma -confirm "$seeds" \
    -jobs "${JOBS:-$(nproc)}"
}

for ratio in $points; do point "$ratio"; done
mkdir -p "$out"
unfinished=()
for ratio in $points; do
  printf '\n== %s background anchors for each with an object\n' "$ratio"
  result=0
  run_point "$ratio" || result=$?
  [ $result -lt 128 ] || exit $result
  [ $result -eq 0 ] || unfinished+=("$ratio")
done
confirmed=()
for folder in "$out"/*/confirm; do
  [ ! -f "$folder/results.json" ] || confirmed+=("$folder")
done
[ ${#confirmed[@]} -gt 0 ] || fail "no point is confirmed yet"
"$program" report gain "${confirmed[@]}" -out "$out/gain"
[ ${#unfinished[@]} -eq 0 ] || fail "not finished, for the reasons above: ${unfinished[*]}"
