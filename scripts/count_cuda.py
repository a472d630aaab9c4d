#!/usr/bin/env python3
"""What the kernels of a run on the emulated GPU (docs/cuda.md) execute, and how long a card needs for it.

    EMULATED_GPU_STATISTICS=run.json LD_PRELOAD=.../libemulated_gpu.so build-cuda/darknet ...
    scripts/count_cuda.py run.json [--steps N] [--images N] [--rows N]

A line for each kernel, per step: launches, threads, PTX instructions, instructions and bytes of
global memory per thread, and a lower bound of its time: the larger of its instructions at the rate
at which a card issues them and its bytes at the bandwidth of its memory. The run does N steps
(--steps); --images scales what is counted to another number of images, but for the kernels that
work on parameters. cuDNN's kernels are not among them. The file is appended to by every run.
"""
import argparse
import json
import re
import subprocess
import sys

# H100 SXM: 132 processors that issue 128 instructions a clock at 1.755 GHz; HBM3.
ISSUED = 132 * 128 * 1.755e9
BANDWIDTH = 3.35e12
# Work on parameters, whatever the number of images.
OF_PARAMETERS = ("arrays_kernel", "InRows<", "NotFinite", "MarkNotFinite", "fold_", "FoldWeights", "FoldBias")
NO_COUNTS = ("kernel", "launches", "threads", "global_bytes")


def short(name):
    name = re.sub(r"darknet::|\(anonymous namespace\)::|cuda_tu::|activations::|optimizers::|^void ", "", name)
    depth, end = 0, len(name)
    for i, c in enumerate(name):
        depth += c == "<"
        depth -= c == ">"
        if c == "(" and depth == 0:
            end = i
            break
    return name[:end]


def read(file):
    """The kernels of all runs in the file, by name."""
    kernels = {}
    try:
        with open(file, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        if not rows or not all({"kernel", "launches", "threads"} <= row.keys() for row in rows):
            raise ValueError("no counts of kernels")
    except (OSError, ValueError, AttributeError) as error:
        sys.exit(f"count_cuda: {file}: not what EMULATED_GPU_STATISTICS writes: {error}")
    names = subprocess.run(["c++filt"], input="\n".join(r["kernel"] for r in rows), capture_output=True,
                           text=True, check=True).stdout.splitlines()
    for row, name in zip(rows, names):
        total = kernels.setdefault(short(name), dict.fromkeys(("launches", "threads", "bytes", "instructions"), 0))
        total["launches"] += row["launches"]
        total["threads"] += row["threads"]
        total["bytes"] += row.get("global_bytes", 0)
        total["instructions"] += sum(v for k, v in row.items() if k not in NO_COUNTS)
    return kernels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--steps", type=int, default=1, help="steps of the run (1)")
    parser.add_argument("--images", type=float, default=1, help="times the images of the run (1)")
    parser.add_argument("--rows", type=int, default=20, help="kernels that are printed (20)")
    a = parser.parse_args()
    if a.steps < 1 or a.images <= 0:
        parser.error("--steps and --images: expected numbers above 0")
    lines, total = [], [0, 0, 0, 0]
    for name, k in read(a.file).items():
        factor = (1 if any(p in name for p in OF_PARAMETERS) else a.images) / a.steps
        instructions, data = k["instructions"] * factor, k["bytes"] * factor
        times = instructions / ISSUED, data / BANDWIDTH
        lines.append((max(times), instructions, k["launches"] / a.steps, k, name))
        for i, v in enumerate((instructions, data, max(times), k["launches"] / a.steps)):
            total[i] += v
    print(f"{'ms':>7} {'launches':>8} {'10^6 instructions':>17} {'per thread':>10} {'bytes':>7}  kernel")
    for time, instructions, launches, k, name in sorted(lines, key=lambda line: -line[0])[:a.rows]:
        print(f"{1e3 * time:7.3f} {launches:8.0f} {instructions / 1e6:17.1f} "
              f"{k['instructions'] / k['threads']:10.1f} {k['bytes'] / k['threads']:7.1f}  {name[:90]}")
    print(f"{1e3 * total[2]:7.3f} {total[3]:8.0f} {total[0] / 1e6:17.1f}  all: {1e3 * total[0] / ISSUED:.2f} ms of "
          f"instructions, {1e3 * total[1] / BANDWIDTH:.2f} ms of memory ({total[1] / 1e9:.2f} GB)")


if __name__ == "__main__":
    main()
