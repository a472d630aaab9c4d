#!/usr/bin/env bash
# scripts/check_gpu.sh OUT [PREFIX]: everything that only a machine with an NVIDIA GPU can show, in
# one go: builds for its architecture, runs the tests on both devices, compares them network by
# network, looks for races and stray accesses, and measures. Reports go to the folder OUT.
# PREFIX: where packages lie that the system lacks (CMAKE_PREFIX_PATH). CUDNN_ROOT, ARCHITECTURES
# (90) and ITERATIONS (30) are taken from the environment.
set -uo pipefail
out=$(mkdir -p "${1:?usage: scripts/check_gpu.sh OUT [PREFIX]}" && realpath "$1")
prefix=${2:+$(realpath "$2")}
cd "$(dirname "$0")/.."
build=build-gpu
failed=0

# step NAME COMMAND...: runs it into OUT/NAME.txt and says how it ended.
step() {
  local name=$1
  shift
  if "$@" >"$out/$name.txt" 2>&1; then
    echo "$name: passed"
  else
    echo "$name: FAILED, see $out/$name.txt"
    tail -n 5 "$out/$name.txt"
    failed=1
  fi
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | tee "$out/gpu.txt"
[ "${PIPESTATUS[0]}" -eq 0 ] || { echo "no GPU that nvidia-smi knows" >&2; exit 1; }
step configure cmake -S . -B "$build" -G Ninja -DDARKNET_CUDA=ON -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CUDA_ARCHITECTURES="${ARCHITECTURES:-90}" -DCMAKE_PREFIX_PATH="$prefix" \
  ${CUDNN_ROOT:+-DCUDNN_ROOT="$CUDNN_ROOT"} -DDARKNET_WERROR=ON
step build cmake --build "$build" -j
[ $failed -eq 0 ] || exit 1
export OMP_WAIT_POLICY=passive
darknet=$build/darknet
tests=$build/src/tests/darknet_tests

step version "$darknet" version
on_device='*Device*:TilesTest*:WorkingAhead*:StepErrors*:LossScaling*'
step tests-on-device "$tests" --gtest_filter="$on_device"
if grep -q 'SKIPPED' "$out/tests-on-device.txt"; then
  echo "tests-on-device: FAILED, some were skipped: the program sees no GPU"
  failed=1
fi
for cfg in yolov2-tiny-voc yolov3-tiny yolov4-tiny; do
  step "check-$cfg-exact" "$darknet" check "cfg/$cfg.cfg" -devices cpu,cuda -exact
  step "check-$cfg-exact-deterministic" "$darknet" check "cfg/$cfg.cfg" -devices cpu,cuda -exact \
    -deterministic
  step "check-$cfg-tf32" "$darknet" check "cfg/$cfg.cfg" -devices cpu,cuda
  for type in f16 bf16; do # plain loops have both types, but take their time
    step "check-$cfg-$type" "$darknet" check "cfg/$cfg.cfg" -devices cuda,reference \
      -precision "$type" -set net.0.width=160 -set net.0.height=160
    step "check-$cfg-$type-against-f32" "$darknet" check "cfg/$cfg.cfg" -devices cuda,cpu \
      -precision "$type" -against f32
  done
done
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    step "sanitizer-$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 \
      "$tests" --gtest_filter="$on_device-*TheHostCannot*"
  done
else
  echo "compute-sanitizer: not on this machine"
fi
if [ -f data/bccd/bccd.data ]; then
  DARKNET=$darknet step compare-devices scripts/compare_devices.sh "$out/compare"
else
  echo "compare-devices: data/bccd is not here; no training was compared"
fi
step suite ctest --test-dir "$build" -j "$(nproc)" --output-on-failure
for cfg in yolov3-tiny yolov4-tiny; do
  for batch in 1 16 64; do
    step "bench-$cfg-$batch" "$darknet" bench "cfg/$cfg.cfg" -batch "$batch" -iterations "${ITERATIONS:-30}"
    step "bench-$cfg-$batch-exact" "$darknet" bench "cfg/$cfg.cfg" -batch "$batch" -exact \
      -iterations "${ITERATIONS:-30}"
    for type in f16 bf16; do
      step "bench-$cfg-$batch-$type" "$darknet" bench "cfg/$cfg.cfg" -batch "$batch" \
        -precision "$type" -iterations "${ITERATIONS:-30}"
    done
  done
  for type in f16 bf16; do
    step "bench-$cfg-train-$type" "$darknet" bench "cfg/$cfg.cfg" -train -batch 16 \
      -set net.0.subdivisions=1 -precision "$type" -iterations "${ITERATIONS:-30}"
  done
  step "bench-$cfg-train" "$darknet" bench "cfg/$cfg.cfg" -train -batch 16 \
    -set net.0.subdivisions=1 -iterations "${ITERATIONS:-30}"
  step "bench-$cfg-train-deterministic" "$darknet" bench "cfg/$cfg.cfg" -train -batch 16 \
    -set net.0.subdivisions=1 -deterministic -iterations "${ITERATIONS:-30}"
done
for cfg in yolov3-tiny yolov4-tiny; do
  tuning=$out/$cfg.tuning
  step "tune-$cfg" "$darknet" bench "cfg/$cfg.cfg" -batch 16 -tune "$tuning"
  step "bench-$cfg-16-tuned" "$darknet" bench "cfg/$cfg.cfg" -batch 16 -tuning "$tuning" \
    -iterations "${ITERATIONS:-30}" -json "$out/$cfg-16-tuned.json"
  step "tune-$cfg-train" "$darknet" bench "cfg/$cfg.cfg" -train -batch 16 \
    -set net.0.subdivisions=1 -tune "$tuning"
  step "bench-$cfg-train-tuned" "$darknet" bench "cfg/$cfg.cfg" -train -batch 16 \
    -set net.0.subdivisions=1 -tuning "$tuning" -iterations "${ITERATIONS:-30}"
  step "tune-$cfg-check" "$darknet" bench "cfg/$cfg.cfg" -tune "$tuning"
  step "check-$cfg-tuned" "$darknet" check "cfg/$cfg.cfg" -devices cpu,cuda -tuning "$tuning"
done
# The same networks in PyTorch; TORCH_PYTHON is a python that has it. FULL_CFGS: more .cfg files.
python=${TORCH_PYTHON:-python3}
if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  for cfg in cfg/yolov3-tiny.cfg cfg/yolov4-tiny.cfg ${FULL_CFGS:-}; do
    name=$(basename "$cfg" .cfg)
    for precision in f32 f16; do
      for kind in '' --train; do
        step "torch-$name-$precision${kind/--/-}" "$python" scripts/bench_torch.py "$cfg" \
          --batch 1,16,64 --precision "$precision" --modes eager,compile $kind \
          --iterations "${ITERATIONS:-30}"
      done
    done
  done
  grep -hE '^(inference|training step|cfg/)' "$out"/torch-*.txt >"$out/torch.txt"
else
  echo "torch: $python has no PyTorch that sees the GPU"
fi
grep -hE '^(inference|training step|peak|cfg/)' "$out"/bench-*.txt | tee "$out/bench.txt"
exit $failed
