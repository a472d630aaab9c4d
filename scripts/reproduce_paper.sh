#!/usr/bin/env bash
# scripts/reproduce_paper.sh small|bccd|plates|voc: the table of the paper behind this project, on
# data that everybody can have: YOLOv2 as published, its objectness by cross-entropy, by weighted
# cross-entropy and by focal loss, what tuning chose of both, confirmed on fresh seeds, and a
# two-stage detector. It leaves OUT/table.md, the figures and the pages of all runs. The same call
# resumes after an interruption: what is there already is not made again.
#   small    synthetic scenes; 8 minutes on two cores with AVX-512, half an hour on slow ones
#   bccd     BCCD=folder of BCCD (VOC's layout, or one with a .data file)
#   plates   DATA=my.data, any set of yours; SIZE=416x416
#   voc      VOC=path/to/VOCdevkit with VOC2007 (and VOC2012); WEIGHTS= a backbone; for a GPU
# SEEDS=1..3, MAX_BATCHES, ROWS='yolov2 ce balanced_ce focal alpha-focal', JOBS, OUT; TUNE=0 leaves
# the tuning out, TUNE_WEIGHTS and TUNE_SEEDS say what it tries, CONFIRM=4 how many seeds confirm;
# TWO_STAGE=0 leaves the two-stage detector out, TWO_STAGE_SEEDS and TWO_STAGE_FLAGS change it.
# DARKNET and PYTHON name the programs.
set -euo pipefail
usage='usage: scripts/reproduce_paper.sh small|bccd|plates|voc'
fail() { echo "reproduce_paper: $*" >&2; exit 1; }
what=${1:-}
case $#$what in
  1small | 1bccd | 1plates | 1voc) ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
for given in BCCD DATA VOC WEIGHTS OUT DARKNET; do  # paths from where the call is made
  [ -z "${!given:-}" ] || printf -v "$given" '%s' "$(realpath -m "${!given}")"
done
cd "$(dirname "$0")/.."
program=${DARKNET:-$PWD/darknet}
python=${PYTHON:-python3}
[ -x "$program" ] || fail "no program $program; run make, or give DARKNET=path"
command -v "$python" >/dev/null || fail "no $python; install python3, or give PYTHON=path"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
out=${OUT:-runs/paper-$what}
mkdir -p "$out"
say() { printf '\n== %s\n' "$*"; }
# interruptible COMMAND...: its exit code, but an interrupted command ends the script too.
interruptible() {
  local code=0
  "$@" || code=$?
  [ $code -lt 128 ] || exit $code
  return $code
}

# trunk_of and head_of split a cfg before the convolution of its only head.
head_line() { grep -n '^\[convolutional\]' "$1" | tail -1 | cut -d: -f1; }
trunk_of() { head -n $(($(head_line "$1") - 1)) "$1"; }
head_of() { tail -n +"$(head_line "$1")" "$1"; }

class_count() {
  local count
  count=$(sed -n 's/^ *classes *= *\([0-9]*\) *$/\1/p' "$1" | head -1)
  [ -n "$count" ] || fail "$1: the line classes = ... is missing"
  echo "$count"
}

# write_cfg WIDTH HEIGHT ITERATIONS: the trunk of the blood cells' network with YOLOv2's head, as in
# cfg/paper-small.cfg, for this data set. One that is there must be what would be written.
write_cfg() {
  cfg=$out/paper.cfg
  local classes fitted line lines anchors
  classes=$(class_count "$data")
  anchors="# Anchors of $(realpath "$data")."
  if [ -f "$cfg" ]; then
    lines=("width=$1" "height=$2" "max_batches=$3" "classes=$classes")
    ! grep -q '^# Anchors of ' "$cfg" || lines+=("$anchors")
    for line in "${lines[@]}"; do
      grep -qxF -- "$line" "$cfg" ||
        fail "$cfg is of another call: it has no line '$line'; give another OUT=, or remove $out"
    done
    return 0
  fi
  { trunk_of cfg/blood-cells.cfg; head_of cfg/paper-small.cfg; } |
    sed -E -e '1,2c # YOLOv2 ([region]) on the trunk of cfg/blood-cells.cfg.' \
      -e "s/^width=.*/width=$1/; s/^height=.*/height=$2/; s/^max_batches=.*/max_batches=$3/" \
      -e "/^burn_in=/d; s/^steps=.*/steps=-1,$(($3 / 8)),$(($3 * 7 / 10)),$(($3 * 9 / 10))/" \
      -e 's/^scales=.*/scales=.1,10,.1,.1/' \
      -e "s/^filters=40$/filters=$((5 * (classes + 5)))/; s/^classes=.*/classes=$classes/" \
      >"$cfg.part"
  fitted=$("$program" detector calc_anchors "$data" -cfg "$cfg.part" -out "$out/anchors" |
    sed -n 's/^anchors *= *//p' | tail -1)
  [ -n "$fitted" ] || fail "no anchors from darknet detector calc_anchors $data"
  sed -i "s/^anchors=.*/anchors=$fitted/" "$cfg.part"
  sed -i '1r /dev/stdin' "$cfg.part" <<<"$anchors"
  mv "$cfg.part" "$cfg"
}

prepare_small() {
  cfg=cfg/paper-small.cfg
  data=$out/scenes/scenes.data
  [ -f "$data" ] || "$program" synth "$out/scenes" -n 800 -test 200 -seed 1 -size 128x128 \
    -object_size 12..36 -cfg "$cfg"
  two_stage_flags='--backbone resnet10 --channels 64 --hidden 256 --rois 64 --norm batch'
  two_stage_flags+=' --iterations 400'
}

prepare_bccd() {
  : "${BCCD:?give BCCD=folder of BCCD, with Annotations, ImageSets and JPEGImages, or a .data file}"
  data=$(find "$BCCD" -maxdepth 1 -name '*.data' | sort | head -1)
  if [ -z "$data" ]; then
    data=$out/bccd/bccd.data
    [ -f "$data" ] || "$program" import-data "$BCCD" "$out/bccd" -format voc
  fi
  write_cfg 320 240 1500
  two_stage_flags='--iterations 3000 --size 240'
}

prepare_plates() {
  data=${DATA:?give DATA=my.data}
  local size=${SIZE:-416x416}
  [[ $size =~ ^[1-9][0-9]*x[1-9][0-9]*$ ]] || fail "SIZE=$size: expected WIDTHxHEIGHT, as 416x416"
  write_cfg "${size%x*}" "${size#*x}" 2000
  two_stage_flags='--iterations 4000'
}

# Trained on trainval of both years, tested on test of 2007, as YOLOv2 was.
prepare_voc() {
  : "${VOC:?give VOC=path/to/VOCdevkit, with VOC2007 and its test images}"
  [ -d "$VOC/VOC2007" ] || fail "$VOC/VOC2007: no such folder"
  cfg=cfg/yolov2-tiny-voc.cfg
  data=$out/voc/voc.data
  two_stage_flags='--channels 256 --hidden 1024 --rois 512 --batch 16 --size 416 --workers 8'
  two_stage_flags+=' --iterations 40000'
  [ ! -f "$data" ] || return 0
  "$program" import-data "$VOC" "$out/voc" -format voc -train trainval -valid test
}

"prepare_$what"
seeds=${SEEDS:-$([ "$what" = voc ] && echo 1 || echo 1..3)}
jobs=${JOBS:-$([ "$what" = voc ] || [ "$(nproc)" = 1 ] && echo 1 || echo 2)}
common=(-jobs "$jobs" -images 4)
[ -z "${MAX_BATCHES:-}" ] || common+=(-max_batches "$MAX_BATCHES")
[ -z "${WEIGHTS:-}" ] || common+=(-weights "$WEIGHTS" -clear)

# What all rows but the published one share: targets of 1 without YOLOv2's weights, and start and
# weight of the objectness as docs/loss-math.md derives them.
start='"rescore": 0, "object_scale": 1, "obj_prior": "auto", "obj_init": "auto",
    "obj_normalizer": "auto"'
rows=${ROWS:-yolov2 ce balanced_ce focal alpha-focal}
write_plan() {
  local row keys separator=
  printf '['
  for row in $rows; do
    case $row in
      yolov2) keys='"obj_loss": "mse"' ;;
      ce) keys="\"obj_loss\": \"ce\", $start" ;;
      balanced_ce) keys="\"obj_loss\": \"balanced_ce\", \"obj_alpha\": 0.75, $start" ;;
      focal) keys="\"obj_loss\": \"focal\", \"obj_gamma\": 2, \"obj_alpha\": -1, $start" ;;
      alpha-focal) keys="\"obj_loss\": \"focal\", \"obj_gamma\": 2, \"obj_alpha\": 0.25, $start" ;;
      *) fail "ROWS: no row $row" ;;
    esac
    printf '%s\n  {"name": "%s", "set": {%s}}' "$separator" "$row" "$keys"
    separator=,
  done
  printf '\n]\n'
}

say "the rows, seeds $seeds"
write_plan >"$out/rows.json"
"$program" detector sweep "$data" "$cfg" -out "$out/rows" -plan "$out/rows.json" -seeds "$seeds" \
  "${common[@]}"

# Both losses get the same tries: weights of the objectness. Where the best is the smallest or the
# largest, the sweep refuses to confirm it and names the next one, which both losses then try too.
tune() {
  local weights=${TUNE_WEIGHTS:-auto,auto*.0625,auto*.25,auto*4} round more
  for round in 1 2 3; do
    say "tuning, objectness weights $weights"
    if interruptible "$program" detector sweep "$data" "$cfg" -out "$out/tuning" \
      -tune -confirm "${CONFIRM:-4}" \
      -vary obj_loss=ce,focal -vary "obj_normalizer=$weights" -seeds "${TUNE_SEEDS:-1..2}" \
      -set 'region.*.rescore=0' -set 'region.*.object_scale=1' -set 'region.*.obj_prior=auto' \
      -set 'region.*.obj_init=auto' "${common[@]}"; then
      return 0
    fi
    more=$("$python" scripts/paper_table.py edges "$out/tuning/results.json")
    [ -n "$more" ] && [ "$round" -lt 3 ] || return 1
    weights+=,$more
  done
}

notes=()
if [ "${TUNE:-1}" = 0 ]; then
  notes+=("The tuned rows were left out (TUNE=0).")
elif [[ $("$program" detector sweep -help) != *--confirm* ]]; then
  notes+=("The tuned rows are left out: this program has no detector sweep -tune.")
elif ! tune; then
  notes+=("The tuned rows are left out: the tuning was not confirmed; its message says why, and the
same call with more TUNE_WEIGHTS resumes.")
fi

two_stage() {
  local seed flags
  read -ra flags <<<"${TWO_STAGE_FLAGS:-$two_stage_flags}"
  for seed in ${TWO_STAGE_SEEDS:-1}; do
    [ ! -f "$out/two-stage/seed${seed}_run.json" ] || continue
    say "two-stage detector, seed $seed"
    interruptible "$python" scripts/two_stage_torch.py "$data" --out "$out/two-stage/seed$seed" \
      --seed "$seed" "${flags[@]}" || return 1
  done
}

if [ "${TWO_STAGE:-1}" = 0 ]; then
  notes+=("The two-stage row was left out (TWO_STAGE=0).")
elif ! "$python" -c 'import torch, torchvision' 2>/dev/null; then
  notes+=("The two-stage row is left out: $python has no PyTorch (pip install torch torchvision).")
elif ! two_stage; then
  notes+=("The two-stage row is left out: its training failed (the message is above).")
fi

# weights_of ROW: those of its first seed; "": there are none.
weights_of() { find "$out/rows" -path "*/$1-seed*/*_final.weights" | sort -V | head -1; }

say 'figures'
mkdir -p "$out/figures"
"$program" loss plot -out "$out/figures/loss-gamma"
"$program" loss plot ce balanced_ce:alpha=.75 focal:gamma=2,alpha=-1 focal:gamma=2,alpha=.25 \
  -out "$out/figures/loss-rows"
has_imbalance=0
[[ $("$program" detector imbalance -help 2>&1) != *'detector imbalance ['* ]] || has_imbalance=1
logs=()
for row in $rows; do
  weights=$(weights_of "$row")
  [ -n "$weights" ] || continue
  logs+=("${weights%_final.weights}_log.jsonl" -label "$row")
  if [ $has_imbalance = 1 ]; then
    "$program" detector imbalance "$data" "$(dirname "$weights")/$(basename "$cfg")" "$weights" \
      -out "$out/figures/imbalance-$row" -json "$out/figures/imbalance-$row.json"
  fi
done
[ ${#logs[@]} -eq 0 ] || "$program" chart "${logs[@]}" -out "$out/figures/training"
[ $has_imbalance = 1 ] ||
  notes+=("Figure 4 is left out: this program has no detector imbalance.")

say 'the table'
"$python" scripts/paper_table.py table "$program" "$data" "$out" "${notes[@]}"
printf '\n-> %s\n' "$out/table.md"
