"""The tables of bench_peers.py, as Markdown."""
import os

OURS = "darknet"


def unique(values):
    return list(dict.fromkeys(values))


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def network_name(row):
    width, height = row["input"]
    name = os.path.splitext(os.path.basename(row["cfg"]))[0]
    return f"{name}, {width} x {height}"


class Report:
    """Rows by network, engine, batch and threads."""

    def __init__(self, report):
        self.rows = report["rows"]
        self.networks = unique(network_name(r) for r in self.rows)
        self.engines = unique(r["engine"] for r in self.rows)
        self.cells = {(network_name(r), r["engine"], r["batch"], r["threads"]): r
                      for r in self.rows}

    def cases(self):
        return unique((r["threads"], r["batch"]) for r in self.rows)

    def times(self, threads, batch):
        key = "cpu_ms" if threads == 1 else "wall_ms"
        lines = []
        for network in self.networks:
            ours = self.cells.get((network, OURS, batch, threads))
            if not ours:
                continue
            line = [network]
            for engine in self.engines:
                row = self.cells.get((network, engine, batch, threads))
                line.append("-" if not row else time_text(row[key], ours[key], engine))
            lines.append(line)
        return table(["", *self.engines], lines)

    def memory(self):
        lines = []
        for network in self.networks:
            for threads, batch in self.cases():
                rows = [self.cells.get((network, e, batch, threads)) for e in self.engines]
                lines.append([network, str(batch), str(threads),
                              *(f"{r['peak_mib']:.0f}" if r else "-" for r in rows)])
        return table(["MiB", "batch", "threads", *self.engines], lines)

    def versions(self):
        lines = []
        for engine in self.engines:
            rows = [r for r in self.rows if r["engine"] == engine]
            found = [r["difference"] for r in rows if r["difference"] is not None]
            lines.append([engine, ", ".join(unique(r["version"] for r in rows)),
                          f"{max(found):.1e}" if found else "-"])
        return table(["", "version", "largest difference from darknet"], lines)


def time_text(milliseconds, ours, engine):
    text = f"{milliseconds:.1f}"
    return text if engine == OURS else f"{text} ({milliseconds / ours:.2f})"


def markdown(report):
    """The tables, with the machine and how they were measured."""
    data, machine = Report(report), report["machine"]
    have = ", ".join(machine["instructions"]) or "none of AVX2 and AVX-512"
    text = [f"{machine['processor']}, {machine['cores']} cores, {have}; load average "
            f"{machine['load']:.1f} at the start. f32, {report['weights']} weights. Medians of "
            f"{report['rounds']} rounds of {report['iterations']} iterations, the engines in turn. "
            "In brackets: divided by darknet's, so above 1 is slower than darknet.\n"]
    for threads, batch in data.cases():
        what = "Processor time" if threads == 1 else "Time"
        text.append(f"\n{what}, ms an image; {count(threads, 'thread')}, batch {batch}:\n\n")
        text.append(data.times(threads, batch))
    text.append("\nPeak memory of the process (the others' has Python in it):\n\n" + data.memory())
    text.append("\nProbabilities and boxes agree with those of `darknet detect` to "
                f"{report['tolerance']:g}:\n\n" + data.versions())
    for title, lines in (("Not installed", report["missing"]), ("Failed", report["failures"])):
        if lines:
            text.append(f"\n{title}: " + "; ".join(lines) + "\n")
    return "".join(text)


def count(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")
