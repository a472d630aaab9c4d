#!/usr/bin/env python3
"""Puts faults into the CUDA code, one at a time, and shows which of them the emulated GPU finds.

    scripts/mutate_cuda.py [--build build-cuda] [--only EXPRESSION]
    scripts/mutate_cuda.py --list

A fault of a kernel is an edit of its PTX when it is loaded; one of the host is an edit of a source
file, compiled, tested and taken back. Run it in a clone of its own: while it runs, sources are wrong.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import time

# name, part of the kernels' mangled names, regular expression, replacement
KERNELS = [
    ("barrier: none before the last sum of channels", "fold_channels_kernel", r"bar\.sync[^;]*;", ""),
    ("barrier: none before the rows of a block are added", "sum_chunks_kernel", r"bar\.sync[^;]*;", ""),
    ("barrier: none in the sum of a chunk", "sum_chunk_kernel", r"bar\.sync[^;]*;", ""),
    ("barrier: none in the last sum", "11fold_kernel", r"bar\.sync[^;]*;", ""),
    ("barrier: half of the threads leave before it", "11fold_kernel",
     r"(bar\.sync[^;]*;)", r"setp.gt.u32 %p1, %tid.x, 127; @%p1 ret; $1"),
    ("bounds: one index too many", "for_each_kernel", r"setp\.ge\.u32", "setp.gt.u32"),
    ("bounds: one group of channels too many", "map_kernel", r"setp\.ge\.s64", "setp.gt.s64"),
    ("bounds: one element too many, arrays", "arrays_kernel", r"setp\.lt\.s64", "setp.le.s64"),
    ("index: every thread takes the first", "Normalise", r"%tid\.x", "0"),
    ("index: the element behind, pooling", "MaxForward", r"(ld\.global\.f32[^\]]*)\];", r"$1+4];"),
    ("index: the element behind, batch normalisation", "Normalise",
     r"(st\.global\.f32\s+\[%rd\d+)\]", r"$1+4]"),
    ("index: the block's number left out", "Leaky", r"%ctaid\.x", "0"),
    ("index: the number of the row of blocks left out", "Leaky", r"%ctaid\.y", "0"),
    ("index: a sum takes its neighbour's place", "fold_channels_kernel",
     r"(st\.shared\.f64\s+\[%r\d+)\]", r"$1+8]"),
    ("stride: elements 8 bytes apart", "BackwardInput", r"(shl\.b64\s+%rd\d+, %rd\d+, )2;", r"$013;"),
    ("index: the element before, update", "Sgd", r"\+-2048\]", "+-2052]"),
    ("alignment: two bytes further", "Normalise", r"(ld\.global\.f32\s+%f\d+, \[%rd\d+)\]", r"$1+2]"),
    ("alignment: four bytes further, 16 bytes", "Normalise", r"(ld\.global\.v4\.f32[^\[]*\[%rd\d+)\]", r"$1+4]"),
    ("alignment: one byte further, 16 bits", "F16", r"(ld\.global\.u16\s+%rs\d+, \[%rd\d+)\]", r"$1+1]"),
    ("type: 16 bits read as 8", "F16", r"ld\.global\.u16", "ld.global.u8"),
    ("type: 16 bits written as 8", "4BF16", r"st\.global\.u16", "st.global.u8"),
    ("type: bf16 taken for f16", "map_kernel", r"cvt\.rn\.bf16(x2)?\.f32", "cvt.rn.f16$1.f32"),
    ("type: two numbers of a word exchanged", "map_kernel",
     r"(cvt\.rn\.f16x2\.f32 %r\d+), (%f\d+), (%f\d+)", "$1, $3, $2"),
    ("type: floats read as integers", "Assign", r"cvt\.rn\.f32\.s64\s+(%f\d+), (%rd\d+)",
     r"mov.b32 $1, 0"),
    ("write: a result is not stored", "Decode", r"st\.global\.f32[^;]*;", ""),
    ("write: a result is not stored, warp", "Warp", r"st\.f32[^;]*;", ""),
    ("arithmetic: difference for sum", "Adam", r"add\.f32", "sub.f32"),
    ("arithmetic: a comparison turned round", "ChooseAnchors", r"setp\.lt\.f32", "setp.ge.f32"),
    ("arithmetic: the worse of two anchors is kept", "ChooseAnchors", r"setp\.gt\.f32", "setp.lt.f32"),
    ("space: global memory taken for shared", "fold_channels_kernel", r"ld\.global\.f32",
     "ld.shared.f32"),
]

# name, file, text, replacement
HOST = [
    ("event: a stream does not wait", "src/cuda/streams.cpp",
     'check(cudaStreamWaitEvent(native(s), event_, 0), "cudaStreamWaitEvent", to_string(s.device));',
     "static_cast<void>(s);"),
    ("event: the host does not wait", "src/cuda/streams.cpp",
     "cuda::wait_for(device_, event_);", ""),
    ("event: never recorded", "src/cuda/streams.cpp",
     'check(cudaEventRecord(event_, native(s)), "cudaEventRecord", to_string(device_));',
     "static_cast<void>(s);"),
    ("event: the staging buffer is filled before it was copied", "src/train/host_to_device.cpp",
     "p.copied->wait();", ""),
    ("event: the staging buffer is given back before it was copied", "src/train/host_to_device.cpp",
     "  p.copied->wait();  // until then its memory is read\n  if (static_cast<std::int64_t>(bytes) <= "
     "p.packed.bytes()) return;",
     "  if (static_cast<std::int64_t>(bytes) <= p.packed.bytes()) return p.copied->wait();"),
    ("event: computing does not wait for the copy", "src/train/host_to_device.cpp",
     "p.copied->make_wait(net_.stream());", ""),
    ("event: the copy does not wait for what reads the old one", "src/train/host_to_device.cpp",
     "p.unpacked->make_wait(copies_.get());", ""),
    ("wait: synchronize() returns at once", "src/cuda/memory.cpp",
     "override {\n    streams(DeviceType::cuda).use(s.device);\n    cuda::wait_for(s);",
     "override {\n    static_cast<void>(s);"),
    ("wait: what was fetched is read too early", "src/cuda/memory.cpp",
     "if (waits)", "if (false && waits)"),
    ("memory: NCCL's arrays from the pool", "src/cuda/memory.cpp",
     'require(cudaMalloc(&p, bytes + 1), "cudaMalloc", device, bytes);',
     'require(cudaMallocAsync(&p, bytes + 1, nullptr), "cudaMalloc", device, bytes);'),
    ("memory: one float too few", "src/cuda/memory.cpp",
     "pool ? cudaMallocAsync(&p, bytes + 1, nullptr)", "pool ? cudaMallocAsync(&p, bytes - 3, nullptr)"),
    ("copy: the wrong direction", "src/cuda/memory.cpp",
     "    copy(s, to, from, bytes, cudaMemcpyDeviceToHost);",
     "    copy(s, to, from, bytes, cudaMemcpyHostToDevice);"),
    ("copy: to the wrong device", "src/cuda/memory.cpp",
     "cudaMemcpyPeerAsync(to, s.device.index, from, there.index,",
     "cudaMemcpyPeerAsync(to, there.index, from, s.device.index,"),
    ("device: a stream is opened on the current one", "src/cuda/streams.cpp",
     "    use(device);\n    cudaStream_t stream = nullptr;", "    cudaStream_t stream = nullptr;"),
    ("device: memory of the current one", "src/cuda/memory.cpp",
     "streams(DeviceType::cuda).use(device);\n    void* p = nullptr;\n    const bool pool",
     "void* p = nullptr;\n    const bool pool"),
    ("device: one library handle for all", "src/cuda/calls.h", "of_device[current_device()]",
     "of_device[0]"),
    ("capture: not ended after an error", "src/cuda/streams.cpp",
     "      status = cudaStreamEndCapture(native(s), &graph);\n      if (graph)", "      if (graph)"),
    ("arguments: beta and alpha exchanged", "src/cuda/graph.cpp",
     "operation.set(of.alpha, CUDNN_TYPE_FLOAT, 1.f);\n  operation.set(of.beta, CUDNN_TYPE_FLOAT, n.add ? 1.f : 0.f);",
     "operation.set(of.beta, CUDNN_TYPE_FLOAT, 1.f);\n  operation.set(of.alpha, CUDNN_TYPE_FLOAT, n.add ? 1.f : 0.f);"),
    ("arguments: the gradient is always overwritten", "src/cuda/conv_engines.cpp",
     "graphs.push_back(graph(fused, true));", "graphs.push_back(graph(fused, false));"),
    ("arguments: padding of the other axis", "src/cuda/graph.cpp",
     "pair_of(n.pad_y, n.pad_x)", "pair_of(n.pad_x, n.pad_y)"),
    ("arguments: stride for dilation", "src/cuda/conv_engines.cpp",
     ".dilation = s.dilation,", ".dilation = s.stride_y,"),
    ("arguments: groups forgotten", "src/cuda/conv_engines.cpp",
     "s.in.c / s.groups}, options_.precision", "s.in.c}, options_.precision"),
    ("arguments: the pointers of two tensors exchanged", "src/cuda/conv_engines.cpp",
     "{kX, o.x}, {kWeights, o.weights}", "{kX, o.weights}, {kWeights, o.x}"),
    ("arguments: rows for columns in a tensor's strides", "src/cuda/graph.cpp",
     "{s.features(), 1, s.w * s.c, s.c}", "{s.features(), 1, s.h * s.c, s.c}"),
    ("engine: one that rounds its input", "src/cuda/conv_engines.cpp",
     "if (e.rounds_sums || (f32 && e.rounds_inputs)) return false;",
     "if (e.rounds_sums) return false;"),
    ("engine: one that rounds its sums", "src/cuda/conv_engines.cpp",
     "if (e.rounds_sums || (f32 && e.rounds_inputs)) return false;",
     "if (f32 && e.rounds_inputs) return false;"),
    ("engine: one that is not deterministic", "src/cuda/conv_engines.cpp",
     "return !o.deterministic || e.deterministic;", "return true;"),
    ("engine: TF32 with -exact", "src/cuda/conv_engines.cpp",
     "if (o.exact && (e.transforms || (f32 && e.tensor_cores))) return false;",
     "if (o.exact && e.transforms) return false;"),
    ("engine: a slow one that fuses", "src/cuda/conv_engines.cpp",
     "return e.tensor_cores &&\n         (compiled_anyway", "return (compiled_anyway"),
    ("engine: too little workspace for the next one", "src/cuda/conv_engines.cpp",
     "if (taken_.fused.bias || taken_.engines[0].compiled) reserve(stand_in());", ""),
    ("fused: the slope of leaky left out", "src/cuda/conv_engines.cpp",
     "one(CUDNN_POINTWISE_RELU_FWD, leaky.derivative(-1.f));",
     "static_cast<void>(leaky), one(CUDNN_POINTWISE_RELU_FWD);"),
    ("fused: mish of the wrong tensor", "src/cuda/conv_engines.cpp",
     ".a = from, .b = tanh, .to = to", ".a = softplus, .b = tanh, .to = to"),
    ("fused: in training", "src/cuda/conv_engines.cpp",
     "direction_ == ConvDirection::forward && options_.mode == Mode::inference;",
     "direction_ == ConvDirection::forward;"),
    ("arguments: the matrices of a product exchanged", "src/cuda/gemm_plan.cpp",
     "operation(s.transpose_b), operation(s.transpose_a)",
     "operation(s.transpose_a), operation(s.transpose_b)"),
    ("workspace: smaller than said", "src/cuda/conv_engines.h",
     "std::int64_t workspace() const { return workspace_; }",
     "std::int64_t workspace() const { return workspace_ / 2; }"),
    ("workspace: the gradient lies in it", "src/cuda/conv_plan.cpp",
     "std::int64_t gradient_at() const { return part_bytes(weights_->workspace()); }",
     "std::int64_t gradient_at() const { return 0; }"),
    ("workspace: misaligned for cuBLAS", "src/cuda/gemm_plan.cpp",
     "blas.set_workspace(handle, workspace, kWorkspace)",
     "blas.set_workspace(handle, static_cast<char*>(workspace) + 16, kWorkspace)"),
    ("parts: not aligned", "src/core/parts.h",
     "return (bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment;", "return bytes;"),
    ("sizes: one that comes back has the weights of before", "src/nn/network_plan.cpp",
     "if (used_before) pack_weights();", "if (!used_before) pack_weights();"),
    ("sizes: graphs of memory that was released", "src/nn/network_plan.cpp",
     "if (input_grows || arena_grows) sizes.forget_graphs();", ""),
    ("NCCL: no group", "src/cuda/nccl.cpp", 'give_up_on(ncclGroupStart(), "ncclGroupStart");', ""),
    ("NCCL: no group at the end", "src/cuda/nccl.cpp", "begun = ncclGroupStart();",
     "begun = ncclSuccess;"),
    ("NCCL: nobody asks for errors of links", "src/cuda/calls.cpp", "if (!sums_by_nccl(device)) return;",
     "return;"),
    ("NCCL: nobody asks for errors of other devices", "src/cuda/nccl.cpp",
     "if (status != cudaSuccess && status != cudaErrorNotReady) fail(cudaGetErrorString(status));",
     ""),
    ("NCCL: not aborted after an error", "src/cuda/nccl.cpp",
     "for_all(ncclCommAbort);", ""),
    ("NCCL: one rank alone waits for the end of others", "src/cuda/nccl.cpp",
     "if (!over_ranks_) leave();", "leave();"),
    ("NCCL: one rank alone aborts", "src/cuda/nccl.cpp",
     "failure_ = why;\n    if (!over_ranks_) abort();", "failure_ = why;\n    abort();"),
    ("NCCL: the network is not tried out", "src/cuda/nccl.cpp", "joined->try_out(devices, bf16);", ""),
    ("NCCL: an error in a step does not end the job", "src/train/step.cpp",
     "if (all_reduce_) all_reduce_->step_failed(sentence_of(e));", ""),
    ("NCCL: the status of a query is left behind", "src/cuda/calls.cpp",
     "    cudaGetLastError();  // not to be found by the next launch\n    check_nccl",
     "    check_nccl"),
    ("NCCL: one number left out", "src/cuda/nccl.cpp", "to_size(n), type,", "to_size(n - 1), type,"),
    ("NCCL: a place taken twice", "src/cuda/nccl.cpp", "first + static_cast<int>(d));", "first);"),
    ("NCCL: an id of this rank's own", "src/train/join_devices.cpp",
     "made = ranks.broadcast(std::move(made));", 'if (made.empty()) made = "+" + joiner.make_id();'),
    ("NCCL: gradients from the pool", "src/nn/network_plan.cpp", "parameters(), MemoryAccess::peer",
     "parameters(), MemoryAccess::local"),
    ("overlap: a bucket is summed before it is computed", "src/train/device_sums.cpp",
     "events[i]->make_wait(streams_[i]);", ""),
    ("overlap: nobody waits for the sums", "src/train/device_sums.cpp",
     "p.done->make_wait(p.net->stream());", ""),
    ("overlap: buckets of one device count for all", "src/train/overlapped_sum.cpp",
     "for (const auto& p : places_) all = std::min(all, p->reached);", "all = places_[0]->reached;"),
    ("overlap: buckets in the order of the layers", "src/train/overlapped_sum.cpp",
     "buckets_[reached].layer >= layer", "buckets_[reached].layer <= layer"),
    ("overlap: the sum in bf16 stays in its buffer", "src/train/device_sums.cpp",
     "round(places_[i], gradients[i], true);", ";"),
    ("overlap: the next step sums nothing", "src/train/overlapped_sum.cpp", "  started_ = 0;\n", ""),
    ("NCCL: what an error left is saved", "src/train/trainer.cpp",
     "catch (const DeviceFailure&) {\n    throw;  // the parameters",
     "catch (const std::bad_alloc&) {\n    throw;  // the parameters"),
]

SUITES = ("^EmulatedGpu\\.(Networks|Steps|Ranks|Program|OthersFirst|ReadingMemoryOfTheHost|Training|"
          "WhereTheFirstAlgorithmFails)$")


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", **more)


def tested(build, environment=None):
    """The names of the suites that failed, and what they wrote."""
    ran = run(["ctest", "--test-dir", build, "-R", SUITES, "--stop-on-failure", "--timeout", "240", "-V",
               "-j", "2"], env={**os.environ, **(environment or {})})
    failed = re.findall(r"EmulatedGpu\.(\w+) \.*\**(Failed|Timeout|Not Run|Subprocess|Exception)", ran.stdout)
    said = re.search(r"emulated GPU \d: (.*)|Failure\n(.*)|what\(\): (.*)|description \"(.*?)\"", ran.stdout)
    reason = next((g for g in said.groups() if g), "")[:110] if said else ""
    if any(how in ("Timeout", "Not Run") for _, how in failed):
        reason = f"{failed[0][1]}: not decided, run it again on a quiet machine"
        failed = []
    return failed, reason, ran.stdout


def report(name, failed, reason, seconds):
    print(f"{'found' if failed else 'MISSED':7} {name:62} {seconds:4.0f} s  {reason}", flush=True)
    return bool(failed)


def kernel_mutations(build, only):
    for name, kernel, pattern, replacement in KERNELS:
        if not re.search(only, name):
            continue
        start = time.time()
        edit = {"EMULATED_GPU_EDIT": f"{kernel}|{pattern}|{replacement}"}
        failed, reason, said = tested(build, edit)
        if "a kernel is edited" not in said:
            sys.exit(f"{name}: no kernel has this text any more")
        yield report(name, failed, reason, time.time() - start)


def host_mutations(build, only):
    for name, path, text, replacement in HOST:
        if not re.search(only, name):
            continue
        start = time.time()
        with open(path) as f:
            source = f.read()
        try:
            with open(path, "w") as f:
                f.write(source.replace(text, replacement))
            built = run(["cmake", "--build", build, "--target", "darknet_tests"])
            if built.returncode:
                sys.exit(f"{name}: does not compile\n{built.stdout[-2000:]}")
            yield report(name, *tested(build)[:2], time.time() - start)
        finally:
            with open(path, "w") as f:
                f.write(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build-cuda", help="a built CUDA preset (%(default)s)")
    parser.add_argument("--only", default="", help="faults whose name this regular expression finds")
    parser.add_argument("--list", action="store_true",
                        help="print the names; looks whether the sources have the texts of each fault")
    arguments = parser.parse_args()
    try:
        chosen = [m[0] for m in KERNELS + HOST if re.search(arguments.only, m[0])]
    except re.error as error:
        parser.error(f"--only {arguments.only}: no regular expression: {error}")
    if not chosen:
        parser.error(f"--only {arguments.only}: no fault has such a name")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended; the sources are as they were"))
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    for name, path, text, _ in HOST:
        with open(path) as f:
            if (count := f.read().count(text)) != 1:
                sys.exit(f"{name}: {path} has the text {count} times")
    if arguments.list:
        print(*chosen, sep="\n")
        return
    if not os.path.exists(os.path.join(arguments.build, "CTestTestfile.cmake")):
        sys.exit(f"mutate_cuda: {arguments.build} is no build of this program; run make cuda first")
    failed, reason, said = tested(arguments.build)
    if failed or "100% tests passed" not in said:
        sys.exit(f"without a fault the suites must pass: {failed} {reason}\n{said[-2000:]}")
    found = list(kernel_mutations(arguments.build, arguments.only))
    found += host_mutations(arguments.build, arguments.only)
    if run(["cmake", "--build", arguments.build, "--target", "darknet_tests"]).returncode:
        sys.exit("the sources are as they were, but do not build")
    print(f"{sum(found)} of {len(found)} faults found")
    if not found or not all(found):
        sys.exit(1)


if __name__ == "__main__":
    main()
