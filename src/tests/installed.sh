#!/usr/bin/env bash
# installed.sh BUILD FOLDER: installs BUILD into FOLDER, builds the examples and a program by
# pkg-config against that, and compares what they and the Python package find with `darknet detect`.
set -euo pipefail
build=${1:?usage: installed.sh BUILD FOLDER}
folder=${2:?usage: installed.sh BUILD FOLDER}
source=$(cd "$(dirname "$0")/../.." && pwd)
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

# As a packager does it: a prefix that the files will have, in a staging folder (DESTDIR).
DESTDIR=$folder/stage cmake --install "$build" --prefix /opt/darknet >install.log
prefix=$folder/stage/opt/darknet
libraries=$(dirname "$(find "$prefix" -name libdarknet.a)")
for header in "$source"/include/darknet/*.h version.h; do
  [ -s "$prefix/include/darknet/$(basename "$header")" ] || { echo "not installed: $header"; exit 1; }
done
for file in bin/darknet share/doc/darknet-focal/copyright \
  share/darknet/cfg/yolov3-tiny.cfg share/man/man1/darknet.1 \
  share/bash-completion/completions/darknet; do
  [ -s "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
left=$(find stage -type f | grep -v '^stage/opt/darknet/' || true)
[ -z "$left" ] || { echo "outside of the prefix: $left"; exit 1; }
named=$(grep -rlF -e "$source" -e "$build" stage || true)
[ -z "$named" ] || { echo "names a folder of the build: $named"; exit 1; }

input=("$source/cfg/scenes.cfg" "$source/data/scenes.weights" "$source/data/scene.png")
names=$source/data/scenes.names
"$prefix/bin/darknet" detect "${input[@]}" -names "$names" -ext_output -dont_show -nogpu |
  grep left_x >expected.txt
[ "$(wc -l <expected.txt)" -gt 3 ] || { echo "the command finds too little"; exit 1; }

compare() { # NAME PROGRAM
  "$2" "${input[@]}" "$names" >"$1.txt" 2>"$1.err" || { cat "$1.err"; exit 1; }
  [ ! -s "$1.err" ] || { echo "$1 wrote to standard error:"; cat "$1.err"; exit 1; }
  diff expected.txt "$1.txt"
  if "$2" none.cfg "${input[1]}" "${input[2]}" 2>"$1.err" || ! grep -q none.cfg "$1.err"; then
    echo "$1 does not say that the cfg is missing"
    exit 1
  fi
}

export OMP_WAIT_POLICY=passive CUDA_VISIBLE_DEVICES=
for language in cpp c; do
  CFLAGS='-Wall -Wextra -pedantic -Werror' CXXFLAGS='-std=c++17 -Wall -Wextra -pedantic -Werror' \
    cmake -S "$source/examples/$language" -B "$language" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
    >configure.log
  cmake --build "$language" >build.log || { cat build.log; exit 1; }
  compare "$language" "$language/boxes"
done

# The example that trains makes the weights of the command.
"$prefix/bin/darknet" synth scenes -n 6 -test 2 -size 96x96 >synth.log
sed 's/^batch=.*/batch=2/; s/^subdivisions=.*/subdivisions=1/' "$source/cfg/scenes.cfg" >tiny.cfg
"$prefix/bin/darknet" detector train scenes/scenes.data tiny.cfg -backup expected -max_batches 2 \
  -nogpu >train.log 2>&1
cpp/train scenes/scenes.data tiny.cfg trained 2 >train.txt 2>train.err || { cat train.err; exit 1; }
cmp expected/tiny_final.weights trained/tiny_final.weights
grep -q '^2 of 2: loss ' train.txt && grep -q '^mAP@0.5 ' train.txt || { cat train.txt; exit 1; }

if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$libraries/pkgconfig
  # shellcheck disable=SC2046 # words
  c++ -std=c++17 -o shared "$source/examples/cpp/main.cpp" $(pkg-config --cflags --libs darknet_focal) \
    "-Wl,-rpath,$libraries"
  compare shared ./shared
  # shellcheck disable=SC2046
  c++ -std=c++17 -o static "$source/examples/cpp/main.cpp" $(pkg-config --cflags darknet_focal) \
    "$libraries/libdarknet.a" $(pkg-config --libs --static darknet_focal | sed 's/-ldarknet//')
  DARKNET_MODULES=$prefix/lib/darknet compare static ./static
fi

# The Python package, where the build has it.
package=$(find "$prefix" -type d -name darknet_focal -path '*-packages/*')
python=$(sed -n 's/^_Python_EXECUTABLE:INTERNAL=//p' "$build/CMakeCache.txt")
if [ -n "$package" ] && "$python" -c 'import numpy' 2>/dev/null; then
  cat >boxes.py <<END
#!$python
import math, sys
sys.path.insert(0, "$(dirname "$package")")
import darknet_focal
cfg, weights, image, *names = sys.argv[1:]
found = darknet_focal.Detector(cfg, weights, names=names[0] if names else None)(image)
for name, p, box in zip(found.names, found.probability, found.xywh):
    left, top, width, height = (math.floor(v + 0.5) for v in box)
    place = f"left_x: {left:4}   top_y: {top:4}   width: {width:4}   height: {height:4}"
    print(f"{name}: {100 * p:.0f}%\t({place})")
END
  chmod +x boxes.py
  compare python ./boxes.py
fi

also=
if [ -d "$libraries/glibc-hwcaps" ]; then # a build for several processors: the program lies in the library
  also=darknet_main
  python3 "$source/src/tests/levels.py" "$prefix/bin/darknet" "$source"
fi
mapfile -t built < <(find "$libraries" -type f -name 'libdarknet.so.*')
[ ${#built[@]} -gt 0 ] || { echo "no libdarknet.so.* in $libraries" >&2; exit 1; }
for library in "${built[@]}"; do
  python3 "$source/src/tests/exports.py" "$library" "$prefix/include/darknet" $also
done
