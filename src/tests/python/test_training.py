import json
import os
import signal
import threading

import pytest

import darknet_focal
from darknet_focal import evaluate, synth, train


def test_makes_the_weights_of_the_command_bit_for_bit(work):
    flags = ["-max_batches", 6, "-seed", 7, "-set", "yolo.0.obj_loss=focal", "-map", "-nogpu"]
    work.darknet("detector", "train", "x.data", "x.cfg", "-backup", "command", *flags)
    backup = work.folder / "library"
    shown = []
    result = train(
        work.data,
        work.cfg,
        backup=backup,
        max_batches=6,
        seed=7,
        overrides=["yolo.0.obj_loss=focal"],
        map=True,
        device="cpu",
        callback=shown.append,
    )
    for name in ("x_final.weights", "x_last.weights", "x_best.weights"):
        assert (backup / name).read_bytes() == (work.folder / "command" / name).read_bytes()
    assert result.weights == backup / "x_final.weights" and result.iterations == 6
    assert not result.stopped
    lines = [json.loads(line) for line in (backup / "x_log.jsonl").read_text().splitlines()]
    assert (
        [i.iteration for i in shown] == [line["iteration"] for line in lines] == list(range(1, 7))
    )
    assert [i.loss for i in shown] == [line["loss"] for line in lines]
    assert shown[-1].map == lines[-1]["map"] and shown[0].map is None
    assert shown[-1].best_map == result.best_map


def test_false_ends_it_and_it_resumes(work):
    options = {"max_batches": 8, "device": "cpu"}
    train(work.data, work.cfg, backup=work.folder / "whole", **options)
    parts = work.folder / "parts"
    stopped = train(
        work.data, work.cfg, backup=parts, callback=lambda i: i.iteration < 3, **options
    )
    assert stopped.stopped and stopped.iterations == 3
    assert stopped.weights == parts / "x_last.weights"
    train(work.data, work.cfg, stopped.weights, backup=parts, **options)
    name = "x_final.weights"
    assert (parts / name).read_bytes() == (work.folder / "whole" / name).read_bytes()


def test_ctrl_c_saves_first(work):
    def interrupt(iteration):
        if iteration.iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    backup = work.folder / "a"
    with pytest.raises(KeyboardInterrupt):
        train(
            work.data, work.cfg, backup=backup, max_batches=1000, device="cpu", callback=interrupt
        )
    assert signal.getsignal(signal.SIGINT) is before
    assert (backup / "x_last.state").exists() and not (backup / "x_final.weights").exists()
    resumed = train(
        work.data, work.cfg, backup / "x_last.weights", backup=backup, max_batches=5, device="cpu"
    )
    assert resumed.iterations == 5


def test_ctrl_c_in_log_is_not_lost(work):
    work.cfg.write_text(work.cfg.read_text().replace("filters=16", "filters=16\nflipped=1"))

    def log(level, message):
        if "flipped" in message:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        evaluate(work.data, work.cfg, work.weights, device="cpu", log=log)
    with pytest.raises(KeyboardInterrupt):
        train(work.data, work.cfg, backup=work.folder / "a", device="cpu", log=log)
    assert not (work.folder / "a/x_final.weights").exists()


def test_what_the_callback_raises_comes_through(work):
    class Own(Exception):
        pass

    def callback(iteration):
        raise Own(iteration.iteration)

    backup = work.folder / "a"
    with pytest.raises(Own, match="1"):
        train(work.data, work.cfg, backup=backup, max_batches=5, device="cpu", callback=callback)
    assert (backup / "x_last.weights").exists()


def test_other_threads_run_while_it_trains(work):
    """A thread detects with what is there so far, while the callback waits for it."""
    detector = darknet_focal.Detector(work.cfg, work.weights, device="cpu", threshold=0.2)
    expected = len(detector(work.images[0]))
    counts = []

    def callback(iteration):
        thread = threading.Thread(target=lambda: counts.append(len(detector(work.images[0]))))
        thread.start()
        thread.join(60)

    train(
        work.data,
        work.cfg,
        backup=work.folder / "a",
        max_batches=3,
        device="cpu",
        callback=callback,
    )
    assert counts == [expected] * 3


def test_bad_input_is_an_error_with_the_programs_sentence(work):
    def refused(kind, **options):
        with pytest.raises(darknet_focal.Error) as error:
            train(
                **{
                    "data": work.data,
                    "cfg": work.cfg,
                    "backup": work.folder / "a",
                    "device": "cpu",
                    **options,
                }
            )
        assert isinstance(error.value, kind)
        return str(error.value)

    assert "none.data" in refused(FileNotFoundError, data=work.folder / "none.data")
    assert "none.weights" in refused(FileNotFoundError, weights="none.weights")
    assert "patience" in refused(RuntimeError, patience=3)
    assert "max_batches -1" in refused(RuntimeError, max_batches=-1)
    with pytest.raises(TypeError, match="patience cannot be 'three'"):
        train(work.data, work.cfg, backup=work.folder / "a", patience="three")
    with pytest.raises(TypeError, match="callback cannot be 3; expected a function"):
        train(work.data, work.cfg, backup=work.folder / "a", callback=3)
    with pytest.raises(TypeError, match="size cannot be 64; expected two numbers"):
        darknet_focal.synth(work.folder / "s", size=64)
    label = work.images[1].with_suffix(".txt")
    label.write_text("9 .5 .5 .1 .1\n")
    assert label.name in refused(RuntimeError)


def test_is_silent(work, capfd):
    messages = []
    common = {"max_batches": 2, "device": "cpu", "map": True}
    train(work.data, work.cfg, backup=work.folder / "a", **common)
    train(
        work.data,
        work.cfg,
        backup=work.folder / "b",
        log=lambda level, message: messages.append(message),
        **common,
    )
    evaluate(work.data, work.cfg, work.folder / "a/x_final.weights", device="cpu")
    synth(work.folder / "scenes", images=2, size=(64, 64))
    assert capfd.readouterr() == ("", "")
    assert any("training images: 4" in message for message in messages)


def test_evaluates_as_the_command(work):
    work.darknet(
        "detector", "map", "x.data", "x.cfg", "x.weights", "-thresh", ".1", "-iou_thresh", ".3",
        "-points", "101", "-nogpu", "-out", "map.json",
    )  # fmt: skip
    told = json.loads((work.folder / "map.json").read_text())
    figures = evaluate(
        work.data, work.cfg, work.weights, threshold=0.1, iou=0.3, points=101, device="cpu"
    )
    assert figures.images == 4
    for key in ("map", "precision", "recall", "f1", "average_iou", "best_f1"):
        assert getattr(figures, key) == told[key], key
    assert figures.coco_ap == told["coco"]["ap"]
    assert [c.name for c in figures.classes] == ["red", "green", "blue"]
    assert [c.average_precision for c in figures.classes] == [
        c["average_precision"] for c in told["classes"]
    ]
    with pytest.raises(FileNotFoundError):
        evaluate(work.folder / "none.data", work.cfg, work.weights)
    with pytest.raises(darknet_focal.Error, match="12 points"):
        evaluate(work.data, work.cfg, work.weights, points=12, device="cpu")


def test_draws_the_scenes_of_the_command(work):
    work.darknet("synth", "a", "-n", 4, "-test", 1, "-size", "64x48", "-seed", 3, "-format", "png")
    data = synth(work.folder / "b", images=4, test=1, size=(64, 48), seed=3, format="png")
    assert data == work.folder / "b/scenes.data" and data.exists()
    for folder in ("images", "labels"):
        drawn = sorted((work.folder / "a" / folder).iterdir())
        assert len(drawn) == 4
        for file in drawn:
            assert file.read_bytes() == (work.folder / "b" / folder / file.name).read_bytes()
    with pytest.raises(darknet_focal.Error, match="'bmp'"):
        synth(work.folder / "c", images=1, format="bmp")


def test_ctrl_c_ends_drawing(work):
    seen = threading.Event()

    def interrupt():
        while not seen.is_set():
            if (work.folder / "scenes/images").exists():
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            synth(work.folder / "scenes", images=100000, size=(64, 64))
    finally:
        seen.set()
        thread.join()
    assert not (work.folder / "scenes/scenes.data").exists()
