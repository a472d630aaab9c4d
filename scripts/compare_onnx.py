#!/usr/bin/env python3
"""Compares `darknet export` with `darknet detect`: ONNX Runtime runs the models.

  python3 -m venv venv && venv/bin/pip install onnx onnxruntime
  venv/bin/python scripts/compare_onnx.py --darknet build/darknet [CFG ...] [--weights W ...]

Every cfg (default: all of cfg/), with random weights or those that are given, is exported in each way:
boxes as rows, as columns, with batch normalisation kept, for any batch, in half precision, raw, and
after non-maximum suppression. ONNX's checker reads each model. A Markdown table has the largest
difference of a probability, and of a side or centre of a box in fractions of the image (relative where
that is above 1), among all boxes; raw and nms are compared with what follows from the rows.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import network_files
from bench_peers import BenchError, anchors_of, decode, darknet_detections, largest_difference
from darknet_cfg import CfgError, output_layers, plan_layers, read_cfg

SEED = 1
CANDIDATES, OVERLAP = 500, .45  # of -decode nms


class Network:
    """A cfg with its weights and an image, in `folder`."""

    def __init__(self, darknet, cfg, weights, folder):
        import numpy
        self.darknet, self.cfg, self.folder = darknet, cfg, folder
        self.image, self.layers = plan_layers(read_cfg(cfg), None)
        self.heads = [self.layers[i] for i in output_layers(self.layers)]
        self.weights = weights or self.random_weights()
        rng = numpy.random.default_rng(SEED)
        self.bytes = rng.integers(0, 256, (*self.image[1:], 3), dtype=numpy.uint8)
        with open(self.path("image.ppm"), "wb") as file:
            file.write(b"P6 %d %d 255\n" % (self.image[2], self.image[1]) + self.bytes.tobytes())

    def path(self, name):
        return os.path.join(self.folder, name)

    def random_weights(self):
        path = self.path("random.weights")
        values = network_files.random_weights(self.image, self.layers, SEED)
        network_files.write_weights(path, self.layers, values)
        return path

    def pixels(self, batch=1):
        import numpy
        planes = self.bytes.transpose(2, 0, 1).astype(numpy.float32) / 255
        return numpy.stack([planes] * batch)

    def run(self, *options, batch=1):
        """The outputs of the exported model."""
        import onnx
        import onnxruntime
        path = self.path("net.onnx")
        command = [self.darknet, "export", self.cfg, self.weights, path, *options]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise BenchError(f"{' '.join(command)}: {ran.stderr.strip()}")
        onnx.checker.check_model(onnx.load(path), full_check=True)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: self.pixels(batch)})


def as_detections(network, rows):
    """Rows of anchors in the order of `darknet detect -thresh 0 -nms 0`: by head, cell and anchor."""
    import numpy
    found, at = [], 0
    for head in network.heads:
        _, h, w = network.layers[head.sources[0]].shape
        count = len(anchors_of(head))
        part = rows[at:at + count * h * w].reshape(count, h * w, -1).swapaxes(0, 1)
        at += count * h * w
        boxes = part[..., :4] / numpy.tile(network.image[:0:-1], 2)
        scores = part[..., 4:5] * part[..., 5:]
        found.append(numpy.hstack([boxes.reshape(-1, 4).repeat(scores.shape[-1], 0),
                                   scores.reshape(-1, 1)]))
    return numpy.vstack(found)


def of_columns(columns):
    """Rows whose objectness is 1."""
    import numpy
    rows = columns.T
    return numpy.hstack([rows[:, :4], numpy.ones_like(rows[:, :1]), rows[:, 4:]])


def raw_difference(network, rows):
    """Of what this script decodes from the raw outputs; None where it cannot."""
    if any(head.section.whole(key, 0) for head in network.heads
           for key in ("new_coords", "obj_calibrate")):
        return None
    found = []
    for head, raw in zip(network.heads, network.run("-decode", "raw")):
        decoded = decode(head, raw[0], network.image).transpose(1, 2, 0, 3)
        classes = decoded.shape[-1] - 4
        import numpy
        found.append(numpy.hstack([decoded[..., :4].reshape(-1, 4).repeat(classes, 0),
                                   decoded[..., 4:].reshape(-1, 1)]))
    return largest_difference(as_detections(network, rows), numpy.vstack(found))


def overlaps(box, others):
    """IoU of boxes (cx, cy, w, h)."""
    import numpy
    low = numpy.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = numpy.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    common = numpy.maximum(high - low, 0).prod(1)
    return common / (box[2:].prod() + others[:, 2:].prod(1) - common)


def suppressed(rows, threshold):
    """What is left of the rows: image, class, probability, box; by class and falling probability."""
    import numpy
    kept = []
    for k in range(rows.shape[1] - 5):
        scores = rows[:, 4] * rows[:, 5 + k]
        order = (scores > threshold).nonzero()[0]
        order = order[numpy.argsort(-scores[order], kind="stable")]
        while len(order):
            first, order = order[0], order[1:]
            kept.append([0, k, scores[first], *rows[first, :4]])
            order = order[overlaps(rows[first, :4], rows[order, :4]) <= OVERLAP]
    return numpy.array(kept)


def nms_difference(network, rows):
    """And how many detections there are, of a threshold that CANDIDATES boxes exceed."""
    import numpy
    best = numpy.sort((rows[:, 4:5] * rows[:, 5:]).ravel())[-CANDIDATES - 1:]
    threshold = float((best[0] + best[1]) / 2)
    found = network.run("-decode", "nms", "-thresh", repr(threshold), "-nms", str(OVERLAP))[0]
    found = found[numpy.lexsort((-found[:, 2], found[:, 1]))]
    expected = suppressed(rows, threshold)
    return largest_difference(expected, found), len(expected)


def text(number):
    return "-" if number is None else f"{number:.1e}"


def row_of(network):
    reference = darknet_detections(network.darknet, network)

    def difference(rows):
        return largest_difference(reference, as_detections(network, rows))
    rows = network.run()[0][0]
    many = network.run("-batch", "dynamic", batch=3)[0]
    if len(many) != 3:
        raise BenchError(f"{network.cfg}: {len(many)} images come out of 3")
    suppression, count = nms_difference(network, rows)
    return [difference(rows), difference(of_columns(network.run("-layout", "columns")[0][0])),
            difference(network.run("-fold", "0")[0][0]), max(difference(r) for r in many),
            raw_difference(network, rows), suppression, difference(network.run("-half")[0][0])], count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cfg", nargs="*")
    parser.add_argument("--weights", nargs="*", help="one for each cfg; default: random ones")
    parser.add_argument("--darknet", default="./darknet")
    options = parser.parse_args()
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cfg")
    cfgs = options.cfg or sorted(os.path.relpath(p) for p in glob.glob(os.path.join(folder, "*.cfg")))
    weights = options.weights or [None] * len(cfgs)
    if len(weights) != len(cfgs):
        parser.error(f"{len(weights)} weights for {len(cfgs)} cfgs")
    print("| cfg | rows | columns | -fold 0 | dynamic | raw | nms (detections) | -half |")
    print("|---|---|---|---|---|---|---|---|")
    for cfg, given in zip(cfgs, weights):
        with tempfile.TemporaryDirectory() as own:
            values, count = row_of(Network(options.darknet, cfg, given, own))
        cells = [text(v) for v in values]
        cells[5] += f" ({count})"
        print(f"| {os.path.basename(cfg)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (BenchError, CfgError, OSError) as problem:
        sys.exit(f"compare_onnx: {problem}")
    except json.JSONDecodeError as problem:
        sys.exit(f"compare_onnx: what darknet detect wrote cannot be read: {problem}")
