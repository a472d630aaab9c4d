#!/usr/bin/env bash
# scripts/quickstart.sh PROGRAM: trains one network twice from the same seed, with objectness by
# cross-entropy and by focal loss, and leaves runs/quickstart/index.html: tables, charts, images.
# DATA=my.data CFG=my.cfg do the same on your own images, in OUT=runs/NAME_OF_CFG; SEEDS=1..5
# and MAX_BATCHES=2000 say how often and how long.
set -euo pipefail
program=$(realpath "${1:?usage: scripts/quickstart.sh PROGRAM}")
cd "$(dirname "$0")/.."
# Threads that spin while they wait slow each other down wherever the cores are shared.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

flags=()
if [ -n "${DATA:-}" ] || [ -n "${CFG:-}" ]; then
  : "${DATA:?give DATA=path/to/x.data with CFG=}" "${CFG:?give CFG=path/to/x.cfg with DATA=}"
  out=${OUT:-runs/$(basename "$CFG" .cfg)}
else
  out=${OUT:-runs/quickstart}
  DATA=$out/scenes/scenes.data
  CFG=cfg/quickstart.cfg
  if [ ! -f "$DATA" ]; then
    "$program" synth "$out/scenes" -n 1000 -test 200 -seed 1 -size 192x192 -cfg "$CFG"
  fi
  # Each loss's weight was chosen among a quarter, once and four times auto on other scenes (seed 77).
  start='obj_prior=auto obj_init=auto'
  flags+=(-map
    -variant "ce: obj_loss=ce $start obj_normalizer=auto*.25"
    -variant "focal: obj_loss=focal obj_gamma=2 obj_alpha=.25 $start obj_normalizer=auto")
fi
[ -z "${SEEDS:-}" ] || flags+=(-seed "$SEEDS")
[ -z "${MAX_BATCHES:-}" ] || flags+=(-max_batches "$MAX_BATCHES")
"$program" detector compare "$DATA" "$CFG" -out "$out" "${flags[@]}"
