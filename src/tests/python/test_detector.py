import gc
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import IMAGES

import darknet_focal
from darknet_focal import Detector


@pytest.fixture
def detector(work):
    return Detector(work.cfg, work.weights, names=work.names, threshold=0.2, device="cpu")


def same(a, b):
    return (
        np.array_equal(a.class_id, b.class_id)
        and np.array_equal(a.probability, b.probability)
        and np.array_equal(a.objectness, b.objectness)
        and np.array_equal(a.xywh, b.xywh)
        and np.array_equal(a.cxcywhn, b.cxcywhn)
    )


def test_finds_what_the_command_finds_bit_for_bit(work, detector):
    for expected, found in zip(work.detected(*work.images), detector(work.images)):
        assert len(expected) == len(found) > 0
        for i, (told, one) in enumerate(zip(expected, found)):
            box = told["relative_coordinates"]
            assert told["class_id"] == one.class_id
            assert told["name"] == one.name
            assert np.float32(told["confidence"]) == found.probability[i]
            assert [
                np.float32(box[k]) for k in ("center_x", "center_y", "width", "height")
            ] == list(found.cxcywhn[i])


def test_arrays_of_every_layout_equal_the_file(work, detector):
    rgb = work.pixels(1)
    expected = detector(work.images[1])
    assert len(expected) > 0
    framed = np.zeros((44, 60, 3), np.uint8)
    framed[2:42, 5:53] = rgb
    upside_down = np.ascontiguousarray(rgb[::-1])[::-1]
    alpha = np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)])
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1)).transpose(1, 2, 0)
    read_only = rgb.copy()
    read_only.flags.writeable = False
    for image in (rgb, framed[2:42, 5:53], upside_down, alpha, planes, read_only):
        assert same(detector(image), expected)
    for image in (rgb[..., ::-1], np.ascontiguousarray(rgb[..., ::-1]), alpha[..., [2, 1, 0, 3]]):
        assert same(detector(image, order="bgr"), expected)
        assert not same(detector(image), expected)
    wide = np.repeat(rgb, 2, axis=1)
    assert same(detector(wide[:, ::2]), expected)
    grey = np.ascontiguousarray(rgb[..., 0])
    in_colour = detector(np.dstack([grey] * 3))
    assert same(detector(grey), in_colour)
    assert same(detector(grey[..., None]), in_colour)
    assert same(detector(rgb[..., 0]), in_colour)


def test_lists_have_the_results_of_their_images(work, detector):
    expected = [detector(image) for image in work.images]
    assert not same(expected[0], expected[1])
    mixed = [str(work.images[0]), work.pixels(1), work.images[2], work.pixels(3)]
    batched = Detector(work.cfg, work.weights, threshold=0.2, device="cpu", batch=3)
    for found in (detector(work.images), detector(tuple(mixed))):
        assert len(found) == IMAGES
        assert all(same(a, b) for a, b in zip(found, expected))
    for images in (work.images, mixed):
        for a, b in zip(batched(images), expected):
            assert np.allclose(a.xyxy, b.xyxy, atol=1e-3)
    assert detector([]) == []

    class Indexed:
        def __getitem__(self, i):
            return work.images[i]

    assert all(same(a, b) for a, b in zip(detector(Indexed()), expected))
    integer = Detector(work.cfg, work.weights, threshold=0.2, device="cpu", batch=np.int64(3))
    assert len(integer(work.images)) == IMAGES


def test_results_are_arrays_and_a_sequence(work, detector):
    found = detector(work.images[0])
    n = len(found)
    assert n > 1
    assert found.xyxy.shape == (n, 4) and found.xyxy.dtype == np.float32
    assert found.class_id.shape == (n,) and found.confidence.shape == (n,)
    assert np.array_equal(found.confidence, found.probability)
    assert np.array_equal(
        found.xyxy[:, 2:] - found.xyxy[:, :2], found.xyxy[:, 2:] - found.xywh[:, :2]
    )
    assert list(found.probability) == sorted(found.probability, reverse=True)
    first = found[0]
    assert first.name == ["red", "green", "blue"][first.class_id] == found.names[0]
    assert first.xyxy == tuple(found.xyxy[0].tolist())
    assert [o.class_id for o in found] == found.class_id.tolist()
    assert found[-1] == list(found)[-1]
    part = found[found.class_id == first.class_id]
    assert isinstance(part, darknet_focal.Detections)
    assert part[0] == first and set(part.class_id) == {first.class_id}
    assert len(found[:1]) == 1 and found[:1][0] == first
    with pytest.raises(IndexError):
        found[n]
    assert repr(found[:1]) == f"Detections({first.name} {first.probability:.2f})"
    none = detector(work.images[0], threshold=1)
    assert len(none) == 0 and none.xyxy.shape == (0, 4) and none.to_coco(1) == []


def test_thresholds_of_a_call(work, detector):
    few, many = detector(work.images[0], threshold=0.6), detector(work.images[0], threshold=0.05)
    assert len(few) < len(detector(work.images[0])) < len(many)
    assert len(detector(work.images[0], nms=0)) > len(detector(work.images[0]))


def test_to_coco_is_what_the_command_writes(work, detector):
    work.darknet(
        "detector", "test", "x.data", "x.cfg", "x.weights", *work.images, "-thresh", ".2",
        "-nogpu", "-format", "coco", "-out", "coco.json", "-dont_show",
    )  # fmt: skip
    written = json.loads((work.folder / "coco.json").read_text())
    found = [o for i, image in enumerate(work.images) for o in detector(image).to_coco(i)]
    assert len(written) == len(found) > 0
    for told, one in zip(written, found):
        assert told["image_id"] == one["image_id"]
        assert told["category_id"] == one["category_id"]
        assert told["bbox"] == pytest.approx(one["bbox"], abs=2e-4)
        assert told["score"] == pytest.approx(one["score"], rel=1e-6)
    json.dumps(found)


def test_describes_the_network(work, detector):
    assert detector.class_names == ["red", "green", "blue"]
    assert (detector.width, detector.height, detector.channels) == (32, 32, 3)
    assert detector.device == "cpu"
    other = Detector(
        work.cfg, work.weights, names=["a", "b", "c"], overrides=["net.0.width=64"], device="cpu"
    )
    assert other.class_names == ["a", "b", "c"] and other.width == 64


def test_large_images_are_detected_in_tiles(work):
    def boxes(**options):
        detector = Detector(work.cfg, work.weights, device="cpu", threshold=0.1, **options)
        return detector(work.images[0]).xyxy.tolist()

    assert boxes(tile=32) == boxes(tile=(32, 32))
    assert boxes(tile=32) != boxes()
    assert boxes(tile=32, tiles_only=True) != boxes(tile=32)
    assert boxes(tile=20, overlap=0.5) != boxes(tile=20)
    with pytest.raises(darknet_focal.Error, match="would all lie in one place"):
        boxes(tile=32, overlap=1)


def test_bad_files_and_options_are_errors_with_the_programs_sentence(work, detector):
    def refused(kind, **options):
        with pytest.raises(darknet_focal.Error) as error:
            Detector(**{"cfg": work.cfg, "weights": work.weights, "device": "cpu", **options})
        assert isinstance(error.value, kind)
        return str(error.value)

    assert "none.cfg" in refused(FileNotFoundError, cfg=work.folder / "none.cfg")
    assert "none.weights" in refused(FileNotFoundError, weights="none.weights")
    assert "none.names" in refused(FileNotFoundError, names=work.folder / "none.names")
    short = work.folder / "short.weights"
    short.write_bytes(work.weights.read_bytes()[:-4])
    assert "short.weights: " in refused(RuntimeError, weights=short)
    assert "net.0.nothing" in refused(RuntimeError, overrides=["net.0.nothing=1"])
    assert "cuda:4711" in refused(RuntimeError, device="cuda:4711")
    assert "threads -1" in refused(RuntimeError, threads=-1)
    refused(RuntimeError, names=["one"])
    with pytest.raises(TypeError):
        Detector(work.cfg, work.weights, treshold=0.5)
    for said, options in (
        ("a path cannot be 5; expected a str", {"cfg": 5}),
        ("threshold cannot be 'high'; expected a number", {"threshold": "high"}),
        ("letter_box cannot be 'x'; expected True or False", {"letter_box": "x"}),
        ("device cannot be 0; expected a string", {"device": 0}),
        ("tile cannot be '64'; expected two integers, or one", {"tile": "64"}),
        ("tile cannot be \\(64,\\); expected two integers, or one", {"tile": (64,)}),
        ("overlap cannot be 'x'; expected a number", {"tile": 64, "overlap": "x"}),
        ("batch cannot be '1'; expected an integer", {"batch": "1"}),
        ("batch cannot be True; expected an integer", {"batch": True}),
        ("overrides cannot be 'net.0.width=64'; expected a list", {"overrides": "net.0.width=64"}),
        ("names cannot be 5; expected a file or a list of strings", {"names": 5}),
        ("log cannot be 'x'; expected a function", {"log": "x"}),
    ):
        with pytest.raises(TypeError, match=said):
            Detector(**{"cfg": work.cfg, "weights": work.weights, "device": "cpu", **options})
    for said, image, options in (
        ("threshold cannot be 'x'; expected a number", work.images[0], {"threshold": "x"}),
        ("an image cannot be None; expected a file's name", None, {}),
    ):
        with pytest.raises(TypeError, match=said):
            detector(image, **options)
    with pytest.raises(darknet_focal.MissingFileError, match="none.png"):
        detector("none.png")
    with pytest.raises(darknet_focal.MissingFileError, match="none.png"):
        detector([work.images[0], "none.png"])
    broken = work.folder / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(darknet_focal.Error, match="broken.png") as error:
        detector(broken)
    assert not isinstance(error.value, FileNotFoundError)
    with pytest.raises(darknet_focal.Error, match="threshold"):
        detector(work.images[0], threshold=2)


@pytest.mark.parametrize(
    "image, sentence",
    [
        (np.zeros((4, 4, 3), np.float32), "an image of float32"),
        (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "(2, 4, 4, 3)"),
        (np.zeros(4, np.uint8), "(4,)"),
        (np.zeros((0, 4, 3), np.uint8), "an empty image"),
        ([7], "an image of the type int"),
    ],
)
def test_bad_images_are_value_errors(detector, image, sentence):
    with pytest.raises(ValueError) as error:
        detector(image)
    assert isinstance(error.value, darknet_focal.Error)
    assert sentence in str(error.value)
    with pytest.raises(ValueError, match="order 'xyz'"):
        detector(np.zeros((4, 4, 3), np.uint8), order="xyz")


def test_is_silent_and_hands_messages_over(work, capfd):
    work.cfg.write_text(work.cfg.read_text().replace("filters=16", "filters=16\nflipped=1"))
    Detector(work.cfg, work.weights, device="cpu")(work.images[0])
    messages = []

    def log(level, message):
        messages.append((level, message))

    Detector(work.cfg, work.weights, device="cpu", log=log)(work.images[0])
    assert any(level == "warning" and "flipped" in message for level, message in messages)
    assert capfd.readouterr() == ("", "")


def test_an_exception_in_log_ends_nothing(work, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: unraisable.append(args.exc_value))
    work.cfg.write_text(work.cfg.read_text().replace("filters=16", "filters=16\nflipped=1"))

    def log(level, message):
        raise KeyError(message)

    assert len(
        Detector(work.cfg, work.weights, device="cpu", threshold=0.2, log=log)(work.images[0])
    )
    assert unraisable and all(isinstance(e, KeyError) for e in unraisable)


def test_several_threads_share_a_detector(work, detector):
    expected = [detector(image) for image in work.images]
    wrong = []

    def detect(first):
        for i in range(25):
            at = (first + i) % IMAGES
            image = work.images[at] if i % 2 else work.pixels(at)
            if not same(detector(image), expected[at]):
                wrong.append(at)

    threads = [threading.Thread(target=detect, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_threads_run_meanwhile(work, detector):
    """No thread gives the interpreter's lock up by itself here: others have it within a call."""
    image = np.zeros((1500, 1500, 3), np.uint8)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        for _ in range(100):
            state = ["before"]

            def detect():
                state[0] = "inside"
                detector(image)
                state[0] = "after"

            thread = threading.Thread(target=detect)
            thread.start()
            while state[0] == "before":
                time.sleep(0)
            seen = state[0]
            thread.join()
            if seen == "inside":
                return
    finally:
        sys.setswitchinterval(before)
    pytest.fail("no other thread ran while the network worked")


def run_python(program, folder):
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


DAEMON = """
import threading
import numpy as np
import darknet_focal

detector = darknet_focal.Detector("x.cfg", "x.weights", device="cpu", threads=1)
begun = threading.Event()

def detect():
    image = np.zeros((200, 200, 3), np.uint8)
    while True:
        detector(image)
        begun.set()

def train():
    def callback(iteration):
        begun.set()
        detector(np.zeros((200, 200, 3), np.uint8))

    darknet_focal.train("x.data", "x.cfg", device="cpu", backup="backup", max_batches=10**9,
                        callback=callback)

threading.Thread(target=WORK, daemon=True).start()
begun.wait()
"""


def test_daemon_threads_end_with_the_interpreter(work):
    for _ in range(3):
        run_python(DAEMON.replace("WORK", "detect"), work.folder)


def test_the_child_of_a_fork_waits_for_no_thread_of_its_parent(work):
    fork = """
import os, sys
child = os.fork()
if child == 0:
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    run_python(DAEMON.replace("WORK", "detect") + fork, work.folder)


def test_a_training_of_a_daemon_thread_is_saved_at_the_end(work):
    run_python(DAEMON.replace("WORK", "train"), work.folder)
    assert (work.folder / "backup/x_last.state").exists()


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_memory_does_not_grow_over_ten_thousand_calls(work):
    detector = Detector(work.cfg, work.weights, threshold=0.2, device="cpu", threads=1)
    image, padded = work.pixels(0), np.zeros((44, 60, 3), np.uint8)

    def call(times):
        for i in range(times):
            detector(image if i % 2 else padded[2:42, 5:53])
            if i % 10 == 0:
                detector([image, str(work.images[i % IMAGES])])[0].to_coco(i)
            if i % 100 == 0:
                with pytest.raises(darknet_focal.Error):
                    detector("none.png")
        gc.collect()

    call(1000)
    before = resident_bytes()
    call(10000)
    assert resident_bytes() - before < 1 << 20
    for _ in range(20):
        Detector(work.cfg, work.weights, device="cpu", threads=1)
    before = resident_bytes()
    for _ in range(200):
        Detector(work.cfg, work.weights, device="cpu", threads=1)
    assert resident_bytes() - before < 1 << 20
