#!/usr/bin/env python3
"""levels.py PROGRAM ROOT: a program of a build for several processors (DARKNET_LEVELS) runs the
library of the highest level that this processor has, and each of the others gives its results.

PROGRAM lies in the build folder or is installed; ROOT is the source folder.
"""
import array
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOADER = "/lib64/ld-linux-x86-64.so.2"
ALL = "x86-64"  # the level that every processor has
TOLERANCE = 1e-4  # of fractions of an image, probabilities and weights


def output(*words):
    """What a command prints; ends this script with its messages where it fails."""
    ran = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def library_of(program, *options):
    found = re.search(r"libdarknet\.so\S* => (\S+)", output(LOADER, *options, "--list", program))
    return Path(found.group(1)) if found else sys.exit(f"{program} loads no libdarknet.so")


def level_of(library):
    return library.parent.name if library.parent.parent.name == "glibc-hwcaps" else ALL


def only(level):
    """Options of the loader that leave out the libraries of other levels."""
    return ["--glibc-hwcaps-mask", level]


def levels_here(program):
    """Of which there is a library that this processor can run, the highest first."""
    supported = re.findall(r"^  (x86-64-v\d) \(supported", output(LOADER, "--help"), re.MULTILINE)
    beside = library_of(program, *only("none")).parent / "glibc-hwcaps"
    return [level for level in sorted(supported, reverse=True) if (beside / level).is_dir()] + [ALL]


def boxes(run, root, folder):
    run("detect", root / "cfg/scenes.cfg", root / "data/scenes.weights", root / "data/scene.png",
        "-thresh", "0.1", "-out", folder / "boxes.json", "-dont_show", "-nogpu")
    found = json.loads((folder / "boxes.json").read_text())[0]["objects"]
    values = []
    for box in found:
        place = box["relative_coordinates"]
        values += [box["class_id"], box["confidence"]] + [place[key] for key in sorted(place)]
    if len(found) < 4:
        sys.exit(f"only {len(found)} objects in data/scene.png")
    return values


def weights(run, root, folder):
    """After two steps of training on scenes."""
    run("synth", folder / "scenes", "-n", "6", "-test", "2", "-size", "96x96")
    cfg = (root / "cfg/scenes.cfg").read_text()
    cfg = re.sub(r"(?m)^batch=.*", "batch=2", re.sub(r"(?m)^subdivisions=.*", "subdivisions=1", cfg))
    (folder / "tiny.cfg").write_text(cfg)
    run("detector", "train", folder / "scenes/scenes.data", folder / "tiny.cfg", "-backup", folder,
        "-max_batches", "2", "-nogpu")
    return array.array("f", (folder / "tiny_final.weights").read_bytes()[20:])


def largest_difference(level, got, expected):
    if len(got) != len(expected):
        sys.exit(f"{level}: {len(got)} values, {ALL}: {len(expected)}")
    return max(abs(a - b) for a, b in zip(got, expected))


def main():
    program, root = (Path(word).resolve() for word in sys.argv[1:])
    os.environ["OMP_WAIT_POLICY"] = "passive"
    here = levels_here(program)
    chosen = level_of(library_of(program))
    if chosen != here[0]:
        sys.exit(f"the loader takes {chosen}, this processor has {here[0]}")
    results = {}
    for level in reversed(here):
        def run(*words, options=tuple(only(level))):
            return output(LOADER, *options, program, *words)
        if f"for {level}\n" not in run("version"):
            sys.exit(f"the library of {level} says that it is another:\n{run('version')}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            results[level] = {"boxes": boxes(run, root, folder),
                              "weights": weights(run, root, folder)}
        for what, got in results[level].items():
            largest = largest_difference(f"{what} of {level}", got, results[ALL][what])
            print(f"{level}: {what} differ by at most {largest:.2g}")
            if not largest <= TOLERANCE:
                sys.exit(f"more than {TOLERANCE}")
    print(f"runs {chosen}")


if __name__ == "__main__":
    main()
