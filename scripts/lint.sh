#!/usr/bin/env bash
# scripts/lint.sh BUILD_DIR: clang-format over src/, then clang-tidy over what BUILD_DIR compiles,
# tests included. Ends with 1 on any finding. A file without findings is looked at again when it, a
# header that it includes, its compiler flags, a .clang-tidy or the version of clang-tidy change;
# BUILD_DIR/lint remembers it.
# TIDY_FILES='src/core/*.cpp' looks at fewer files, JOBS=1 at one at a time.
set -euo pipefail
build=${1:?usage: scripts/lint.sh BUILD_DIR}
[ "${build#/}" != "$build" ] || build=$PWD/$build
cd "$(dirname "$0")/.."

for tool in clang-format clang-tidy ninja python3; do
  command -v "$tool" >/dev/null || {
    echo "lint: no $tool; install: sudo apt-get install clang-format clang-tidy ninja-build python3" >&2
    exit 1
  }
done
[ -f "$build/compile_commands.json" ] || {
  echo "lint: no $build/compile_commands.json; run make build first" >&2
  exit 1
}

# Files that git knows, or would (-o), and that are really there.
sources() {
  git ls-files -z -co --exclude-standard -- "$@" | sort -zu | while IFS= read -rd '' file; do
    [ ! -f "$file" ] || printf '%s\0' "$file"
  done
}

status=0
sources 'src/*.cpp' 'src/*.h' | xargs -0r clang-format --dry-run -Werror || status=1
sources "${TIDY_FILES:-src/*.cpp}" | python3 scripts/lint_rules.py "$build"
ninja -C "$build/lint" -k 0 -j "${JOBS:-$(nproc)}" || status=1
[ $status -ne 0 ] || echo 'lint: no findings'
exit $status
