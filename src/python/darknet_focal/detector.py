"""A trained network that finds objects in images."""

import os
from numbers import Integral
from typing import Any, Iterable, List, Optional, Sequence, Tuple, Union, overload

import numpy as np
import numpy.typing as npt

from . import _darknet
from .errors import (
    ArgumentError,
    Log,
    PathLike,
    given,
    naming_missing,
    number_of,
    path_of,
    require,
    strings_of,
)
from .results import Detections

Image = Union[PathLike, npt.NDArray[Any]]

_ORDERS = ("rgb", "bgr")


def _is_file(image: object) -> bool:
    return isinstance(image, (str, os.PathLike))


def _is_iterable(value: object) -> bool:
    """Also by __getitem__ alone, which Iterable does not know."""
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True


def _checked(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The array, or a copy where more than its rows have gaps."""
    if image.dtype != np.uint8:
        raise ArgumentError(
            f"an image of {image.dtype}; its values must be uint8, 0 to 255"
            " (for fractions: (image * 255).round().astype('uint8'))"
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ArgumentError(
            f"an image of the shape {image.shape}; expected (height, width) or"
            " (height, width, channels) with 1, 3 or 4 channels"
        )
    if image.size == 0:
        raise ArgumentError(f"an empty image: its shape is {image.shape}")
    channels = 1 if image.ndim == 2 else image.shape[2]
    row = image.shape[1] * channels
    gapless = image.strides[1] == channels and (image.ndim == 2 or image.strides[2] == 1)
    if gapless and abs(image.strides[0]) >= row:
        return image
    return np.ascontiguousarray(image)


def _sides_of(tile: Union[int, Sequence[int], None]) -> Tuple[int, int]:
    if tile is None:
        return 0, 0
    sides = tuple(tile) if isinstance(tile, Sequence) else (tile, tile)
    integral = all(isinstance(s, Integral) and not isinstance(s, bool) for s in sides)
    require(integral and len(sides) == 2, "tile", tile, "two integers, or one")
    return int(sides[0]), int(sides[1])


class Detector:
    """A network from a .cfg and its .weights.

    names: a .names file, or a list of names.
    device: "auto" (the first GPU, else the CPU), "cpu", "cuda", "cuda:1".
    precision: "" as the cfg has it, "f32", "bf16", "f16", "int8".
    threshold: least probability of a detection.
    nms: IoU above which the weaker of two boxes of a class goes, 0: none goes.
    batch: images of a forward pass. threads: of the CPU, 0: all.
    tile: (width, height) in pixels of the image, or one number for both: sliced inference for small
        objects in large images. overlap: share of a tile that the next one shows too.
        tiles_only: without a pass over the whole image.
    overrides: changes of the cfg, as ["net.0.width=608"].
    log: called with level and message.
    The others are the flags of `darknet detect`.

    Raises Error; MissingFileError where a file is not there. Any number of threads may call one
    Detector; their calls take turns. Other threads of Python run meanwhile.
    """

    def __init__(
        self,
        cfg: PathLike,
        weights: PathLike,
        *,
        names: Union[PathLike, Sequence[str], None] = None,
        device: str = "auto",
        precision: str = "",
        threshold: float = 0.25,
        nms: float = 0.45,
        batch: int = 1,
        threads: int = 0,
        tile: Union[int, Sequence[int], None] = None,
        overlap: float = 0.2,
        tiles_only: bool = False,
        letter_box: bool = False,
        calibrate: bool = False,
        exact: bool = False,
        tuning: Optional[PathLike] = None,
        overrides: Sequence[str] = (),
        log: Optional[Log] = None,
    ) -> None:
        file, class_names = None, None
        if isinstance(names, (str, os.PathLike)):
            file = path_of(names)
        elif names is not None:
            require(isinstance(names, Iterable), "names", names, "a file or a list of strings")
            class_names = [str(name) for name in names]
        integral = isinstance(batch, Integral) and not isinstance(batch, bool)
        require(integral, "batch", batch, "an integer")
        batch = int(batch)  # of NumPy's
        tile_width, tile_height = _sides_of(tile)
        options = given(
            names=file,
            class_names=class_names,
            device=device,
            precision=precision,
            threshold=threshold,
            nms=nms,
            batch=batch,
            threads=threads,
            tile_width=tile_width,
            tile_height=tile_height,
            overlap=overlap,
            tiles_only=tiles_only,
            letter_box=letter_box,
            calibrate=calibrate,
            exact=exact,
            tuning=None if tuning is None else path_of(tuning),
            overrides=strings_of("overrides", overrides),
            log=log,
        )
        with naming_missing(cfg, weights, file, tuning):
            self._detector = _darknet.Detector(path_of(cfg), path_of(weights), options)
        self._thresholds = (threshold, nms)
        self._batch = batch
        self._names = self._detector.class_names

    @overload
    def __call__(  # type: ignore  # a str is a sequence of str too: this one counts
        self,
        image: Image,
        *,
        threshold: Optional[float] = None,
        nms: Optional[float] = None,
        order: str = "rgb",
    ) -> Detections: ...

    @overload
    def __call__(
        self,
        image: Sequence[Image],
        *,
        threshold: Optional[float] = None,
        nms: Optional[float] = None,
        order: str = "rgb",
    ) -> List[Detections]: ...

    def __call__(
        self,
        image: Union[Image, Sequence[Image]],
        *,
        threshold: Optional[float] = None,
        nms: Optional[float] = None,
        order: str = "rgb",
    ) -> Union[Detections, List[Detections]]:
        """The objects in an image, or of each image of a list.

        image: a file's name; or an array of uint8, (height, width) or (height, width, channels)
        with 1, 3 or 4 channels, of which a fourth is ignored. Rows may have gaps.
        order: "rgb", or "bgr" as OpenCV has it; of arrays alone.
        Without threshold and nms, those of the Detector count. An image that cannot be read ends
        the call.
        """
        if order not in _ORDERS:
            raise ArgumentError(f"order {order!r} is neither 'rgb' nor 'bgr'")
        one = _is_file(image) or isinstance(image, np.ndarray)
        several = _is_iterable(image) and not isinstance(image, bytes)
        require(one or several, "an image", image, "a file's name, a NumPy array or a list of them")
        images: List[Any] = [image] if one else list(image)  # type: ignore[arg-type]
        limits = (
            self._thresholds[0] if threshold is None else number_of("threshold", threshold),
            self._thresholds[1] if nms is None else number_of("nms", nms),
        )
        found: List[Detections] = []
        while len(found) < len(images):
            part = images[len(found) : len(found) + self._batch]
            found += self._detect(part, order == "bgr", limits[0], limits[1])
        return found[0] if one else found

    def _detect(
        self, images: List[Any], blue_first: bool, threshold: float, nms: float
    ) -> List[Detections]:
        files = [i for i in images if _is_file(i)]
        if files and len(files) < len(images):  # a batch is of one kind
            return [d for i in images for d in self._detect([i], blue_first, threshold, nms)]
        if files:
            with naming_missing(*files):
                arrays = self._detector.detect_files([path_of(f) for f in files], threshold, nms)
        else:
            for image in images:
                if not isinstance(image, np.ndarray):
                    raise ArgumentError(
                        f"an image of the type {type(image).__name__}; expected a file's name or"
                        " a NumPy array"
                    )
            checked = [_checked(image) for image in images]
            arrays = self._detector.detect_arrays(checked, blue_first, threshold, nms)
        return [Detections(class_id, numbers, self._names) for class_id, numbers in arrays]

    @property
    def class_names(self) -> List[str]:
        """By class_id."""
        return list(self._names)

    @property
    def width(self) -> int:
        """Of the network's input, pixels."""
        return self._detector.width

    @property
    def height(self) -> int:
        """Of the network's input, pixels."""
        return self._detector.height

    @property
    def channels(self) -> int:
        """3: colour, 1: grey."""
        return self._detector.channels

    @property
    def device(self) -> str:
        """On which it computes: "cpu", "cuda:0"."""
        return self._detector.device
