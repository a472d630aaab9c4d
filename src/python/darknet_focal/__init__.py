"""Detection, training and losses of Darknet Focal. docs/python.md describes the package.

    import darknet_focal

    detector = darknet_focal.Detector("yolov4-tiny.cfg", "yolov4-tiny.weights", names="coco.names")
    for found in detector("dog.jpg"):
        print(found.name, found.probability, found.xyxy)

Nothing is written to standard output; `log` of each function gets the messages.
"""

from ._darknet import Error, __version__
from .detector import Detector
from .errors import ArgumentError, MissingFileError
from .losses import class_losses, gradient, logit_losses, loss
from .results import DetectedObject, Detections
from .training import (
    ClassFigures,
    EvaluationFigures,
    TrainingIteration,
    TrainingResult,
    evaluate,
    synth,
    train,
)

Error.__module__ = __name__

__all__ = [
    "ArgumentError",
    "ClassFigures",
    "DetectedObject",
    "Detections",
    "Detector",
    "Error",
    "EvaluationFigures",
    "MissingFileError",
    "TrainingIteration",
    "TrainingResult",
    "__version__",
    "class_losses",
    "evaluate",
    "gradient",
    "logit_losses",
    "loss",
    "synth",
    "train",
]
