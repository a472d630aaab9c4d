#!/usr/bin/env python3
"""Measures other inference engines on the networks of .cfg files, next to `darknet bench`.

ONNX Runtime, OpenVINO, MNN, ncnn, PyTorch (NCHW and channels_last) and OpenCV, each where it is
installed:
  python3 -m venv venv && venv/bin/pip install onnx onnxruntime openvino MNN ncnn torch \\
      'opencv-python-headless<5'
  venv/bin/python scripts/bench_peers.py --darknet build/darknet --json peers.json
  scripts/bench_peers.py --table peers.json      (the tables of an earlier run; needs nothing)

All compute in f32 on the CPU. The outputs of each engine are decoded and compared with those of
`darknet detect` on the same weights (random ones without --weights); an engine that differs is left
out. Every round runs each engine once, in a process of its own. Figures of one thread are processor
time, which other programs disturb little; those of several are by the clock. darknet's include its
heads, before which the others' networks end.
"""
import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import network_files
from darknet_cfg import HEADS, CfgError, output_layers, plan_layers, read_cfg
from peer_engines import ENGINES
from peer_tables import OURS, markdown

NETWORKS = ["yolov3-tiny", "yolov4-tiny", "yolov2-tiny-voc"]
# Of probabilities, and of boxes in fractions of the image. MNN's Winograd convolutions differ by
# 1e-3, the others' results by 2e-5; a slope of .11 instead of .1 in one layer makes 2e-2.
TOLERANCE = 5e-3
SEED = 1


class BenchError(Exception):
    """What went wrong, for the user."""


def run_program(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    ran = subprocess.run(command, env=environment, text=True, errors="replace",
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if ran.returncode != 0:
        last = (ran.stdout.strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"{os.path.basename(command[0])} exited {ran.returncode}: {last}")
    return ran.stdout


class Network:
    """One .cfg, and the files that are made of it in `folder`."""

    def __init__(self, cfg, weights, folder):
        self.cfg, self.folder = cfg, folder
        try:
            self.read()
        except CfgError as error:
            raise CfgError(f"{cfg}: {error}") from None
        self.write_weights(weights)
        import numpy
        rng = numpy.random.default_rng(SEED)
        self.bytes = rng.integers(0, 256, (*self.image[1:], 3), dtype=numpy.uint8)
        with open(self.path("image.ppm"), "wb") as file:
            file.write(b"P6 %d %d 255\n" % (self.image[2], self.image[1]) + self.bytes.tobytes())

    def read(self):
        self.image, self.layers = plan_layers(read_cfg(self.cfg), None)
        self.heads = [self.layers[i] for i in output_layers(self.layers)]
        if self.heads[0].kind not in HEADS:
            raise CfgError("has no detection head, by which outputs are compared")
        if self.image[0] != 3:
            raise CfgError("channels is not 3: darknet is given an image file")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_weights(self, given):
        if given:
            self.weights = given
            values = network_files.read_weights(given, self.image, self.layers)
        else:
            self.weights = self.path("random.weights")
            values = network_files.random_weights(self.image, self.layers, SEED)
            network_files.write_weights(self.weights, self.layers, values)
        self.folded = network_files.fold(self.layers, values)
        self.ncnn_outputs = network_files.write_ncnn(
            self.path("net.param"), self.path("net.bin"), self.image, self.layers, self.folded)
        self.output_names = network_files.make_graph(self.image, self.layers)[1]

    def job(self, batch):
        """What peer_engines.py reads, less the engine and how to measure it."""
        import numpy
        pixels, onnx = self.path(f"pixels{batch}.npy"), self.path(f"net{batch}.onnx")
        if not os.path.exists(pixels):
            planes = self.bytes.transpose(2, 0, 1).astype(numpy.float32) / 255
            numpy.save(pixels, numpy.stack([planes] * batch))
            network_files.write_onnx(onnx, self.image, self.layers, self.folded, batch)
        return {"cfg": self.cfg, "weights": self.weights, "onnx": onnx, "pixels": pixels,
                "output_names": self.output_names, "ncnn_outputs": self.ncnn_outputs,
                "ncnn_param": self.path("net.param"), "ncnn_bin": self.path("net.bin")}


def sigmoid(values):
    import numpy
    return 1 / (1 + numpy.exp(-values))


def anchors_of(head):
    """In pixels for [yolo], in cells for [region]; those of its mask."""
    text = [float(v) for v in head.section.text("anchors", "").split(",")]
    pairs = list(zip(text[::2], text[1::2]))
    mask = head.section.wholes("mask") if head.kind == "yolo" else []
    return [pairs[i] for i in mask] or pairs[:head.section.whole("num", 1)]


def decode(head, raw, image):
    """What the head makes of its input (c, h, w) in f64: an array (anchors, h, w, 4 + classes) of
    boxes (centre, size; fractions of the image) and probabilities."""
    import numpy
    if head.section.whole("new_coords", 0):
        head.error("new_coords is not decoded here")
    anchors, (_, h, w) = anchors_of(head), raw.shape
    values = raw.astype(numpy.float64).reshape(len(anchors), -1, h, w)
    scale = float(head.section.text("scale_x_y", "1")) if head.kind == "yolo" else 1.
    unit = (image[2], image[1]) if head.kind == "yolo" else (w, h)
    x, y = (sigmoid(values[:, i]) * scale - (scale - 1) / 2 for i in (0, 1))
    sizes = numpy.array(anchors).reshape(-1, 2, 1, 1) / numpy.array(unit).reshape(1, 2, 1, 1)
    box = [(x + numpy.arange(w)) / w, (y + numpy.arange(h).reshape(-1, 1)) / h,
           numpy.exp(values[:, 2]) * sizes[:, 0], numpy.exp(values[:, 3]) * sizes[:, 1]]
    classes = values[:, 5:]
    if head.kind == "region" and head.section.whole("softmax", 0):
        classes = numpy.exp(classes - classes.max(1, keepdims=True))
        classes /= classes.sum(1, keepdims=True)
    else:
        classes = sigmoid(classes)
    return numpy.stack([*box, *(sigmoid(values[:, 4:5]) * classes).swapaxes(0, 1)], -1)


def detections(heads, outputs, image):
    """Rows as of `darknet detect -thresh 0 -nms 0`: cells from top left, their anchors, classes."""
    import numpy
    rows = []
    for head, raw in zip(heads, outputs):
        decoded = decode(head, raw, image).transpose(1, 2, 0, 3)
        boxes, scores = decoded[..., :4].reshape(-1, 4), decoded[..., 4:]
        classes = scores.shape[-1]
        rows.append(numpy.hstack([boxes.repeat(classes, 0), scores.reshape(-1, 1)]))
    return numpy.vstack(rows)


def darknet_detections(darknet, network):
    import numpy
    out = network.path("detections.json")
    run_program([darknet, "detect", network.cfg, network.weights, network.path("image.ppm"),
                 "-nogpu", "-thresh", "0", "-nms", "0", "-dont_show", "-out", out,
                 "-prefix", network.path("annotated")], os.cpu_count())
    with open(out, encoding="utf-8") as file:
        found = json.load(file)[0]["objects"]
    box = ("center_x", "center_y", "width", "height")
    return numpy.array([[*(o["relative_coordinates"][k] for k in box), o["confidence"]]
                        for o in found])


def largest_difference(ours, theirs):
    """Sizes above 1 are compared by their ratio, as they are exponentials. NaN differs."""
    import numpy
    if ours.shape != theirs.shape:
        raise BenchError(f"{len(theirs)} outputs instead of {len(ours)}")
    worst = (numpy.abs(ours - theirs) / numpy.maximum(1, numpy.abs(ours))).max()
    return float(worst) if numpy.isfinite(worst) else float("inf")


class PeerRun:
    """Runs of one engine on one network with one batch and number of threads."""

    def __init__(self, options, engine, network, batch, threads):
        self.options, self.engine, self.network = options, engine, network
        self.batch, self.threads = batch, threads
        self.wall, self.cpu, self.peak = [], [], []
        self.difference, self.version = None, ""

    def run(self, reference):
        if self.engine == OURS:
            self.run_darknet()
        else:
            self.run_peer(reference)

    def add(self, wall, cpu, peak):
        self.wall.append(1e3 * wall / self.batch)
        self.cpu.append(1e3 * cpu / self.batch)
        self.peak.append(peak)

    def run_darknet(self):
        report = self.network.path("bench.json")
        run_program([self.options.darknet, "bench", self.network.cfg, "-nogpu", "-batch",
                     str(self.batch), "-iterations", str(self.options.iterations), "-json",
                     report], self.threads)
        with open(report, encoding="utf-8") as file:
            figures = json.load(file)
        if not isinstance(figures.get("cpu_seconds"), float):
            raise BenchError(f"{self.options.darknet} is too old: its bench reports no mean of cpu_seconds")
        self.version = figures["library"]
        self.add(figures["seconds"]["median"], figures["cpu_seconds"],
                 figures["process_bytes"])

    def run_peer(self, reference):
        job = self.network.job(self.batch)
        paths = {name: self.network.path(name) for name in ("job.json", "result.json")}
        outputs = self.network.path("outputs.npz") if self.difference is None else ""
        job.update(engine=self.engine, threads=self.threads, outputs=outputs, warm_up=3,
                   iterations=self.options.iterations, result=paths["result.json"])
        with open(paths["job.json"], "w", encoding="utf-8") as file:
            json.dump(job, file)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_engines.py")
        run_program([sys.executable, script, paths["job.json"]], self.threads)
        if outputs:
            self.compare(outputs, reference)
        with open(paths["result.json"], encoding="utf-8") as file:
            result = json.load(file)
        self.version = result["version"]
        self.add(statistics.median(result["wall"]), statistics.fmean(result["cpu"]),
                 result["peak_bytes"])

    def compare(self, path, reference):
        """Every image of the batch is the same."""
        import numpy
        with numpy.load(path) as file:
            outputs = [file[name] for name in file.files]
        shapes = [self.network.layers[head.sources[0]].shape for head in self.network.heads]
        self.difference = 0.
        for i in range(self.batch):
            of_image = [out.reshape(self.batch, *s)[i] for out, s in zip(outputs, shapes)]
            found = detections(self.network.heads, of_image, self.network.image)
            self.difference = max(self.difference, largest_difference(reference, found))
        if self.difference > TOLERANCE:
            raise BenchError(f"differs from darknet by {self.difference:.1e}")

    def row(self):
        return {"cfg": self.network.cfg, "input": self.network.image[:0:-1], "engine": self.engine,
                "batch": self.batch, "threads": self.threads,
                "cpu_ms": statistics.median(self.cpu), "wall_ms": statistics.median(self.wall),
                "rounds": {"cpu_ms": self.cpu, "wall_ms": self.wall},
                "peak_mib": max(self.peak) / 2**20, "difference": self.difference,
                "version": self.version}


def run_rounds(options, network, reference, case, failures):
    """case: batch, threads. Returns a row for each engine that did not fail."""
    runs = [PeerRun(options, engine, network, *case) for engine in options.engines]
    for number in range(options.rounds):
        for run in list(runs):
            try:
                run.run(reference)
            except BenchError as error:
                what = f"{run.engine}, {network.cfg}, batch {case[0]}, {case[1]} threads: {error}"
                if run.engine == OURS:
                    raise
                failures.append(what)
                print(what, file=sys.stderr, flush=True)
                runs.remove(run)
                continue
            print(f"{network.cfg}, batch {case[0]}, threads {case[1]}, round {number + 1}: "
                  f"{run.engine} cpu {run.cpu[-1]:.1f} ms, wall {run.wall[-1]:.1f} ms",
                  file=sys.stderr, flush=True)
    return [run.row() for run in runs]


def machine():
    name, flags = platform.processor() or platform.machine(), ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        known = {k.strip(): v.strip() for k, v in lines.items()}
        name, flags = known.get("model name", name), known.get("flags", "")
        family = ", ".join(f"{k} {known[k]}" for k in ("cpu family", "model") if k in known)
        name += f" ({family})" if family else ""
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    return {"processor": name, "instructions": [f for f in wanted if f in flags.split()],
            "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def run(options, folder):
    """The report, as written to --json."""
    failures, rows, before = [], [], machine()
    for number, cfg in enumerate(options.cfg):
        own = os.path.join(folder, f"network{number}")
        os.makedirs(own, exist_ok=True)
        network = Network(cfg, (options.weights or [None] * len(options.cfg))[number], own)
        reference = darknet_detections(options.darknet, network)
        for threads in options.threads:
            for batch in options.batch:
                rows += run_rounds(options, network, reference, (batch, threads), failures)
    return {"machine": before, "rounds": options.rounds, "iterations": options.iterations,
            "tolerance": TOLERANCE, "missing": options.missing, "failures": failures,
            "weights": "given" if options.weights else "random", "rows": rows}


def whole_list(text):
    values = [int(v) for v in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError("expected integers from 1 on, separated by commas")
    return values


def thread_list(text):
    values, cores = whole_list(text), len(os.sched_getaffinity(0))
    if max(values) > cores:
        raise argparse.ArgumentTypeError(f"{max(values)}: this process has {cores} cores")
    return values


def engine_list(text):
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: expected some of {', '.join(ENGINES)}")
    return names


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="\n".join(__doc__.splitlines()[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    cfgs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cfg")
    parser.add_argument("cfg", nargs="*", help="default: " + ", ".join(NETWORKS) + " of cfg/",
                        default=[os.path.relpath(os.path.join(cfgs, f"{name}.cfg"))
                                 for name in NETWORKS])
    parser.add_argument("--weights", action="append", metavar="FILE", help="one for each cfg")
    parser.add_argument("--darknet", default="./darknet", help="the program")
    parser.add_argument("--engines", type=engine_list, metavar="NAME,...",
                        help="default: all that are installed")
    parser.add_argument("--batch", type=whole_list, default=[1, 8], metavar="N,...")
    parser.add_argument("--threads", type=thread_list,
                        default=sorted({1, min(2, len(os.sched_getaffinity(0)))}), metavar="N,...")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10, help="of each engine in a round")
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--markdown", help="also write the tables to this file")
    parser.add_argument("--table", metavar="JSON", help="only print the tables of this file")
    options = parser.parse_args(arguments)
    if options.weights and len(options.weights) != len(options.cfg):
        parser.error("--weights: expected one for each cfg")
    if min(options.rounds, options.iterations) < 1:
        parser.error("--rounds and --iterations: expected integers from 1 on")
    return options


def choose_engines(options):
    """darknet and what is installed of the others; the rest is named as missing."""
    wanted = options.engines or list(ENGINES)
    there = {name: importlib.util.find_spec(ENGINES[name].module) is not None for name in wanted}
    options.missing = [name for name in wanted if not there[name]]
    for name in options.missing:
        print(f"{name} is left out: pip install {ENGINES[name].package}", file=sys.stderr)
    if not any(there.values()):
        raise BenchError("none of these engines is installed; docs/contributing.md, Profile, says how")
    options.engines = [OURS] + [name for name in wanted if there[name]]


def check_outputs(options):
    """Before hours are spent: the files can be written, and none that another program made is lost."""
    for path, is_ours in (options.json, is_report), (options.markdown, is_table):
        if path is None:
            continue
        if os.path.isfile(path) and os.path.getsize(path) > 0 and not is_ours(path):
            raise BenchError(f"{path} exists, and is nothing that this script wrote; "
                             "give another name or remove it")
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise BenchError(f"{path} cannot be written: give a file in a folder that exists")


def is_report(path):
    try:
        return bool(read_report(path))
    except (BenchError, OSError):
        return False


def is_table(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "|---" in file.read(10000)


def check_inputs(options):
    for path, what in [(options.darknet, "the program: build it, or name it with --darknet"),
                       *((cfg, "a .cfg file") for cfg in options.cfg),
                       *((weights, "a .weights file") for weights in options.weights or [])]:
        if not os.path.isfile(path):
            raise BenchError(f"{path} does not exist; expected {what}")


def measure(options):
    check_inputs(options)
    check_outputs(options)
    for package in ("numpy", "onnx"):  # networks are written with them
        try:
            importlib.import_module(package)
        except Exception as error:  # onnx: not only ImportError, but those of protobuf
            raise BenchError(f"{error}; pip install {package}") from None
    choose_engines(options)
    with tempfile.TemporaryDirectory() as folder:
        report = run(options, folder)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    return report


def read_report(path):
    with open(path, encoding="utf-8") as file:
        try:
            report = json.load(file)
        except ValueError as error:
            raise BenchError(f"{path}: {error}") from None
    if not isinstance(report, dict) or not {"rows", "machine"} <= report.keys():
        raise BenchError(f"{path}: not a report of --json")
    return report


def main():
    options = parse(sys.argv[1:])
    try:
        report = read_report(options.table) if options.table else measure(options)
        text = markdown(report)
        if options.markdown:
            with open(options.markdown, "w", encoding="utf-8") as file:
                file.write(text)
    except (BenchError, CfgError, OSError) as error:
        sys.exit(f"bench_peers: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(text, end="")
    sys.exit(1 if report["failures"] else 0)


if __name__ == "__main__":
    main()
