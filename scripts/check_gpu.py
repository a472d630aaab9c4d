#!/usr/bin/env python3
"""Everything that only a machine with an NVIDIA GPU can show, in stages that can be resumed.

  scripts/check_gpu.py OUT                          all stages
  scripts/check_gpu.py --stage a --deadline 540 OUT

  a  configure, build, version, check -exact on four networks, tests on the device
  b  TF32, f16 and bf16 against other devices; speed (darknet bench)
  c  speed of PyTorch, eager and compiled, on the same networks; darknet bench next to it
  d  compute-sanitizer, a profile by ncu, auto-tuned algorithms, deterministic ones, all tests
  e  training of the blood cells on the CPU and the GPU with the same seeds (needs data/bccd,
     the BCCD data set in VOC's layout)

Every stage begins with the build. Results of steps are kept in build-gpu/check: a stage that was cut
off by --deadline or a signal is continued by the next call, and what passed or failed is not
repeated, except the build, what --repeat names, and everything where a source has changed. OUT gets
summary.txt, a line for each step and the figures, and one archive of logs for each stage. The exit
code is 0 if every step passed or was skipped.

The machine needs nvcc, CMake, Ninja, a C++ compiler, cuDNN and the libraries of the build; where it
has no network, scripts/gpu_packages.sh carries them, and --prefix names the folder.
"""
import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import sys

from stage_runner import BadFile, Runner, Step

BUILD = "build-gpu"
CHECK = os.path.join(BUILD, "check")
PROGRAM = os.path.join(BUILD, "darknet")
TESTS = os.path.join(BUILD, "src", "tests", "darknet_tests")
EMULATOR = os.path.join(BUILD, "src", "tests", "emulator", "libemulated_gpu.so")
FIGURES = r"^(inference|training step|peak|memory|means?|seed|.*images/s|the fastest|all layers)"
ON_DEVICE = "*Device*:TilesTest*:Uploads*:WorkingAhead*:*StepErrors*:LossScaling*"
SOURCES = ("CMakeLists.txt", "CMakePresets.json", "src", "scripts", "cfg")  # of all that is checked
ON_EMULATED_DEVICE = "DeviceProgram*:TilesTest*:*StepErrors*"
# Every engine that cuDNN proposes for some shapes: hundreds, many of which it compiles first.
ENGINES = "ConvDeviceTest.BiasAndActivationFollowWhoeverComputesThem"
SHORT_MEMORY = "ShortDeviceMemory*"  # takes all memory of the device: nothing else may run then
MEASURED = ("yolov3-tiny", "yolov4-tiny")  # where speeds are compared
# What the first contact with a machine has to know of it.
MACHINE = r"""
nproc; free -m; uname -a; cat /etc/os-release
for program in nvcc c++ cmake ninja python3; do command -v $program; $program --version | head -n 4; done
nvidia-smi; ldconfig -p | grep -iE 'cuda|cudnn|nccl|dnnl'
python3 -m pip list 2>/dev/null | grep -iE 'torch|nvidia|triton|ninja|cmake'
exit 0"""


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="\n".join(__doc__.splitlines()[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", nargs="?", help="folder for the summary and archives")
    parser.add_argument("--stage", default="all", metavar="a..e|all", choices=[*"abcde", "all"])
    parser.add_argument("--deadline", type=float, default=540, metavar="SECONDS",
                        help="for this call (%(default).0f)")
    parser.add_argument("--prefix", help="where packages lie that the system lacks")
    parser.add_argument("--jobs", type=int, default=4, metavar="N",
                        help="as many steps that measure no times run concurrently (%(default)s); 1 "
                             "where the GPU has little memory")
    parser.add_argument("--architectures", default="90", help="of the GPU (%(default)s)")
    parser.add_argument("--cmake", action="append", default=[], metavar="ARGUMENT",
                        help="one more for cmake, may be repeated: --cmake=-DCUDNN_ROOT=...")
    parser.add_argument("--iterations", type=int, default=30, help="of benches (%(default)s)")
    parser.add_argument("--repeat", metavar="EXPRESSION", help="run steps of such names again")
    parser.add_argument("--small", action="store_true", help="small images and few iterations")
    parser.add_argument("--emulated", action="store_true",
                        help="on emulated devices, what has no meaning there on the CPU")
    parser.add_argument("--list", action="store_true", help="only print the steps")
    parser.add_argument("--steps", metavar="FILE", help="steps from a JSON file, for tests")
    options = parser.parse_args(arguments)
    if not options.out and not options.list:
        parser.error("OUT is missing")
    if not options.deadline > 0:
        parser.error("--deadline: expected seconds, more than 0")
    if options.jobs < 1:
        parser.error("--jobs: expected at least 1")
    if options.iterations < 1:
        parser.error("--iterations: expected at least 1")
    if not re.fullmatch(r"\d+[af]?(-real|-virtual)?(;\d+[af]?(-real|-virtual)?)*",
                        options.architectures):
        parser.error(f"--architectures {options.architectures}: expected numbers, as 90 or '80;90'")
    if options.prefix and not os.path.isdir(options.prefix):
        parser.error(f"--prefix {options.prefix}: no such folder; gpu_packages.sh unpack makes one")
    try:
        re.compile(options.repeat or "")
    except re.error as error:
        parser.error(f"--repeat {options.repeat}: no regular expression: {error}")
    return options


def library_folders(prefix):
    """Of unpacked Debian packages."""
    found = glob.glob(os.path.join(prefix, "usr/lib/*-linux-gnu")) + \
        glob.glob(os.path.join(prefix, "lib/*-linux-gnu"))
    return sorted(os.path.realpath(f) for f in found)


SOME_PASSED = r"\[  PASSED  \] [1-9]"  # gtest ends well without a test, too


class Steps:
    """The steps of every stage with these options."""

    def __init__(self, options):
        self.options, self.steps, self.stage = options, [], "a"
        self.measured = MEASURED[:1] if options.small else MEASURED
        self.checked = self.measured if options.small else ("yolov2-tiny-voc", *MEASURED)
        self.nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
        toolkit = os.path.dirname(os.path.dirname(os.path.realpath(self.nvcc)))
        # cuDNN compiles some of its kernels with the toolkit's nvrtc.
        libraries = [os.path.join(toolkit, "lib64"), os.environ.get("LD_LIBRARY_PATH", "")]
        self.environment = {"OMP_WAIT_POLICY": "passive",
                            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries))}
        self.on_device = dict(self.environment)
        if options.emulated:
            self.on_device["LD_PRELOAD"] = os.path.abspath(EMULATOR)

    def add(self, name, command, seconds=120, **more):
        if self.options.emulated:  # by a CPU with few cores
            seconds *= 10
        elif more.get("concurrent"):  # they share the processor
            seconds *= self.options.jobs
        self.steps.append(Step(self.stage, name, [str(c) for c in command], seconds, **more))

    def darknet(self, name, *arguments, seconds=120, **more):
        self.add(name, [PROGRAM, *arguments], seconds, needs="build-program",
                 environment=self.on_device, **more)

    def size(self, pixels):
        side = 64 if self.options.small else pixels
        return [v for key in ("width", "height") for v in ("-set", f"net.0.{key}={side}")]

    def check(self, name, network, devices, *arguments, pixels=0, **more):
        of_size = self.size(pixels) if pixels or self.options.small else []
        self.darknet(f"check-{network}-{name}", "check", f"cfg/{network}.cfg", "-devices", devices,
                     *arguments, *of_size, concurrent=True, **more)

    def bench(self, name, network, *arguments, batch=1, **more):
        """Times mean nothing on an emulated device, whose matrix product would take hours."""
        emulated = ["-nogpu"] if self.options.emulated else []
        if emulated and "-precision" in arguments:
            more["skip"] = "the CPU may lack this precision"
        of_size = self.size(0) if self.options.small else []
        iterations = 1 if self.options.small else self.options.iterations
        self.darknet(f"bench-{network}-{name}", "bench", f"cfg/{network}.cfg", "-batch",
                     min(batch, 2) if self.options.small else batch, "-iterations", iterations,
                     *arguments, *of_size, *emulated, **more)

    def build(self):
        o = self.options
        target = ["--target", "darknet", *(["emulated_gpu"] if o.emulated else [])]
        prefix = []
        if o.prefix:
            o.prefix = os.path.realpath(o.prefix)
            # As RPATH, not RUNPATH: libraries find the libraries that they need there too.
            link = "".join(f",-rpath,{f}" for f in library_folders(o.prefix))
            prefix = [f"-DCMAKE_PREFIX_PATH={o.prefix}/usr;{o.prefix}",
                      f"-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags{link}"]
        self.add("machine", ["bash", "-c", MACHINE], 60)
        self.add("configure", ["cmake", "-S", ".", "-B", BUILD, "-G", "Ninja", "-DDARKNET_CUDA=ON",
                               f"-DCMAKE_CUDA_ARCHITECTURES={o.architectures}", *prefix, *o.cmake],
                 120, always=True, environment={"CUDACXX": os.environ.get("CUDACXX", self.nvcc)})
        self.add("build-program", ["cmake", "--build", BUILD, *target], 540, needs="configure",
                 always=True)
        on_a_gpu = r"CUDA: (?!none)"
        self.darknet("version", "version", seconds=60, expect=on_a_gpu)

    def stage_a(self):
        for network in ("yolov2-tiny-voc", *MEASURED):
            self.check("exact", network, "cpu,cuda", "-exact")
        self.darknet("check-scenes-exact", "check", "cfg/scenes.cfg", "data/scenes.weights",
                     "-devices", "cpu,cuda", "-exact",
                     *(self.size(0) if self.options.small else []), concurrent=True)
        self.add("build-tests", ["cmake", "--build", BUILD], 540, needs="build-program",
                 always=True)
        own = "the suite runs it" if self.options.emulated else ""
        for name, tests, seconds, more in (
                ("tests-on-device", f"{self.tests_on_device()}-{ENGINES}:{SHORT_MEMORY}", 300,
                 {"concurrent": True}),
                ("tests-of-engines", ENGINES, 600,
                 {"concurrent": True, "informative": True, "skip": own}),
                ("tests-of-short-memory", SHORT_MEMORY, 120, {"skip": own})):
            self.add(name, [TESTS, f"--gtest_filter={tests}"], seconds, needs="build-tests",
                     expect=SOME_PASSED, environment=self.on_device, **more)

    def tests_on_device(self):
        return ON_EMULATED_DEVICE if self.options.emulated else ON_DEVICE

    def stage_b(self):
        for network in self.checked:
            self.check("tf32", network, "cpu,cuda")
            for precision in ("f16", "bf16"):
                self.check(f"{precision}-against-f32", network, "cuda,cpu", "-precision", precision,
                           "-against", "f32")
        self.benches()
        for network in self.checked:
            for precision in ("f16", "bf16"):  # the reference has both types, but takes its time
                self.check(precision, network, "cuda,reference", "-precision", precision, pixels=160)

    def benches(self, prefix=""):
        kinds = {"tf32": [], "f16": ["-precision", "f16"], "bf16": ["-precision", "bf16"],
                 "exact": ["-exact"]}
        for network in self.measured:
            for kind, arguments in kinds.items():
                for batch in (1, 16, 64):
                    self.bench(f"{prefix}{batch}-{kind}", network, *arguments, batch=batch)
                self.bench(f"{prefix}train-{kind}", network, "-train", "-set", "net.0.subdivisions=1",
                           *arguments, batch=16)

    def stage_c(self):
        """One network, precision and mode in a process: a compiled one changes what comes later.
        Our own benches run again, so that both are measured in the same state of the card."""
        self.benches("next-to-torch-")
        python = os.environ.get("TORCH_PYTHON", "python3")
        probe = f"'{python}' -c 'import torch, sys; sys.exit(not torch.cuda.is_available())'"
        torch_here = self.options.list or os.system(probe + " 2>/dev/null") == 0
        for mode in ("eager", "compile"):
            for network in self.measured:
                for precision in ("f32", "f16"):
                    for kind in ("", "-train"):
                        self.add(f"torch-{network}-{precision}{kind}-{mode}",
                                 [python, "scripts/bench_torch.py", f"cfg/{network}.cfg",
                                  "--batch", "16" if kind else "1,16,64", "--precision", precision,
                                  "--modes", mode, "--iterations", self.options.iterations,
                                  *(["-" + kind] if kind else [])], 240,
                                 skip="" if torch_here else f"{python} has no PyTorch with a GPU")

    def stage_d(self):
        sanitizer = shutil.which("compute-sanitizer")
        tests = self.tests_on_device() + f"-*TheHostCannot*:DeviceProgram*:{ENGINES}:{SHORT_MEMORY}"
        self.add("build-tests", ["cmake", "--build", BUILD], 540, needs="build-program",
                 always=True)
        # cuDNN and cuBLAS read parts of workspaces that they never wrote, and order accesses in
        # ways that racecheck does not know: what these two find may not be ours.
        for tool in ("memcheck", "synccheck", "racecheck", "initcheck"):
            self.add(f"sanitizer-{tool}",
                     [sanitizer or "compute-sanitizer", "--tool", tool, "--error-exitcode", 1, TESTS,
                      f"--gtest_filter={tests}"], 200, needs="build-tests", expect=SOME_PASSED,
                     skip="" if sanitizer else "there is no compute-sanitizer",
                     informative=tool in ("racecheck", "initcheck"), environment=self.on_device,
                     concurrent=True)
        for network in self.checked:
            self.check("exact-deterministic", network, "cpu,cuda", "-exact", "-deterministic")
        ncu = shutil.which("ncu")
        for network in self.measured:
            self.add(f"profile-{network}",
                     [ncu or "ncu", "--clock-control", "none", "--csv", "--page", "raw",
                      "--kernel-name-base", "demangled", "--kernel-name", "regex:darknet",
                      "--metrics", "gpu__time_duration.sum,dram__bytes.sum", "--launch-count", 200,
                      PROGRAM, "bench", f"cfg/{network}.cfg", "-train", "-batch", 64, "-iterations",
                      1, "-set", "net.0.subdivisions=1"], 60, needs="build-program",
                     informative=True, environment=self.on_device,
                     skip="" if ncu and not self.options.small else "no ncu, or small networks")
        for network in self.measured:
            self.bench("train-deterministic", network, "-train", "-set", "net.0.subdivisions=1",
                       "-deterministic", batch=16)
            self.tuned(network)
        self.add("suite", ["ctest", "--test-dir", BUILD, "-j", os.cpu_count(), "--output-on-failure"],
                 400, needs="build-tests", informative=True, environment=self.environment,
                 skip="most of it needs no GPU" if self.options.small else "")

    def tuned(self, network):
        file = os.path.join(CHECK, f"bench-{network}-tune.tuning")
        training = ["-train", "-set", "net.0.subdivisions=1"]
        # Many proposals are compiled before they are timed.
        self.bench("tune", network, "-tune", file, batch=16, seconds=300)
        self.bench("tune-train", network, *training, "-tune", file, batch=16, seconds=400)
        self.bench("16-tuned", network, "-tuning", file, batch=16)
        self.bench("train-tuned", network, *training, "-tuning", file, batch=16)
        self.check("tuned", network, "cpu,cuda", "-tuning", file)

    def stage_e(self):
        data, needs = "data/bccd/bccd.data", "build-program"
        if os.path.isdir("data/bccd/Annotations"):  # VOC's layout, which has no absolute paths
            data, needs = f"{BUILD}/bccd/bccd.data", "bccd"
            self.add("bccd", [f"{BUILD}/darknet", "import-data", "data/bccd", f"{BUILD}/bccd", "-force"],
                     needs="build-program", environment=self.environment)
        here = needs == "bccd" or os.path.exists(data)
        small = {"ITERATIONS": "3", "LEAST": "0", "FLAGS": " ".join(
            [*self.size(0), "-set", "net.0.batch=2", "-set", "net.0.subdivisions=1"])}
        # Longer than a call: what --deadline cuts off goes on with the next training.
        self.add("compare", ["scripts/compare_devices.sh", os.path.join(CHECK, "compare"), data],
                 1800, needs=needs, skip="" if here else "data/bccd is not here",
                 environment={"SEEDS": "1 2" if self.options.small else "1 2 3 4", **self.on_device,
                              **(small if self.options.small else {})})

    def of(self, stage):
        self.stage = stage
        self.build()
        getattr(self, f"stage_{stage}")()
        steps, self.steps = self.steps, []
        return steps


def hash_of(paths):
    """Of the files, and of those in the folders, with their names."""
    found = []
    for path in paths:
        found += [path] if os.path.isfile(path) else [
            os.path.join(folder, file) for folder, _, files in os.walk(path) for file in files
            if not file.endswith(".pyc")]
    digest = hashlib.sha256()
    for path in sorted(found):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
        digest.update(f"{path}\0{content}\n".encode())
    return digest.hexdigest()


def steps_of(options):
    if options.steps:
        with open(options.steps, encoding="utf-8") as file:
            try:
                return [Step(**step) for step in json.load(file)]
            except (ValueError, TypeError) as error:
                raise BadFile(f"{options.steps}: not a list of steps: {error}") from error
    stages = "abcde" if options.stage == "all" else options.stage
    made, seen = Steps(options), {}
    for stage in stages:
        for step in made.of(stage):
            seen.setdefault(step.name, step)
    return list(seen.values())


def main():
    options = parse(sys.argv[1:])
    out = os.path.abspath(options.out or ".")
    if not options.steps:
        os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
    steps = steps_of(options)
    if options.list:
        for step in steps:
            print(step.stage, step.name + ":", *step.command)
        return 0
    kind = "-".join(name for name in ("small", "emulated") if getattr(options, name))
    source = hash_of([options.steps] if options.steps else SOURCES)
    runner = Runner(os.path.abspath(CHECK), out, options.deadline, FIGURES, kind, source,
                    1 if options.emulated else options.jobs)
    if options.repeat:
        runner.forget(options.repeat)
    return runner.run(steps)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BadFile, OSError) as error:
        sys.exit(f"check_gpu: {error}")
