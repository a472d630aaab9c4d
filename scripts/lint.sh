#!/usr/bin/env bash
# scripts/lint.sh BUILD_DIR: clang-format over src/, then clang-tidy over what BUILD_DIR compiles,
# tests included. Ends with 1 on any finding. TIDY_FILES='src/core/*.cpp' looks at fewer files, JOBS=1
# at one at a time.
set -euo pipefail
build=${1:?usage: scripts/lint.sh BUILD_DIR}
[ "${build#/}" != "$build" ] || build=$PWD/$build
cd "$(dirname "$0")/.."

for tool in clang-format clang-tidy python3; do
  command -v "$tool" >/dev/null || {
    echo "lint: no $tool; install: sudo apt-get install clang-format clang-tidy python3" >&2
    exit 1
  }
done
database=$build/compile_commands.json
[ -f "$database" ] || { echo "lint: no $database; run make build first" >&2; exit 1; }

# Files that git knows, or would (-o), and that are really there.
sources() {
  git ls-files -z -co --exclude-standard -- "$@" | sort -zu | while IFS= read -rd '' file; do
    [ ! -f "$file" ] || printf '%s\0' "$file"
  done
}

status=0
sources 'src/*.cpp' 'src/*.h' | xargs -0r clang-format --dry-run -Werror || status=1

# clang-tidy reads neither nvcc's commands nor files that this build leaves out, nor the headers that
# GCC has precompiled: without them it also finds a file that does not include what it uses.
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT
known=$(python3 -c '
import json, os, re, sys
database, copy = sys.argv[1:]
entries = [e for e in json.load(open(database))
           if "nvcc" not in e["command"] and not re.search(r"/cmake_pch\.h[^/]*$", e["file"])]
for entry in entries:
    entry["command"] = re.sub(r" -Winvalid-pch| -include \S*/cmake_pch\.hxx", "", entry["command"])
    path = os.path.join(entry["directory"], entry["file"])
    print(os.path.relpath(os.path.realpath(path), os.path.realpath(".")))
json.dump(entries, open(copy, "w"))' "$database" "$commands/compile_commands.json")
tidy=()
left_out=()
while IFS= read -rd '' file; do
  if grep -qxF "$file" <<<"$known"; then tidy+=("$file"); else left_out+=("$file"); fi
done < <(sources "${TIDY_FILES:-src/*.cpp}")
[ ${#left_out[@]} -eq 0 ] || echo "lint: not in this build, left out: ${left_out[*]}"
[ ${#tidy[@]} -gt 0 ] || { echo "lint: $database names no file of src/; run make build first" >&2; exit 1; }

# The commands are the host compiler's: clang need not know all of its flags. A finding in a header
# is that of every file that includes it.
printf '%s\0' "${tidy[@]}" | xargs -0 -n 1 -P "${JOBS:-$(nproc)}" \
  nice clang-tidy -p "$commands" --quiet \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument \
  2> >(grep -vE '^[0-9]+ warnings? ' >&2) || status=1
[ $status -ne 0 ] || echo "lint: ${#tidy[@]} files, no findings"
exit $status
