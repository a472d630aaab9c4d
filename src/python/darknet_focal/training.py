"""Training, evaluation and synthetic scenes, as the commands of the same names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from . import _darknet
from .errors import (
    Log,
    PathLike,
    given,
    naming_missing,
    pair_of,
    path_of,
    require,
    strings_of,
)


@dataclass(frozen=True)
class TrainingIteration:
    """One iteration that has been made. A loss is a mean over its images."""

    iteration: int  # from 1
    max_batches: int  # of how many
    images_seen: int  # from the start of the training
    loss: float
    average_loss: float  # a running mean
    learning_rate: float
    images_per_second: float  # a running mean
    load_seconds: float  # waiting for the images
    step_seconds: float  # computing
    width: int  # of the network's input, pixels
    height: int
    map: Optional[float]  # mAP@0.5, 0..1, where this iteration was evaluated
    best_map: Optional[float]


@dataclass(frozen=True)
class TrainingResult:
    iterations: int  # made so far, with those of a training that was resumed
    stopped: bool  # by the callback
    weights: Path  # NAME_final.weights; where it was stopped NAME_last.weights
    best_map: Optional[float]


@dataclass(frozen=True)
class ClassFigures:
    """Of one class; fractions are 0..1."""

    name: str
    truths: int
    true_positives: int
    false_positives: int
    average_precision: float
    coco_ap: float  # AP@[.5:.95]; -1: no truths
    best_f1: float
    best_f1_threshold: float


@dataclass(frozen=True)
class EvaluationFigures:
    """The figures of `darknet detector map`: fractions, 0..1, and -1 where there is no object."""

    map: float
    precision: float
    recall: float
    f1: float
    average_iou: float
    best_f1: float
    best_f1_threshold: float
    coco_ap: float
    coco_ap50: float
    coco_ap75: float
    coco_ap_small: float
    coco_ap_medium: float
    coco_ap_large: float
    coco_ar100: float
    images: int
    classes: Tuple[ClassFigures, ...]


def _optional(path: Optional[PathLike]) -> Optional[Path]:
    return None if path is None else path_of(path)


def train(
    data: PathLike,
    cfg: PathLike,
    weights: Optional[PathLike] = None,
    *,
    callback: Optional[Callable[[TrainingIteration], object]] = None,
    backup: Optional[PathLike] = None,
    seed: Optional[int] = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    precision: str = "",
    max_batches: int = 0,
    epochs: float = 0,
    map: bool = False,
    map_epochs: float = 4,
    patience: int = 0,
    clear: bool = False,
    partial: int = 0,
    freeze: int = 0,
    save_every: int = 0,
    loader_threads: int = 0,
    cache_mb: int = 2048,
    max_bad: float = 0.01,
    bad_labels: str = "stop",
    exact: bool = False,
    deterministic: bool = False,
    tuning: Optional[PathLike] = None,
    log: Optional[Log] = None,
) -> TrainingResult:
    """Trains as `darknet detector train data cfg weights`: the same weights, bit for bit.

    callback: called with each TrainingIteration; where it returns False the training is saved and
    ends. Ctrl-C saves too, after the step in progress, and raises KeyboardInterrupt; what the
    callback raises is raised after saving. Weights BACKUP/NAME_last.weights resume. The other
    arguments are the flags of the command (darknet/training.h describes them); 0 or None: its
    defaults. One training at a time in a process. Other threads of Python run meanwhile.
    """
    require(callback is None or callable(callback), "callback", callback, "a function")
    options = given(
        data=path_of(data),
        cfg=path_of(cfg),
        weights=_optional(weights),
        backup=_optional(backup),
        seed=seed,
        overrides=strings_of("overrides", overrides),
        device=device,
        precision=precision,
        max_batches=max_batches,
        epochs=epochs,
        map=map,
        map_epochs=map_epochs,
        patience=patience,
        clear=clear,
        partial=partial,
        freeze=freeze,
        save_every=save_every,
        loader_threads=loader_threads,
        cache_mb=cache_mb,
        max_bad=max_bad,
        bad_labels=bad_labels,
        exact=exact,
        deterministic=deterministic,
        tuning=_optional(tuning),
        log=log,
    )

    def show(figures: Dict[str, Any]) -> object:
        return callback(TrainingIteration(**figures)) if callback else None

    with naming_missing(data, cfg, weights, tuning):
        return TrainingResult(**_darknet.train(options, show if callback else None))


def evaluate(
    data: PathLike,
    cfg: PathLike,
    weights: PathLike,
    *,
    device: str = "auto",
    precision: str = "",
    overrides: Sequence[str] = (),
    iou: float = 0.5,
    threshold: float = 0.25,
    points: int = 0,
    letter_box: bool = False,
    calibrate: bool = False,
    exact: bool = False,
    tuning: Optional[PathLike] = None,
    loader_threads: int = 0,
    bad_labels: str = "stop",
    log: Optional[Log] = None,
) -> EvaluationFigures:
    """The figures of `darknet detector map data cfg weights`, on valid= of the .data file.

    iou: least IoU of a true positive. threshold: least probability of a detection in precision,
    recall and F1. points: of the average precision, 0 the area under the curve, 11 or 101. The
    others are the flags of the command. Ctrl-C raises KeyboardInterrupt.
    """
    options = given(
        device=device,
        precision=precision,
        overrides=strings_of("overrides", overrides),
        iou=iou,
        threshold=threshold,
        points=points,
        letter_box=letter_box,
        calibrate=calibrate,
        exact=exact,
        tuning=_optional(tuning),
        loader_threads=loader_threads,
        bad_labels=bad_labels,
        log=log,
    )
    with naming_missing(data, cfg, weights, tuning):
        figures = _darknet.evaluate(path_of(data), path_of(cfg), path_of(weights), options)
    classes = tuple(ClassFigures(**c) for c in figures.pop("classes"))
    return EvaluationFigures(classes=classes, **figures)


def synth(
    folder: PathLike,
    *,
    images: int = 1000,
    test: Optional[int] = None,
    size: Tuple[int, int] = (416, 416),
    classes: int = 3,
    objects: Tuple[int, int] = (1, 6),
    object_size: Tuple[float, float] = (0, 0),
    clutter: int = 3,
    seed: int = 1,
    format: str = "jpg",
    threads: int = 0,
) -> Path:
    """Draws a data set of small objects on clutter, as `darknet synth`; returns its .data file.

    test: how many of the images are for valid=, None: a fifth. size: width and height, pixels.
    objects: least and most in an image. object_size: of their larger side, pixels; zeros: 4 to 14 %
    of the smaller side of the image. format: "jpg" or "png". The same seed draws the same bytes.
    """
    width, height = pair_of("size", size)
    min_objects, max_objects = pair_of("objects", objects)
    min_size, max_size = pair_of("object_size", object_size)
    options = given(
        images=images,
        test=test,
        width=width,
        height=height,
        classes=classes,
        min_objects=min_objects,
        max_objects=max_objects,
        min_size=min_size,
        max_size=max_size,
        clutter=clutter,
        seed=seed,
        format=format,
        threads=threads,
    )
    return _darknet.synth(path_of(folder), options)
