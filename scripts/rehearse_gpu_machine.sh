#!/usr/bin/env bash
# scripts/rehearse_gpu_machine.sh [COMMAND...]: runs a command as on a machine with a GPU that has
# little else and no network: the first contact is paid by the minute, a missing header is not found
# there. Default: all stages of check_gpu.py on emulated devices, with small networks.
# In namespaces of its own (no root needed) it hides every Debian package except KEPT and what those
# need, moves cuDNN and NCCL into Python's nvidia packages, as pip installs them, and has no network.
# STAGE=a runs one stage; a second call continues, as check_gpu.py does.
# It works in runs/rehearsal: tree (a copy of what git knows or does not ignore, with data/bccd),
# prefix (the packages of gpu_packages.sh), out. Needs Debian, nvcc, cuDNN and overlayfs.
set -euo pipefail
KEPT=(g++ ninja-build cmake python3 mawk gawk git util-linux mount iproute2 procps file)

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"; exit 0; fi
cd "$(dirname "$0")/.."
work=$PWD/runs/rehearsal

if [ "${REHEARSAL_INSIDE:-}" != yes ]; then
  [ -n "$(ls build-packages/*.deb 2>/dev/null)" ] || scripts/gpu_packages.sh collect
  mkdir -p "$work/tree" "$work/out" "$work/hidden"
  # Anew, but for what was built: CMake compiles every source that it finds.
  find "$work/tree" -mindepth 1 -maxdepth 1 ! -name build-gpu -exec rm -rf {} +
  git ls-files -z -co --exclude-standard | tar -c --null --ignore-failed-read -T - |
    tar -x -C "$work/tree"
  if [ -d data/bccd ]; then cp -rLpu data/bccd "$work/tree/data/"; fi
  [ -d "$work/prefix" ] || scripts/gpu_packages.sh unpack build-packages "$work/prefix"
  REHEARSAL_INSIDE=yes exec unshare --user --map-root-user --mount --net --pid --fork --mount-proc \
    "scripts/$(basename "$0")" "$@"
fi

# Files are hidden through these links, in a layer over /usr.
[ -L /bin ] && [ -L /lib ] && [[ $(readlink -f /usr/local/cuda) = /usr/* ]] || {
  echo "rehearse: /bin and /lib must be links into /usr, and /usr/local/cuda lie there" >&2
  exit 1
}

# The packages that stay: KEPT, the essential ones, and all that these depend on.
mapfile -t essential < <(dpkg-query -W -f='${Essential} ${Package}\n' | sed -n 's/^yes //p')
apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks \
  --no-replaces --no-enhances "${KEPT[@]}" "${essential[@]}" | sed -n 's/^\([a-z0-9].*\)/\1/p' |
  sed 's/:.*//' | sort -u >"$work/hidden/kept-packages"
dpkg-query -W -f='${binary:Package}\n' | awk -F: 'NR == FNR { kept[$1]; next } !($1 in kept)' \
  "$work/hidden/kept-packages" - >"$work/hidden/packages"

mount -t tmpfs none /mnt
mkdir /mnt/toolkit /mnt/upper /mnt/work
mount --bind /usr/local/cuda/ /mnt/toolkit
mount -t overlay none -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work /usr
sed 's|.*|/var/lib/dpkg/info/&.list|' "$work/hidden/packages" | xargs cat |
  grep -E '^/(usr/)?(s?bin|include|lib|share/(cmake|pkgconfig))' | sort -u >"$work/hidden/paths"
while read -r package; do
  cat "/var/lib/dpkg/info/$package.list" "/var/lib/dpkg/info/$package":*.list 2>/dev/null || true
done <"$work/hidden/kept-packages" | sort -u | comm -13 - "$work/hidden/paths" | while read -r path; do
  if [ -L "$path" ] || [ ! -d "$path" ]; then printf '%s\0' "$path"; fi
done | xargs -0 rm -f
mkdir /mnt/empty
for folder in include lib; do mount --bind /mnt/empty "/usr/local/$folder"; done

# As `pip install nvidia-cudnn-cu13 nvidia-nccl-cu13` leaves them: no libcudnn.so, only .so.9.
site=/mnt/site
for name in cudnn nccl; do
  mkdir -p "$site/nvidia/$name/lib" "$site/nvidia/$name/include"
  ln -s /mnt/toolkit/lib64/lib$name*.so.* "$site/nvidia/$name/lib/"
  ln -s /mnt/toolkit/include/$name*.h "$site/nvidia/$name/include/"
  find -L "/usr/local/cuda/lib64" /usr/local/cuda/include \( -name "lib$name*" -o -path "*/include/$name*" \) \
    ! -type d -delete
done
ip link set lo up

echo "hidden: $(wc -l <"$work/hidden/packages") packages; kept: $(wc -l <"$work/hidden/kept-packages")"
cd "$work/tree"
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} PYTHONPATH=$site PATH=/usr/local/cuda/bin:/usr/bin:/bin
if [ $# -eq 0 ]; then
  set -- scripts/check_gpu.py --small --emulated --deadline 100000 --prefix "$work/prefix" \
    --cmake=-DCMAKE_BUILD_TYPE=RelWithDebInfo --cmake=-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 \
    ${STAGE:+--stage "$STAGE"} "$work/out"
fi
"$@"
