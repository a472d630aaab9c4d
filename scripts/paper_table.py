#!/usr/bin/env python3
"""The figures of scripts/reproduce_paper.sh as a table.

  paper_table.py edges TUNING/results.json         values that a tuning sweep asks for next
  paper_table.py table PROGRAM DATA OUT [NOTE...]  scores every run and writes OUT/table.md

Scores are kept in OUT/scores; a run is not scored again while its files are the same.
"""
import glob
import hashlib
import json
import os
import statistics
import subprocess
import sys

import script_tools as tools
from script_tools import DataError

ROWS = {
    "yolov2": "YOLOv2 as published (squared error, target IoU)",
    "ce": "cross-entropy, with prior",
    "balanced_ce": "weighted cross-entropy (eq. 4), alpha .75",
    "focal": "focal loss (eq. 5), gamma 2",
    "alpha-focal": "weighted focal loss (eq. 6), gamma 2, alpha .25",
}
FIGURES = (
    ("loss-gamma", "focal loss and its gradient against p_t"),
    ("loss-rows", "the losses of the rows"),
    ("training", "the rows while they train, first seed each: shares of the gradient, mean p"),
    ("imbalance-ce", "cumulative loss of objects and background, cross-entropy"),
    ("imbalance-alpha-focal", "the same, weighted focal loss"),
)
# Of the paper: its data set, number of runs and settings are not given.
PAPER = (("YOLOv2", 54.0), ("Fast R-CNN", 59.7), ("YOLOv2 with focal loss", 61.1))
COLUMNS = ("AP50, 11 points", "AP50, area", "AP[.5:.95]", "small", "medium", "large")


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise DataError(f"{path}: malformed JSON: {error}") from None


def read_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def missing_values(path):
    """Weights of the objectness to be tried next, of a tuning whose best is at an edge."""
    if not os.path.exists(path):
        return []
    groups = read_json(path).get("choice", {}).get("groups", [])
    values = [e["add"] for g in groups for e in g["edges"] if e["key"] == "obj_normalizer"]
    return list(dict.fromkeys(values))


def checksum(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


class Scorer:
    def __init__(self, program, data, out):
        self.program, self.data = program, data
        self.folder = os.path.join(out, "scores")
        os.makedirs(self.folder, exist_ok=True)

    def score(self, name, words):
        """The columns, of `detector map DATA words`; None where there is nothing of that kind."""
        found = {}
        scored = json.dumps([checksum(w) for w in (self.data, *words) if os.path.isfile(w)]) + "\n"
        mark = os.path.join(self.folder, f"{name}.sha256.json")
        kept = os.path.exists(mark) and read_text(mark) == scored
        for points in (11, 0):
            file = os.path.join(self.folder, f"{name}-points{points}.json")
            if not kept or not os.path.exists(file):
                subprocess.run([self.program, "detector", "map", self.data, *words, "-points",
                                str(points), "-out", file], check=True, stdout=subprocess.DEVNULL)
            found[points] = read_json(file)
        if not kept:
            tools.write_text(mark, scored)
        coco = found[0]["coco"]
        sizes = [coco[size]["ap"] for size in ("small", "medium", "large")]
        return [found[11]["map"], found[0]["map"], coco["ap"],
                *(None if v is None or v < 0 else v for v in sizes)]

    def sweep(self, folder, prefix):
        """Variant -> [(columns, seconds)] of its finished runs, and how many diverged."""
        path = os.path.join(folder, "results.json")
        found, diverged = {}, {}
        if not os.path.exists(path):
            return found, diverged
        results = read_json(path)
        for variant in results["variants"]:
            found[variant["name"]] = []
            diverged[variant["name"]] = variant["diverged"]
        for run in results["runs"]:
            if run["state"] != "finished":
                continue
            where = os.path.join(folder, f"{run['variant']}-seed{run['seed']}")
            weights = glob.glob(os.path.join(glob.escape(where), "*_final.weights"))
            cfg = os.path.join(where, os.path.basename(results["cfg"]))
            if len(weights) != 1:
                raise DataError(f"{where}: expected one *_final.weights")
            columns = self.score(f"{prefix}-{os.path.basename(where)}", [cfg, weights[0]])
            found[run["variant"]].append((columns, run["training_seconds"]))
        return found, diverged

    def two_stage(self, folder):
        runs = []
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "seed*_run.json"))):
            detections = path.replace("_run.json", ".json")
            name = f"two-stage-{os.path.basename(path).split('_')[0]}"
            runs.append((self.score(name, ["-detections", detections]),
                         read_json(path)["training_seconds"]))
        return runs


def cell(values):
    values = [100 * v for v in values if v is not None]
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.1f}"


def row(name, runs, diverged=0):
    cells = [cell([columns[i] for columns, _ in runs]) for i in range(len(COLUMNS))]
    seconds = f"{statistics.fmean(s for _, s in runs):.0f} s" if runs else "-"
    count = f"{len(runs)}" + (f" ({diverged} diverged)" if diverged else "")
    return f"| {name} | {count} | {' | '.join(cells)} | {seconds} |"


def confirmed_rows(scorer, out, notes):
    """None before all runs of the confirmation have ended, which is noted."""
    folder = os.path.join(out, "tuning", "confirm")
    results = os.path.join(folder, "results.json")
    if not os.path.exists(results):
        return []
    variants = read_json(results)["variants"]
    missing = sum(v["missing"] for v in variants)
    if missing:
        notes.append(f"The confirmed rows are left out: {missing} of the confirmation's runs are "
                     "missing. The same call resumes.")
        return []
    found, diverged = scorer.sweep(folder, "confirm")
    keys = {v["name"]: v["keys"] for v in variants}
    lines = []
    for name, runs in found.items():
        short = " ".join(k.rsplit(".", 1)[-1] for k in keys[name])
        lines.append(row(f"confirmed on fresh seeds: {short}", runs, diverged[name]))
    return lines


def table(program, data, out, notes):
    scorer = Scorer(program, data, out)
    found, diverged = scorer.sweep(os.path.join(out, "rows"), "rows")
    lines = [f"| | runs | {' | '.join(COLUMNS)} | training |",
             f"|---|{'---|' * (len(COLUMNS) + 2)}"]
    lines += [row(ROWS.get(name, name), runs, diverged[name]) for name, runs in found.items()]
    notes = list(notes)
    lines += confirmed_rows(scorer, out, notes)
    runs = scorer.two_stage(os.path.join(out, "two-stage"))
    if runs:
        lines.append(row("two-stage: Faster R-CNN from random weights", runs))
    text = ["# The paper's table", "",
            f"Per cent on valid= of {data}, mean ± standard deviation over the runs.", "", *lines, "",
            "The rows have different numbers of runs, and chance alone makes differences of about "
            "their standard deviations: `rows/table.txt` and `tuning/table.txt` have the paired "
            "intervals. Sizes are COCO's, in pixels of the image (-: no such objects). The training "
            "times are of this machine, while other runs shared it.", "",
            *(note + "\n" for note in notes),
            "## Not the same data", "",
            "The paper gives these figures, as mAP in per cent, without data set, settings and "
            "number of runs. They are here to be named, not to be compared with.", "",
            "| | mAP |", "|---|---|", *(f"| {name} | {value:.1f} |" for name, value in PAPER), ""]
    figures = [f"- ![{about}](figures/{name}.svg) {about}" for name, about in FIGURES
               if os.path.exists(os.path.join(out, "figures", name + ".svg"))]
    if figures:
        text += ["## Figures", "", *figures, ""]
    tools.write_text(os.path.join(out, "table.md"), "\n".join(text))
    print("\n".join(text[:text.index("## Figures")] if figures else text))


def main():
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "edges":
        print(",".join(missing_values(words[1])))
    elif len(words) >= 4 and words[0] == "table":
        try:
            table(*words[1:4], words[4:])
        except subprocess.CalledProcessError as error:
            raise DataError(f"{' '.join(error.cmd)} ended with {error.returncode}") from None
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    tools.run(main)
