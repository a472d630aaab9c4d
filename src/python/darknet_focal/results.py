"""What is found in an image."""

from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union, overload

import numpy as np
import numpy.typing as npt

from . import _darknet


class DetectedObject(NamedTuple):
    class_id: int  # from 0
    name: str
    probability: float  # objectness times the probability of the class, 0..1
    objectness: float  # 0..1
    xyxy: Tuple[float, float, float, float]  # left, top, right, bottom in pixels


class Detections(Sequence[DetectedObject]):
    """The objects of one image, by falling probability: arrays of N rows, and a sequence.

    Boxes are float32, not rounded, and may reach beyond the image; (0, 0) is the outer corner of
    its first pixel.
    """

    def __init__(
        self, class_id: npt.NDArray[np.int32], numbers: npt.NDArray[np.float32], names: List[str]
    ) -> None:
        self.class_id = class_id  # (N,), from 0
        self.probability = numbers[:, 0]  # (N,), 0..1
        self.objectness = numbers[:, 1]  # (N,), 0..1
        self.xywh = numbers[:, 2:6]  # (N, 4): left, top, width, height in pixels
        self.cxcywhn = numbers[:, 6:10]  # (N, 4): centre and size as fractions of the image
        self.class_names = names  # of the network, by class_id

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """The probability, by the name that other packages use."""
        return self.probability

    @property
    def xyxy(self) -> npt.NDArray[np.float32]:
        """(N, 4): left, top, right, bottom in pixels."""
        corners = self.xywh.copy()
        corners[:, 2:] += corners[:, :2]
        return corners

    @property
    def names(self) -> List[str]:
        """The name of each object's class."""
        return [self.class_names[i] for i in self.class_id]

    def __len__(self) -> int:
        return len(self.class_id)

    @overload
    def __getitem__(self, at: int) -> DetectedObject: ...

    @overload
    def __getitem__(self, at: Union[slice, npt.NDArray[Any]]) -> "Detections": ...

    def __getitem__(
        self, at: Union[int, slice, npt.NDArray[Any]]
    ) -> Union[DetectedObject, "Detections"]:
        """One object; or, of a slice or an array of indices or truth values, a part."""
        if isinstance(at, (slice, np.ndarray)):
            return Detections(self.class_id[at], self._numbers()[at], self.class_names)
        class_id = int(self.class_id[at])
        left, top, right, bottom = (float(v) for v in self.xyxy[at])
        return DetectedObject(
            class_id,
            self.class_names[class_id],
            float(self.probability[at]),
            float(self.objectness[at]),
            (left, top, right, bottom),
        )

    def __iter__(self) -> Iterator[DetectedObject]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{o.name} {o.probability:.2f}" for o in self[:10])
        return f"Detections({shown}{', ...' if len(self) > 10 else ''})"

    def to_coco(self, image_id: int) -> List[Dict[str, Any]]:
        """COCO's results, as `darknet detector test -format coco` writes them.

        Boxes are clipped to the image. Networks with 80 classes get COCO's category ids, others
        class_id + 1.
        """
        return [
            {
                "image_id": image_id,
                "category_id": _darknet.category_id(int(class_id), len(self.class_names)),
                "bbox": [round(float(v), 4) for v in box],
                "score": float(f"{score:.7g}"),
            }
            for class_id, box, score in zip(self.class_id, self._clipped(), self.probability)
        ]

    def _numbers(self) -> npt.NDArray[np.float32]:
        scores = np.stack([self.probability, self.objectness], axis=1)
        return np.concatenate([scores, self.xywh, self.cxcywhn], axis=1)

    def _clipped(self) -> npt.NDArray[np.float64]:
        """Left, top, width, height in pixels, within the image."""
        fractions = self.cxcywhn.astype(np.float64)
        low = np.clip(fractions[:, :2] - fractions[:, 2:] / 2, 0, 1)
        high = np.clip(fractions[:, :2] + fractions[:, 2:] / 2, 0, 1)
        size = np.tile(self._image_size(), 2)
        clipped: npt.NDArray[np.float64] = np.concatenate([low, high - low], axis=1) * size
        return clipped

    def _image_size(self) -> npt.NDArray[np.float64]:
        """Width and height in pixels: the ratio of a box in pixels to its fractions."""
        if len(self) == 0:
            return np.zeros(2)
        at = self.cxcywhn[:, 2:].argmax(axis=0)
        sides = np.arange(2)
        pixels = self.xywh[at, 2 + sides].astype(np.float64)
        size: npt.NDArray[np.float64] = np.rint(pixels / self.cxcywhn[at, 2 + sides])
        return size
