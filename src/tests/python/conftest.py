"""A small made-up network, its data set, and the program to compare with.

The variables DARKNET_PROGRAM and DARKNET_SOURCE name the built program and the checkout.
"""

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

CFG = """[net]
batch=2
subdivisions=1
width=32
height=32
channels=3
learning_rate=0.002
max_batches=4

[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=16
size=3
stride=4
pad=1
activation=linear

[yolo]
mask=0,1
anchors=6,6, 12,12
classes=3
num=2
"""
WEIGHTS = 4 * 4 + 4 * 27 + 16 + 16 * 4 * 9  # of both convolutions
IMAGES = 4


class Workspace:
    def __init__(self, folder: Path):
        self.folder = folder
        self.cfg, self.weights = folder / "x.cfg", folder / "x.weights"
        self.data, self.names = folder / "x.data", folder / "x.names"
        self.cfg.write_text(CFG)
        values = np.random.default_rng(3).normal(0, 0.5, WEIGHTS).astype("<f4")
        values[12:16] = 1  # the variances of the batch normalisation
        self.weights.write_bytes(struct.pack("<iiiQ", 0, 2, 5, 0) + values.tobytes())
        self.names.write_text("red\ngreen\nblue\n")
        self.data.write_text(
            "classes=3\ntrain=train.txt\nvalid=train.txt\nnames=x.names\nbackup=backup\n"
        )
        self.images = [self._image(i) for i in range(IMAGES)]
        (folder / "train.txt").write_text("".join(f"{p.name}\n" for p in self.images))

    def _image(self, index: int) -> Path:
        path = self.folder / f"{index}.ppm"
        pixels = self.pixels(index)
        header = f"P6 {pixels.shape[1]} {pixels.shape[0]} 255\n".encode()
        path.write_bytes(header + pixels.tobytes())
        side = 16 + 4 * index
        box = [(4 + side / 2) / 48, (6 + side / 2) / 40, side / 48, side / 40]
        path.with_suffix(".txt").write_text(f"{index % 3} {' '.join(map(str, box))}\n")
        return path

    @staticmethod
    def pixels(index: int) -> np.ndarray:
        pixels = np.random.default_rng(index).integers(0, 90, (40, 48, 3), dtype=np.uint8)
        side = 16 + 4 * index
        pixels[6 : 6 + side, 4 : 4 + side, index % 3] = 255
        return pixels

    def darknet(self, *arguments: object) -> str:
        """What the program prints, run in the folder; it must succeed."""
        ran = subprocess.run(
            [os.environ["DARKNET_PROGRAM"], *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def detected(self, *images: Path) -> list:
        """The objects that `darknet detect` finds in each image, from its JSON."""
        self.darknet(
            "detect", "x.cfg", "x.weights", *images, "-names", "x.names", "-thresh", ".2",
            "-nms", ".45", "-nogpu", "-out", "found.json", "-dont_show",
        )  # fmt: skip
        return [frame["objects"] for frame in json.loads((self.folder / "found.json").read_text())]


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)
