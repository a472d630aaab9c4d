#!/usr/bin/env bash
# Installs what the build and the tests need on Debian and Ubuntu; silent when nothing is missing.
# --check only names what is missing; --libraries names what a program for another processor links.
set -euo pipefail

packages=(
  g++ cmake make ninja-build ccache pkg-config
  libdnnl-dev libhwy-dev libfmt-dev libspdlog-dev libcli11-dev nlohmann-json3-dev libstb-dev libcpp-httplib-dev
  libpugixml-dev libyaml-cpp-dev
  libarchive-dev libssl-dev # tar shards, and https:// of them
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev
  libopencv-highgui-dev libopencv-video-dev liblemon-dev
  libjpeg-dev libpng-dev libtiff-dev # the first is libjpeg-turbo
  libopencv-dnn-dev # dnn: an independent reference in the tests
  protobuf-compiler libprotobuf-dev libonnx-dev # ONNX; of the last only its definition, onnx.proto
  libpango1.0-dev fonts-dejavu-core # text in captions and charts; brings Cairo
  libboost-math-dev # headers only: Student's t
  libopenmpi-dev openmpi-bin # training with several processes, left out without them
  libgtest-dev libbenchmark-dev python3
  pybind11-dev python3-dev python3-numpy # the Python package, left out without them
  python3-pytest mypy # its tests
)
# The emulated GPU of the tests unpacks nvcc's device code.
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then packages+=(libzstd-dev); fi

if [ "${1:-}" = --libraries ]; then
  printf '%s\n' "${packages[@]}" | grep -E '^(lib|nlohmann|fonts)' | grep -v openmpi | paste -sd' '
  exit 0
fi

if ! command -v dpkg-query >/dev/null; then
  echo "install_deps: not a Debian or Ubuntu machine; the build needs: ${packages[*]}" >&2
  exit 0
fi

missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "${1:-}" = --check ]; then
  echo "packages that are not installed: ${missing[*]}; 'make deps' installs them" >&2
  exit 0 # the same libraries may be here without a package
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install_deps: need root to install: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
