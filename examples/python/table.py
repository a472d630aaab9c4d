"""What is found as a table of pandas, and for supervision, where these packages are installed.

python3 table.py x.cfg x.weights x.names dog.jpg
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Dict, List

import darknet_focal

cfg, weights, names, image = sys.argv[1:]
found = darknet_focal.Detector(cfg, weights, names=names)(image)

columns: Dict[str, List[Any]] = {"class": found.names, "confidence": found.confidence.tolist()}
for i, edge in enumerate(("left", "top", "right", "bottom")):
    columns[edge] = found.xyxy[:, i].tolist()
if find_spec("pandas"):
    print(import_module("pandas").DataFrame(columns))
else:
    print(*columns, sep=",")
    for row in zip(*columns.values()):
        print(*row, sep=",")

if find_spec("supervision"):
    print(
        import_module("supervision").Detections(
            xyxy=found.xyxy, confidence=found.confidence, class_id=found.class_id.astype(int)
        )
    )
