"""The losses of `darknet loss list` on arrays, computed as training computes them, in float32."""

from typing import Any, List, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from . import _darknet
from .errors import ArgumentError, number_of, require

Key = Union[int, float]


def logit_losses() -> List[str]:
    """Those of the objectness, which are given targets."""
    return _darknet.logit_losses()


def class_losses() -> List[str]:
    """Those of the class scores, which are given classes."""
    return _darknet.class_losses()


def loss(
    name: str,
    logits: npt.ArrayLike,
    targets: Optional[npt.ArrayLike] = None,
    *,
    positives: Optional[npt.ArrayLike] = None,
    classes: Optional[npt.ArrayLike] = None,
    **keys: Key,
) -> npt.NDArray[np.float32]:
    """The loss of each logit with its target, or of each row of logits with its class.

    loss("focal", x, t, gamma=2, alpha=.25): x of any shape; t, 0..1, is broadcast to it, and so is
    positives, whether the anchor has an object (None: t > 0). The whole array is one batch to
    class_balanced, ghm and ohem.

    loss("softmax", x, classes=c): x of the shape (..., classes), c of the shape (...) holds the
    true class of each row, from 0. softmax and darknet_focal go through a softmax, the others through a
    sigmoid for each class; equalized_focal with g = 1.

    keys: those of the loss. Raises Error.
    """
    return _compute(name, logits, (targets, positives, classes), keys)[0]


def gradient(
    name: str,
    logits: npt.ArrayLike,
    targets: Optional[npt.ArrayLike] = None,
    *,
    positives: Optional[npt.ArrayLike] = None,
    classes: Optional[npt.ArrayLike] = None,
    **keys: Key,
) -> npt.NDArray[np.float32]:
    """The gradient of the sum of loss(...) in each logit, of the shape of the logits."""
    return _compute(name, logits, (targets, positives, classes), keys)[1]


_Arrays = Tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def _compute(
    name: str, logits: npt.ArrayLike, given: Tuple[Any, Any, Any], keys: "dict[str, Key]"
) -> _Arrays:
    targets, positives, classes = given
    require(isinstance(name, str), "the name of a loss", name, "a string")
    for key, value in keys.items():
        number_of(key, value)
    if (targets is None) == (classes is None):
        raise ArgumentError("a loss needs targets, or classes, and not both")
    text = name + ":" * bool(keys) + ",".join(f"{key}={value!r}" for key, value in keys.items())
    x = np.asarray(logits, dtype=np.float32)
    if targets is not None:
        return _of_logits(text, x, targets, positives)
    if positives is not None:
        raise ArgumentError("positives are given with targets alone")
    return _of_classes(text, x, np.asarray(classes))


def _broadcast(values: Any, dtype: Any, shape: Tuple[int, ...], what: str) -> npt.NDArray[Any]:
    array = np.asarray(values, dtype=dtype)
    try:
        return np.ascontiguousarray(np.broadcast_to(array, shape))
    except ValueError:
        raise ArgumentError(
            f"{what} of the shape {array.shape} for logits of the shape {shape}"
        ) from None


def _of_logits(text: str, x: npt.NDArray[np.float32], targets: Any, positives: Any) -> _Arrays:
    t = _broadcast(targets, np.float32, x.shape, "targets")
    p = t > 0 if positives is None else _broadcast(positives, np.bool_, x.shape, "positives")
    value, slope = _darknet.loss_of_logits(text, x, t, p)
    return value.reshape(x.shape), slope.reshape(x.shape)


def _of_classes(text: str, x: npt.NDArray[np.float32], classes: npt.NDArray[Any]) -> _Arrays:
    if x.ndim < 1 or classes.shape != x.shape[:-1]:
        raise ArgumentError(f"classes of the shape {classes.shape} for logits of {x.shape}")
    if not np.issubdtype(classes.dtype, np.integer):
        raise ArgumentError(f"classes of {classes.dtype}; expected integers")
    value, slope = _darknet.loss_of_classes(text, x, x.shape[-1], classes.astype(np.int32))
    return value.reshape(classes.shape), slope.reshape(x.shape)
