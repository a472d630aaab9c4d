import numpy as np
import pytest

import darknet_focal
from darknet_focal import class_losses, gradient, logit_losses, loss

X = np.array([[-3, -0.5, 0.25], [1, 2, -1]], np.float32)
T = np.array([[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize("name", logit_losses())
def test_every_loss_of_logits_has_its_gradient(name):
    value, slope = loss(name, X, T), gradient(name, X, T)
    assert value.shape == slope.shape == X.shape
    assert value.dtype == slope.dtype == np.float32
    assert np.all(np.isfinite(value)) and np.any(slope != 0)
    if name in ("class_balanced", "ghm", "ohem"):
        return  # their weights count as constants
    step = 1 / 64
    differences = (loss(name, X + step, T) - loss(name, X - step, T)) / (2 * step)
    assert slope == pytest.approx(differences, abs=1e-3, rel=2e-3)


@pytest.mark.parametrize("name", class_losses())
def test_every_loss_of_classes_has_its_gradient(name):
    own = np.array([2, 0])
    value, slope = loss(name, X, classes=own), gradient(name, X, classes=own)
    assert value.shape == (2,) and slope.shape == X.shape
    step = 1 / 64
    for at in np.ndindex(*X.shape):
        shift = np.zeros_like(X)
        shift[at] = step
        change = loss(name, X + shift, classes=own) - loss(name, X - shift, classes=own)
        assert slope[at] == pytest.approx(change.sum() / (2 * step), abs=1e-3, rel=5e-3)


def test_known_values():
    p = 1 / (1 + np.exp(-X.astype(float)))
    assert loss("ce", X, T) == pytest.approx(-np.where(T, np.log(p), np.log(1 - p)), rel=1e-5)
    p_t, alpha = np.where(T, p, 1 - p), np.where(T, 0.3, 0.7)
    focal = -alpha * (1 - p_t) ** 1.5 * np.log(p_t)
    assert loss("focal", X, T, gamma=1.5, alpha=0.3) == pytest.approx(focal, rel=1e-5)
    rows = np.log(np.exp(X.astype(float)).sum(axis=1)) - X[[0, 1], [2, 0]]
    assert loss("softmax", X, classes=[2, 0]) == pytest.approx(rows, rel=1e-5)


def test_arrays_are_broadcast():
    assert loss("ce", 0.0, 1).shape == ()
    assert np.array_equal(loss("ce", X, 1), loss("ce", X, np.ones_like(X)))
    assert np.array_equal(loss("ce", X, [0, 1, 0])[1], loss("ce", X[1], [0, 1, 0]))
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    assert np.array_equal(gradient("focal", strided, T), gradient("focal", X, T))
    weighted = loss("balanced_ce", [0.0], [0.6], positives=[False], alpha=0.8)
    assert weighted == pytest.approx(0.2 * np.log(2), rel=1e-5)
    assert loss("softmax", np.zeros((4, 5, 3)), classes=np.zeros((4, 5), int)).shape == (4, 5)


def test_bad_arguments():
    with pytest.raises(darknet_focal.Error, match="nothing"):
        loss("nothing", X, T)
    with pytest.raises(darknet_focal.Error, match="no key 'beta'"):
        loss("focal", X, T, beta=1)
    with pytest.raises(darknet_focal.Error, match="quality_focal"):
        loss("focal", X, 0.5)
    with pytest.raises(darknet_focal.Error, match="true class 3"):
        loss("ce", X, classes=[0, 3])
    for call in (
        lambda: loss("ce", X),
        lambda: loss("ce", X, T, classes=[0, 1]),
        lambda: loss("ce", X, [0, 1]),
        lambda: loss("softmax", X, classes=[0, 1, 2]),
        lambda: loss("softmax", X, classes=[0.0, 1.0]),
        lambda: loss("softmax", X, classes=[0, 1], positives=[1, 1]),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert isinstance(error.value, darknet_focal.Error)
