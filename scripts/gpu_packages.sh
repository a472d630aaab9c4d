#!/usr/bin/env bash
# Carries the libraries of the build to a machine with a GPU that has no network:
#   scripts/gpu_packages.sh collect [FOLDER]           here: downloads Debian 12's packages
#   scripts/gpu_packages.sh unpack FOLDER PREFIX       there: unpacks them below PREFIX, installs nothing
# FOLDER: build-packages, which git ignores (26 MB). Then scripts/check_gpu.py --prefix PREFIX.
# That machine has a compiler, nvcc, CMake, Ninja and Python with PyTorch, cuDNN and NCCL. OpenCV,
# Pango and pkg-config stay here: the build does without. libc, libstdc++ and libgomp are that
# machine's own, which come with its compiler.
set -euo pipefail

packages=(
  libdnnl-dev libdnnl2 ocl-icd-libopencl1 # libdnnl.so loads OpenCL
  libhwy-dev libhwy1
  libfmt-dev libfmt9 libspdlog-dev libspdlog1.10 libcli11-dev nlohmann-json3-dev libstb-dev
  libpugixml-dev libpugixml1v5 libyaml-cpp-dev libyaml-cpp0.7
  libcpp-httplib-dev libcpp-httplib0.11 libssl-dev libssl3 libbrotli-dev libbrotli1 zlib1g-dev zlib1g
  liblemon-dev libboost1.74-dev # headers
  libgtest-dev libzstd-dev libzstd1
)

case "${1:-}" in
  collect)
    folder=${2:-$(dirname "$0")/../build-packages}
    mkdir -p "$folder"
    cd "$folder"
    apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}" # _apt may not write here
    echo "${#packages[@]} packages in $folder, $(du -sh . | cut -f1)"
    ;;
  unpack)
    [ $# -eq 3 ] || { echo "usage: scripts/gpu_packages.sh unpack FOLDER PREFIX" >&2; exit 2; }
    found=0
    for package in "$2"/*.deb; do
      [ -f "$package" ] || { echo "$2: no packages; 'collect' downloads them" >&2; exit 1; }
      dpkg -x "$package" "$3"
      found=$((found + 1))
    done
    echo "$found packages unpacked below $3"
    ;;
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"
    ;;
  *)
    echo "usage: scripts/gpu_packages.sh collect [FOLDER] | unpack FOLDER PREFIX" >&2
    exit 2
    ;;
esac
