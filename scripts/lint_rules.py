#!/usr/bin/env python3
"""lint_rules.py BUILD_DIR <FILES: writes BUILD_DIR/lint/build.ninja, a clang-tidy run for each file.

FILES are paths from the repository's root, each ended by a zero byte. A run depends on the headers
that the last build in BUILD_DIR has seen, so that ninja looks at changed files only; in a unity build
these are the headers of all files that are compiled together.
"""
import hashlib
import json
import os
import re
import subprocess
import sys

# The commands are the host compiler's: clang need not know all of its flags. A finding in a header is
# that of every file that includes it.
# Findings are on its standard output; the other one counts also what is not shown.
TIDY = (
    "nice clang-tidy -p . --quiet --extra-arg=-Wno-unknown-warning-option "
    "--extra-arg=-Wno-ignored-optimization-argument $in 2>$out.log || { cat $out.log; false; }"
)


def sources_of(path):
    """The file itself, or those that it includes if it is one of CMake's unity files."""
    if not os.path.basename(path).startswith("unity_"):
        return [path]
    with open(path, encoding="utf-8") as unity:
        names = re.findall(r'^#include "(.*)"$', unity.read(), re.MULTILINE)
    return [os.path.realpath(name) for name in names]


def commands(build):
    """The compile command of each source file, by its absolute path.

    clang-tidy reads neither nvcc's commands nor the headers that GCC has precompiled; without those
    it also finds a file that does not include what it uses.
    """
    found = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as database:
        for entry in json.load(database):
            path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
            if "nvcc" in entry["command"] or os.path.basename(path).startswith("cmake_pch."):
                continue
            entry["command"] = re.sub(
                r" -Winvalid-pch| -include \S*/cmake_pch\.hxx", "", entry["command"]
            )
            for source in sources_of(path):
                command = entry["command"].replace(entry["file"], source)
                found[source] = {**entry, "file": source, "command": command}
    return found


def included_headers(build, root):
    """The repository's headers that each source file includes, by its absolute path."""
    listed = subprocess.run(
        ["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        sys.exit(f"lint: {build} is not a build by ninja: {listed.stderr.strip()}")
    found = {}
    for block in listed.stdout.split("\n\n"):
        paths = [os.path.realpath(os.path.join(build, line.strip())) for line in block.split("\n")[1:]]
        paths = [path for path in paths if os.path.exists(path)]
        if not paths:
            continue
        headers = {
            path
            for path in paths[1:]
            if path.startswith(root + os.sep) and not path.endswith((".cpp", ".cxx"))
        }
        for source in sources_of(paths[0]):
            found.setdefault(source, set()).update(headers)
    return found


def version_file(folder):
    """A file that changes when clang-tidy becomes another version."""
    version = subprocess.run(
        ["clang-tidy", "--version"], capture_output=True, text=True, check=True
    ).stdout
    path = os.path.join(folder, "clang-tidy.version")
    if not os.path.exists(path) or open(path, encoding="utf-8").read() != version:
        with open(path, "w", encoding="utf-8") as out:
            out.write(version)
    return path


def escape(path):
    return re.sub(r"([$ :])", r"$\1", path)


def main():
    build = os.path.realpath(sys.argv[1])
    root = os.path.realpath(os.curdir)
    folder = os.path.join(build, "lint")
    os.makedirs(folder, exist_ok=True)
    known = commands(build)
    headers = included_headers(build, root)
    rules = [f"rule tidy\n  command = {{ {TIDY}; }} && touch $out # $flags\n  description = clang-tidy $in\n"]
    configs = [os.path.join(root, path) for path in (".clang-tidy", "src/tests/.clang-tidy")]
    configs = [path for path in configs if os.path.exists(path)]
    for_all = [*configs, version_file(folder)]
    chosen, left_out = [], []
    for path in filter(None, sys.stdin.read().split("\0")):
        absolute = os.path.join(root, path)
        (chosen if absolute in known else left_out).append(absolute)
    for path in chosen:
        inputs = [*sorted(headers.get(path, [])), *for_all]
        stamp = os.path.relpath(path, root) + ".stamp"
        os.makedirs(os.path.dirname(os.path.join(folder, stamp)), exist_ok=True)
        flags = hashlib.sha256(known[path]["command"].encode()).hexdigest()[:16]
        rules.append(
            f"build {escape(stamp)}: tidy {escape(path)} | {' '.join(map(escape, inputs))}\n"
            f"  flags = {flags}\n"
        )
    if left_out:
        names = " ".join(os.path.relpath(path, root) for path in left_out)
        print(f"lint: not in this build, left out: {names}", flush=True)
    if not chosen:
        sys.exit(f"lint: {build} compiles no file that was asked for; run make build first")
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as out:
        json.dump(list(known.values()), out)
    with open(os.path.join(folder, "build.ninja"), "w", encoding="utf-8") as out:
        out.write("\n".join(rules))


main()
