"""COCO's results of all images of a folder.

python3 folder.py x.cfg x.weights x.names images out.json
"""

import json
import sys
from pathlib import Path

import darknet_focal

cfg, weights, names, folder, out = sys.argv[1:]
detector = darknet_focal.Detector(cfg, weights, names=names)
kinds = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp"}
images = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in kinds)
results = []
for image_id, image in enumerate(images, start=1):
    try:
        results += detector(image).to_coco(image_id)
    except darknet_focal.Error as error:  # one that cannot be read
        print(error, file=sys.stderr)
Path(out).write_text(json.dumps(results))
print(f"{len(results)} objects in {len(images)} images -> {out}")
