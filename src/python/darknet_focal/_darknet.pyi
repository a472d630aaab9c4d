from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

__version__: str

class Error(RuntimeError): ...

# Of each image the classes (N,) and the numbers (N, 10): probability, objectness, left, top, width,
# height in pixels, and the centre and the size as fractions of the image.
_Arrays = Tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

class Detector:
    def __init__(self, cfg: Path, weights: Path, options: Mapping[str, Any]) -> None: ...
    def detect_arrays(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        blue_first: bool,
        threshold: float,
        nms: float,
    ) -> List[_Arrays]: ...
    def detect_files(
        self, files: Sequence[Path], threshold: float, nms: float
    ) -> List[_Arrays]: ...
    @property
    def class_names(self) -> List[str]: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def device(self) -> str: ...

def category_id(class_id: int, classes: int) -> int: ...
def train(
    options: Mapping[str, Any], callback: Optional[Callable[[Dict[str, Any]], object]]
) -> Dict[str, Any]: ...
def evaluate(
    data: Path, cfg: Path, weights: Path, options: Mapping[str, Any]
) -> Dict[str, Any]: ...
def synth(folder: Path, options: Mapping[str, Any]) -> Path: ...
def logit_losses() -> List[str]: ...
def class_losses() -> List[str]: ...

_Values = Tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

def loss_of_logits(
    loss: str,
    logits: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    positives: npt.NDArray[np.bool_],
) -> _Values: ...
def loss_of_classes(
    loss: str, logits: npt.NDArray[np.float32], classes: int, true_classes: npt.NDArray[np.int32]
) -> _Values: ...
