"""Runs steps in stages on a machine whose time is short, for check_gpu.py.

Every step has a deadline of its own and a line in the summary; a failure never ends a stage. What
passed or failed is kept in a file, so that a call that was cut off is continued by the next one.
"""
import dataclasses
import datetime
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import time

PASSED, FAILED, FINDINGS, SKIPPED = "passed", "FAILED", "findings", "skipped"
KEPT_FILES = (".txt", ".json", ".jsonl", ".svg", ".tuning", ".log")
MAX_LOG = 1 << 20  # bytes of a file in an archive; the middle of a longer one is left out
MIN_SECONDS = 3    # with less left, no step is begun
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclasses.dataclass
class Step:
    """A command of a stage. `skip`: why it cannot run here. `needs`: a step that must have passed.
    `informative`: a failure is reported as findings and does not count. `always`: it runs in every
    call. `expect`: a regular expression that the output must hold. `environment`: more variables.
    `concurrent`: it measures no times, so that it may run at the same time as others of that kind."""
    stage: str
    name: str
    command: list
    seconds: float = 120
    needs: str = ""
    skip: str = ""
    informative: bool = False
    always: bool = False
    expect: str = ""
    environment: dict = dataclasses.field(default_factory=dict)
    concurrent: bool = False


@dataclasses.dataclass
class Running:
    step: Step
    process: subprocess.Popen
    begin: float  # seconds, as all times here
    end: float    # when it is stopped
    by_deadline: bool


class BadFile(Exception):
    """A file that this program wrote, or was given, does not hold what it should."""


class Interrupted(Exception):
    """A signal asked for the end."""


class Signals:
    """Makes the first signal an Interrupted; not while it is held, when a step is being started that
    nobody could stop yet."""

    def __init__(self):
        self.received, self.held = 0, False
        for number in SIGNALS:
            signal.signal(number, self._receive)

    def _receive(self, number, _):
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        self.received = number
        if not self.held:
            raise Interrupted(number)

    def let_go(self):
        self.held = False
        if self.received:
            raise Interrupted(self.received)



def stop(processes):
    """Ends steps with everything that they started; gives up on what a driver holds. What ignores the
    first signal, or outlives its parent, gets the second."""
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 10)):
        for process in processes:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                pass
        end = time.monotonic() + patience
        while any(p.poll() is None for p in processes) and time.monotonic() < end:
            time.sleep(.02)


class Runner:
    """`folder`: state and logs of the steps; `out`: the summary and one archive for each stage;
    `kind` of the run and `source`: what was done of another kind, or with other sources, counts as
    not done; `jobs`: how many steps may run at the same time."""

    def __init__(self, folder, out, deadline, figures, kind="", source="", jobs=1):
        self.folder, self.out, self.figures = folder, out, re.compile(figures)
        self.jobs, self.running = jobs, []
        self.source, self.signals = source, None
        self.end = time.monotonic() + deadline
        self.state_file = os.path.join(folder, f"state-{kind}.json" if kind else "state.json")
        os.makedirs(folder, exist_ok=True)
        os.makedirs(out, exist_ok=True)
        self.done, self.lines, self.unfinished = {}, [], []
        if os.path.exists(self.state_file):
            all_done = self._read_state()
            self.done = {n: s for n, s in all_done.items() if s.get("source") == source}
            if len(self.done) < len(all_done):
                self._say(f"the sources have changed: {len(all_done) - len(self.done)} results of "
                          "before do not count")

    def _read_state(self):
        try:
            with open(self.state_file, encoding="utf-8") as file:
                done = json.load(file)
            if all({"result", "seconds", "note"} <= step.keys() for step in done.values()):
                return done
            reason = "a step without a result"
        except (ValueError, AttributeError) as error:
            reason = error
        raise BadFile(f"{self.state_file}: damaged ({reason}); remove it to begin anew")

    def forget(self, expression):
        """Steps of such names run again."""
        for name in [n for n in self.done if re.fullmatch(expression, n)]:
            del self.done[name]

    def run(self, steps):
        """Runs what is not done yet; the exit code."""
        self.signals = Signals()
        code = 0
        try:
            for step in steps:
                self._take(step)
            self._wait(0)
        except Interrupted as interrupted:
            code = 128 + interrupted.args[0]
        finally:
            stop([r.process for r in self.running])
        left = [s.name for s in steps if s.name not in self.done and s.name not in self._skipped()]
        if left:
            self._say(f"not finished: {len(left)} steps, {left[0]} first; the same call continues")
        self._write(steps)
        failed = [s for s in steps if self.done.get(s.name, {}).get("result") == FAILED]
        return code or (1 if failed or left else 0)

    def _skipped(self):
        return {line.split(":")[0] for line in self.lines if f": {SKIPPED}" in line}

    def _take(self, step):
        """Starts it, or says why not. Waits for steps that must end before."""
        if not step.concurrent or any(step.needs == r.step.name for r in self.running):
            self._wait(0)
        if step.always:
            self.done.pop(step.name, None)
        earlier = self.done.get(step.name)
        left = self.end - time.monotonic()
        if earlier:
            self._say(f"{step.name}: {earlier['result']} earlier ({earlier['seconds']:.0f} s)")
        elif step.skip:
            self._say(f"{step.name}: {SKIPPED}, {step.skip}")
        elif left < MIN_SECONDS:
            return
        elif step.needs and self.done.get(step.needs, {}).get("result") != PASSED:
            self._say(f"{step.name}: {SKIPPED}, it needs {step.needs}")
        else:
            self._start(step, left)
            self._wait(self.jobs - 1 if step.concurrent else 0)

    def _log(self, step):
        return os.path.join(self.folder, step.name + ".txt")

    def _start(self, step, left):
        begin = time.monotonic()
        with open(self._log(step), "wb") as log:
            log.write(("$ " + " ".join(step.command) + "\n").encode())
            log.flush()
            self.signals.held = True
            try:
                process = subprocess.Popen(
                    step.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                    start_new_session=True, env={**os.environ, **step.environment})
                self.running.append(Running(step, process, begin, begin + min(step.seconds, left),
                                            left <= step.seconds))
            except OSError as error:
                self._finish(step, FAILED, begin, str(error))
        self.signals.let_go()

    def _wait(self, most):
        """Until at most that many steps run."""
        while len(self.running) > most:
            now = time.monotonic()
            late = [r for r in self.running if r.process.poll() is None and now > r.end]
            stop([r.process for r in late])
            ended = [r for r in self.running if r in late or r.process.poll() is not None]
            self.running = [r for r in self.running if r not in ended]
            for r in ended:
                self._end(r, r in late)
            if ended:
                self._write_summary()
            else:
                time.sleep(.02)

    def _end(self, r, late):
        if not late:
            self._finish(r.step, *self._verdict(r.step, r.process.returncode, r.begin))
        elif r.by_deadline:  # not its own fault
            self._say(f"{r.step.name}: cut off by the deadline after {r.end - r.begin:.0f} s")
        else:
            self._finish(r.step, FAILED, r.begin, f"it took longer than {r.step.seconds:.0f} s")

    def _verdict(self, step, code, begin):
        if code != 0:
            return FAILED, begin, f"exit code {code}"
        with open(self._log(step), encoding="utf-8", errors="replace") as log:
            text = log.read()
        if step.expect and not re.search(step.expect, text):
            return FAILED, begin, f"nothing in its output is {step.expect!r}"
        skipped = len(set(re.findall(r"^\[  SKIPPED \] (\S+)$", text, re.MULTILINE)))
        return PASSED, begin, f"{skipped} tests skipped" if skipped else ""

    def _finish(self, step, result, begin, note=""):
        if result == FAILED and step.informative:
            result = FINDINGS
        seconds = time.monotonic() - begin
        self.done[step.name] = {"result": result, "seconds": round(seconds, 2), "note": note,
                                "source": self.source}
        temporary = self.state_file + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(self.done, file, indent=1)
        os.replace(temporary, self.state_file)
        self._say(f"{step.name}: {result} ({seconds:.0f} s)" + (f", {note}" if note else ""))
        if result == FAILED:
            with open(self._log(step), encoding="utf-8", errors="replace") as log:
                for line in log.read().splitlines()[-5:]:
                    print("    " + line, flush=True)

    def _say(self, line):
        self.lines.append(line)
        print(line, flush=True)

    def _figures_of(self, step):
        try:
            with open(self._log(step), encoding="utf-8", errors="replace") as log:
                return [line.rstrip() for line in log if self.figures.search(line)]
        except OSError:
            return []

    def _write_summary(self, steps=()):
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        lines = [f"as of {stamp}", *self.lines]
        for step in steps:
            if self.done.get(step.name, {}).get("result") == PASSED:
                lines += [f"{step.name}: {figure}" for figure in self._figures_of(step)]
        with open(os.path.join(self.out, "summary.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return lines

    def _write(self, steps):
        """The summary with all figures, and the archives."""
        for line in self._write_summary(steps)[1 + len(self.lines):]:
            print(line, flush=True)
        for stage in sorted({s.stage for s in steps}):
            names = [s.name for s in steps if s.stage == stage]
            with tarfile.open(os.path.join(self.out, f"stage-{stage}.tar.gz"), "w:gz") as archive:
                for path in self._files_of(names):
                    add_shortened(archive, path, os.path.relpath(path, self.folder))

    def _files_of(self, names):
        """A step's log, and what it left in a folder or files of its name."""
        for folder, _, files in os.walk(self.folder):
            for file in sorted(files):
                path = os.path.join(folder, file)
                first = os.path.relpath(path, self.folder).split(os.sep)[0]
                if os.path.splitext(first)[0] in names and file.endswith(KEPT_FILES):
                    yield path


def add_shortened(archive, path, name):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) > MAX_LOG:
        data = data[:MAX_LOG // 2] + b"\n[...]\n" + data[-MAX_LOG // 2:]
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), int(os.path.getmtime(path))
    archive.addfile(info, io.BytesIO(data))
