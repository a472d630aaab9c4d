import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import darknet_focal

SOURCE = Path(os.environ["DARKNET_SOURCE"])
EXAMPLES = SOURCE / "examples/python"
PACKAGE = SOURCE / "src/python/darknet_focal"


def test_numpy_2_is_refused_where_its_arrays_would_be_read_wrongly():
    program = (
        "import numpy; numpy.__version__ = '2.0.0'\n"
        "try: import darknet_focal\n"
        "except ImportError as e: print(e)\n"
        "else: print(darknet_focal.loss('ce', [1, 2, -3], 1).tolist())\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    major, minor = map(int, os.environ["DARKNET_PYBIND11"].split(".")[:2])
    if (major, minor) < (2, 12):
        assert "works with NumPy 1 only" in ran.stdout, ran.stdout + ran.stderr
    else:
        assert ran.stdout.startswith("[0.313"), ran.stdout + ran.stderr


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="no mypy")
def test_types_are_sound(tmp_path):
    user = tmp_path / "user.py"
    user.write_text(
        "from typing import List\n"
        "import numpy as np\n"
        "import darknet_focal\n"
        "d = darknet_focal.Detector('x.cfg', 'x.weights', names=['a'])\n"
        "one: darknet_focal.Detections = d(np.zeros((2, 2, 3), np.uint8))\n"
        "many: List[darknet_focal.Detections] = d(['a.png', 'b.png'])\n"
        "names: List[str] = [o.name for o in one]\n"
        "d('a.png', treshold=.5)  # type: ignore[call-overload]\n"
    )
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--ignore-missing-imports",
            f"--cache-dir={tmp_path / 'cache'}",
            str(PACKAGE),
            str(user),
            *map(str, EXAMPLES.glob("*.py")),
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_everything_public_is_named_and_documented():
    for name in darknet_focal.__all__:
        thing = getattr(darknet_focal, name)
        if callable(thing) and name not in ("Error",):
            assert thing.__doc__, name
    assert darknet_focal.Error.__module__ == "darknet_focal"
    assert issubclass(darknet_focal.MissingFileError, (darknet_focal.Error, FileNotFoundError))


def example(name, *arguments, folder):
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_examples(work):
    network = (work.cfg, work.weights, work.names)
    one = example("image.py", *network, work.images[0], folder=work.folder)
    assert "red" in one or "green" in one or "blue" in one
    (work.folder / "pictures").mkdir()
    for image in work.images:
        (work.folder / "pictures" / image.name).write_bytes(image.read_bytes())
    every = example("folder.py", *network, "pictures", "found.json", folder=work.folder)
    assert "4 images" in every and (work.folder / "found.json").stat().st_size > 10
    table = example("table.py", *network, work.images[0], folder=work.folder)
    assert "class" in table
    trained = example("train.py", work.data, work.cfg, "runs", 3, folder=work.folder)
    assert "3 of 3" in trained and "mAP" in trained
