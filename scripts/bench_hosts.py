#!/usr/bin/env python3
"""Measures data-parallel training on several hosts, and holds a model of the step time against it.

Hosts are network namespaces of this machine whose links have a bandwidth and a delay
(host_network.py); every one runs a rank of one thread, so that processors are shared where there are
more ranks than cores. For each number of hosts and each link a training of a few steps runs with and
without overlap of the sum with the backward pass. The model takes the time of a step without a
network (ranks on this host, shared memory) and adds what the links must cost. Needs root, Open MPI
and `darknet` built with MPI.
  bench_hosts.py --data scenes.data --cfg cfg/yolov3-tiny.cfg --hosts 2,4 --links 1e9:.0005,1e10:0
  bench_hosts.py --predict
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

import script_tools
from host_network import INTERFACE, Network
from script_tools import DataError

SKIPPED = 2     # steps at the start that are not counted
DEADLINE = 600  # seconds of one training
NVLINK = 450e9  # bytes per second of a GPU, each way
PCIE = 50e9     # of a node to its GPUs
GPUS = 8        # of a node


class Step:
    """What a step needs in every rank. Seconds; gradients in bytes."""

    def __init__(self, compute, backward_last, gradients, bucket):
        self.compute = compute              # without the sum over the ranks
        self.backward_last = backward_last  # of it: the backward pass of the last micro-batch
        self.gradients, self.bucket = gradients, bucket


def ring_seconds(size, ranks, bandwidth, delay):
    """An all-reduce of `size` bytes: 2 (n - 1) messages of size / n bytes one after the other, each
    way (Patarasuk and Yuan 2009)."""
    if ranks == 1:
        return 0.0
    return 2 * (ranks - 1) * (size / ranks * 8 / bandwidth + delay)


def step_seconds(step, ranks, bandwidth, delay, overlap):
    """Buckets are summed one after the other. With overlap they become ready in equal intervals of
    the last backward pass, the last one at its end."""
    buckets = max(1, round(step.gradients / step.bucket))
    one = ring_seconds(step.gradients / buckets, ranks, bandwidth, delay)
    if not overlap:
        return step.compute + buckets * one
    done = 0.0  # since the start of the last backward pass
    for k in range(buckets):
        done = max(done, step.backward_last * (k + 1) / buckets) + one
    return step.compute + done - step.backward_last


def parse_link(text):
    try:
        bandwidth, delay = (float(part) for part in text.split(":"))
    except ValueError:
        raise DataError(f"--links: {text!r} is not BITS_PER_SECOND:DELAY_SECONDS") from None
    if bandwidth <= 0 or delay < 0:
        raise DataError(f"--links: {text!r} needs a bandwidth above 0 and a delay of at least 0")
    return bandwidth, delay


def describe(link):
    bandwidth, delay = link
    return f"{bandwidth / 1e9:g} Gbit/s" + (f", {delay * 1e3:g} ms" if delay else "")


def training(options, folder):
    """The command of one training, and where its log will be."""
    command = [os.path.abspath(options.darknet), "detector", "train", options.data, options.cfg,
               "-clear", "-max_batches", str(options.iterations), "-backup", folder, "-dont_show"]
    for assignment in options.set:
        command += ["-set", assignment]
    name = os.path.splitext(os.path.basename(options.cfg))[0]
    return command, os.path.join(folder, f"{name}_log.jsonl")


def mpirun(ranks, overlap, more):
    return ["mpirun", "--allow-run-as-root", "--oversubscribe", "-np", str(ranks), "--bind-to",
            "none", "-x", "OMP_NUM_THREADS=1", "-x", f"DARKNET_OVERLAP={int(overlap)}",
            "-x", "OMP_WAIT_POLICY=passive", "--mca", "mpi_yield_when_idle", "1", *more]


def run(command, log):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        raise DataError(f"{shlex.join(command)}: did not end within {DEADLINE} s") from None
    if done.returncode != 0:
        raise DataError(f"{shlex.join(command)}\n{done.stderr.strip()[-2000:]}")
    with open(log, encoding="utf-8") as file:
        steps = [json.loads(line) for line in file]
    return statistics.median(s["step_seconds"] + s["load_seconds"] for s in steps[SKIPPED:])


def without_network(options, ranks):
    with tempfile.TemporaryDirectory() as folder:
        command, log = training(options, folder)
        return run(mpirun(ranks, False, []) + command if ranks > 1 else
                   ["env", "OMP_NUM_THREADS=1", *command], log)


def over_network(options, network, ranks, overlap):
    with tempfile.TemporaryDirectory() as folder:
        command, log = training(options, folder)
        agent = os.path.join(folder, "agent")
        with open(agent, "w", encoding="utf-8") as file:  # in place of ssh: HOST COMMAND...
            file.write(f"#!/bin/sh\nhost={network.prefix}$((${{1##*.}} - 1)); shift\n"
                       'exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"\n')
        os.chmod(agent, 0o755)
        hosts = ",".join(f"{network.address(i)}:1" for i in range(ranks))
        more = ["--host", hosts, "--mca", "plm_rsh_agent", agent, "--mca", "pml", "ob1", "--mca",
                "btl", "tcp,self", "--mca", "btl_tcp_if_include", INTERFACE, "--mca",
                "oob_tcp_if_include", INTERFACE]
        inside = shlex.join(mpirun(ranks, overlap, more) + command)
        return run(["ip", "netns", "exec", network.hosts[0], "unshare", "--uts", "sh", "-c",
                    f"hostname {network.hosts[0]}; {inside}"], log)


def measure(options):
    links = [parse_link(text) for text in options.links.split(",")]
    counts = [int(script_tools.number(n, "--hosts", "bench_hosts")) for n in options.hosts.split(",")]
    one = without_network(options, 1)
    print(f"one rank of one thread: {one:.3f} s a step", flush=True)
    local = {n: without_network(options, n) for n in counts}
    print("| hosts | link | overlap | s a step | model | speed next to one rank |\n"
          "|---|---|---|---|---|---|")
    for n in counts:
        print(f"| {n} | none | - | {local[n]:.3f} | - | {one / local[n]:.2f} |", flush=True)
    for link in links:
        for n in counts:
            step = Step(local[n], options.backward * local[n], options.gradients, options.bucket)
            with Network(n, *link) as network:
                for overlap in (False, True):
                    measured = over_network(options, network, n, overlap)
                    model = step_seconds(step, n, *link, overlap)
                    print(f"| {n} | {describe(link)} | {'yes' if overlap else 'no'} | "
                          f"{measured:.3f} | {model:.3f} | {one / measured:.2f} |", flush=True)


def predict(options):
    """Nodes of eight GPUs, a rank each. Either NCCL sums within a node, and after the backward pass
    MPI the sums of the nodes, through host memory; or NCCL sums all, next to the backward pass."""
    within = 2 * (GPUS - 1) / GPUS * options.gradients / NVLINK
    copies = 2 * options.gradients / PCIE
    step = Step(options.step + within, options.backward * options.step, options.gradients,
                options.bucket)
    print("| GPUs | link of a node | through host memory: s a step | efficiency | NCCL: s a step | "
          "efficiency |\n|---|---|---|---|---|---|")
    for link in (parse_link(text) for text in options.links.split(",")):
        for nodes in (1, 8, 64):
            by_host = step_seconds(step, nodes, *link, False) + (copies if nodes > 1 else 0)
            overlapped = step_seconds(step, nodes, *link, True)
            print(f"| {nodes * GPUS} | {describe(link)} | {by_host:.4f} | {options.step / by_host:.0%} | "
                  f"{overlapped:.4f} | {options.step / overlapped:.0%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--darknet", default="build/darknet")
    parser.add_argument("--data", help="a .data file; its images should be small files")
    parser.add_argument("--cfg")
    parser.add_argument("--set", action="append", default=[], help="as -set of detector train")
    parser.add_argument("--hosts", default="2,4")
    parser.add_argument("--links", default="1e9:.0005,1e10:0",
                        help="BITS_PER_SECOND:DELAY_SECONDS, the delay one way")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--backward", type=float, default=.66,
                        help="share of the last micro-batch's backward pass in a step, as bench -train says")
    parser.add_argument("--gradients", type=float, default=34.7e6,
                        help="bytes of all gradients: 4 for each parameter (those of yolov3-tiny)")
    parser.add_argument("--bucket", type=float, default=4 << 20, help="bytes that are summed at once")
    parser.add_argument("--predict", action="store_true",
                        help="print what the model says of 8, 64 and 512 GPUs")
    parser.add_argument("--step", type=float, default=.0145,
                        help="--predict: seconds of a step on one GPU (yolov3-tiny, 64 images, H200)")
    options = parser.parse_args()
    if options.predict:
        predict(options)
    elif not options.data or not options.cfg:
        raise DataError("needs --data and --cfg, or --predict")
    elif os.geteuid() != 0:
        raise DataError("network namespaces need root")
    else:
        measure(options)


if __name__ == "__main__":
    sys.exit(script_tools.run(main))
