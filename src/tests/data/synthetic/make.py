#!/usr/bin/env python3
"""make.py FOLDER: writes synthetic.cfg and synthetic.weights, the same bytes every time.

The parameters are drawn, not trained, but spread as those of trained networks are: variances over
five decades, scales near zero and negative ones. The file is written here byte by byte, so that
the reader is tested against another program's writer.
"""
import math
import os
import random
import struct
import sys

HEAD = """[net]
batch=1
width=160
height=96
channels=3
"""

ANCHORS = "anchors=6,8, 14,12, 22,30, 48,36"


def conv(filters, size, activation="leaky", stride=1, groups=1):
    return {
        "filters": filters, "size": size, "activation": activation, "stride": stride,
        "groups": groups, "normalised": True
    }


def head_conv(filters):
    return {"filters": filters, "size": 1, "activation": "linear", "stride": 1, "groups": 1}


def yolo(mask):
    return f"[yolo]\nmask={mask}\n{ANCHORS}\nclasses=2\nnum=4\nscale_x_y=1.05\nnms_kind=greedynms\n"


# Each entry: a convolution with its number of input channels, or the text of another layer.
LAYERS = [
    (3, conv(8, 3, stride=2)),
    (8, conv(8, 3, groups=8)),  # depthwise
    (8, conv(4, 1, "linear")),
    (4, conv(8, 1)),
    (8, conv(8, 3, groups=8, stride=2)),
    (8, conv(8, 1, "linear")),
    (8, conv(16, 1, "mish")),
    (16, conv(16, 3, "swish", groups=16)),
    (16, conv(8, 1, "linear")),
    "[dropout]\nprobability=.15\n",
    "[shortcut]\nfrom=-5\nactivation=linear\n",  # 10: stride 4
    (8, conv(8, 3, stride=2, groups=2)),  # 11: stride 8
    "[maxpool]\nsize=3\nstride=1\n",
    "[route]\nlayers=-2\n",
    "[maxpool]\nsize=5\nstride=1\n",
    "[route]\nlayers=-1,-3,11\n",  # 15: 24 channels
    (24, conv(8, 1)),
    "[maxpool]\nsize=2\nstride=2\n",  # 17: stride 16
    (8, conv(12, 3)),
    (12, head_conv(14)),
    yolo("2,3"),
    "[route]\nlayers=18\n",
    "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n",  # 22: 6 channels
    "[upsample]\nstride=2\n",
    "[route]\nlayers=-1,16\n",  # 24: 14 channels, stride 8
    (14, conv(10, 1)),
    (10, head_conv(14)),
    yolo("0,1"),
]


def cfg_text():
    text = HEAD
    for layer in LAYERS:
        if isinstance(layer, str):
            text += "\n" + layer
            continue
        c = layer[1]
        text += "\n[convolutional]\n" + ("batch_normalize=1\n" if c.get("normalised") else "")
        for key in ("filters", "size", "stride", "groups"):
            text += f"{key}={c[key]}\n"
        text += f"pad=1\nactivation={c['activation']}\n"
    return text


class Draw:
    """Only sums and products of the generator's own numbers: equal on every machine."""

    def __init__(self):
        self.random = random.Random(20261125)

    def normal(self):
        return sum(self.random.random() for _ in range(12)) - 6

    def variance(self):
        exponent = int(self.random.random() * 17) - 13  # 2^-13 to 2^3
        return 2.0**exponent * (1 + self.random.random())

    def scale(self):
        kind = self.random.random()
        if kind < .1:
            return .01 * self.normal()  # as good as pruned
        return (-1 if kind < .2 else 1) * (.6 + .8 * self.random.random())


def parameters(draw, inputs, c):
    """In the order of the file: biases, then scales, means, variances, then weights."""
    fan_in = inputs // c["groups"] * c["size"]**2
    n = c["filters"]
    if not c.get("normalised"):
        entries = n // 2  # x y w h objectness class class, two anchors
        biases = [-2.0 if i % entries == 4 else .2 * draw.normal() for i in range(n)]
        return biases + [draw.normal() / math.sqrt(fan_in) for _ in range(n * fan_in)]
    variances = [draw.variance() for _ in range(n)]
    values = [.3 * draw.normal() for _ in range(n)]
    values += [draw.scale() for _ in range(n)]
    values += [.5 * draw.normal() * math.sqrt(v) for v in variances]
    values += variances
    for v in variances:  # so that what the convolution gives has about that variance
        values += [draw.normal() * math.sqrt(v / fan_in) for _ in range(fan_in)]
    return values


def weights_bytes():
    draw = Draw()
    values = []
    for layer in LAYERS:
        if not isinstance(layer, str):
            values += parameters(draw, *layer)
    seen = 64 * 1000
    return struct.pack("<3iQ", 0, 2, 5, seen) + struct.pack(f"<{len(values)}f", *values)


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "synthetic.cfg"), "w", encoding="ascii") as f:
        f.write(cfg_text())
    with open(os.path.join(folder, "synthetic.weights"), "wb") as f:
        f.write(weights_bytes())


if __name__ == "__main__":
    main()
