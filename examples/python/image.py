"""Prints the objects in an image: python3 image.py x.cfg x.weights x.names dog.jpg"""

import sys

import darknet_focal

cfg, weights, names, image = sys.argv[1:]
detector = darknet_focal.Detector(cfg, weights, names=names)
for found in detector(image):
    left, top, right, bottom = found.xyxy
    print(f"{found.name} {found.probability:.0%}: {left:.0f} {top:.0f} {right:.0f} {bottom:.0f}")
