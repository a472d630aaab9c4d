#!/usr/bin/env bash
# scripts/aarch64_sysroot.sh FOLDER: fills the new FOLDER with the arm64 libraries that the program
# and its tests link, for the preset aarch64 (docs/deploy.md). Unpacks packages only: it neither runs
# ARM code nor changes this system. Needs the packages mmdebstrap, g++-aarch64-linux-gnu and
# qemu-user-static. SUITE names another release than this machine's; its protobuf must be that of
# protoc here.
set -euo pipefail
root=${1:?usage: scripts/aarch64_sysroot.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
[ ! -e "$root" ] || { echo "aarch64_sysroot: $root exists already" >&2; exit 1; }
for tool in mmdebstrap aarch64-linux-gnu-g++ qemu-aarch64-static; do
  command -v "$tool" >/dev/null || {
    echo "aarch64_sysroot: no $tool; sudo apt-get install mmdebstrap g++-aarch64-linux-gnu qemu-user-static" >&2
    exit 1
  }
done

suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
packages=$("$here/install_deps.sh" --libraries)
compiler=$(aarch64-linux-gnu-g++ -dumpversion)
mmdebstrap --quiet --mode="$([ "$(id -u)" -eq 0 ] && echo root || echo unshare)" \
  --architectures=arm64 --variant=extract \
  --include="libc6-dev,libstdc++-${compiler%%.*}-dev,${packages// /,}" "$suite" "$root"

cd "$root"
# qemu reads a path below this folder where there is one: only libraries and what they read may be.
rm -rf tmp dev var bin sbin usr/bin usr/sbin usr/share/{doc,man,info,locale}
# Links of packages name a path of the running system.
find . -type l -lname '/*' | while read -r link; do
  target=.$(readlink "$link")
  [ ! -e "$target" ] || ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$target")" "$link"
done
# What update-alternatives does where packages are set up.
for name in blas lapack; do
  [ ! -e "usr/lib/aarch64-linux-gnu/$name/lib$name.so.3" ] ||
    ln -sf "$name/lib$name.so.3" usr/lib/aarch64-linux-gnu/
done
