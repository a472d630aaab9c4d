"""Trains, prints each iteration, and evaluates: python3 train.py x.data x.cfg runs/x 2000

Ctrl-C saves and ends; runs/x/x_last.weights as `weights` would resume.
"""

import sys

import darknet_focal

data, cfg, backup, iterations = sys.argv[1:]


def show(i: darknet_focal.TrainingIteration) -> None:
    print(
        f"{i.iteration} of {i.max_batches}: loss {i.loss:.3f}, {i.images_per_second:.1f} images/s"
    )


result = darknet_focal.train(data, cfg, backup=backup, max_batches=int(iterations), callback=show)
figures = darknet_focal.evaluate(data, cfg, result.weights)
print(f"mAP@0.5 {figures.map:.4f} on {figures.images} images")
