"""The inference engines that bench_peers.py holds against `darknet bench`.

Each is imported only where it runs: in a process of its own, `peer_engines.py JOB.json`, which
loads one network, writes its outputs where the job asks for them, and measures it. An engine has
module (what Python imports), package (what pip installs), load(job), run(pixels) and version(). run
returns the outputs of one batch as arrays (n, c, h, w); it is what is measured.
"""
import json
import os
import subprocess
import sys
import time


class OnnxRuntime:
    module, package = "onnxruntime", "onnxruntime"

    def load(self, job):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = job["threads"], 1
        self.session = onnxruntime.InferenceSession(job["onnx"], options,
                                                    providers=["CPUExecutionProvider"])

    def run(self, pixels):
        return self.session.run(None, {"data": pixels})

    def version(self):
        import onnxruntime
        return onnxruntime.__version__


class OpenVino:
    module, package = "openvino", "openvino"

    def load(self, job):
        import openvino
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
                   "INFERENCE_NUM_THREADS": job["threads"]}
        model = openvino.Core().compile_model(job["onnx"], "CPU", options)
        self.request, self.outputs = model.create_infer_request(), model.outputs

    def run(self, pixels):
        self.request.infer([pixels], share_inputs=True, share_outputs=True)
        return [self.request.get_tensor(o).data for o in self.outputs]

    def version(self):
        import openvino
        return openvino.__version__.split("-")[0]


class Mnn:
    module, package = "MNN", "MNN"

    def load(self, job):
        import MNN
        import numpy
        self.mnn, self.numpy = MNN, numpy
        model = job["onnx"] + ".mnn"
        if not os.path.exists(model):
            tool = os.path.join(os.path.dirname(sys.executable), "mnnconvert")
            subprocess.run([tool, "-f", "ONNX", "--modelFile", job["onnx"], "--MNNModel", model,
                            "--bizCode", "bench"], check=True, stdout=subprocess.DEVNULL)
        self.net = MNN.Interpreter(model)
        self.session = self.net.createSession({"backend": "CPU", "numThread": job["threads"],
                                               "precision": "high"})  # f32
        self.input = self.net.getSessionInput(self.session)
        names = job["output_names"]
        self.outputs = [self.net.getSessionOutput(self.session, n) for n in names]

    def host(self, shape, values):
        return self.mnn.Tensor(tuple(shape), self.mnn.Halide_Type_Float, values,
                               self.mnn.Tensor_DimensionType_Caffe)

    def run(self, pixels):
        self.input.copyFrom(self.host(pixels.shape, pixels))
        self.net.runSession(self.session)
        results = []
        for output in self.outputs:
            shape = output.getShape()
            host = self.host(shape, self.numpy.zeros(shape, self.numpy.float32))
            output.copyToHostTensor(host)
            results.append(host.getNumpyData().reshape(shape).copy())  # the view's owner goes
        return results

    def version(self):
        return self.mnn.version()


class Ncnn:
    """Has no batches: it computes their images one after the other."""
    module, package = "ncnn", "ncnn"

    def load(self, job):
        import ncnn
        import numpy
        self.ncnn, self.numpy, self.names = ncnn, numpy, job["ncnn_outputs"]
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = job["threads"]
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        if self.net.load_param(job["ncnn_param"]) or self.net.load_model(job["ncnn_bin"]):
            raise RuntimeError("ncnn cannot load the network")

    def one(self, image):
        extractor = self.net.create_extractor()
        extractor.input("data", self.ncnn.Mat(image))
        found = []
        for name in self.names:
            error, mat = extractor.extract(name)
            if error:
                raise RuntimeError(f"ncnn cannot compute {name}")
            found.append(self.numpy.array(mat))
        return found

    def run(self, pixels):
        return [self.numpy.stack(same) for same in zip(*[self.one(image) for image in pixels])]

    def version(self):
        return self.ncnn.__version__


class Torch:
    """Eager mode; the module of bench_torch.py."""
    module, package, channels_last = "torch", "torch", False

    def load(self, job):
        import torch
        from bench_torch import make_module
        from darknet_cfg import plan_layers, read_cfg
        from network_files import fold, read_weights
        self.torch = torch
        torch.set_num_threads(job["threads"])
        image, layers = plan_layers(read_cfg(job["cfg"]), None)
        self.net = make_module(torch, layers)(image[0]).eval()
        self.net.fold()
        folded = fold(layers, read_weights(job["weights"], image, layers))
        with torch.no_grad():
            for index, (kernel, bias) in folded.items():
                conv = self.net.built[index][0]
                conv.weight.copy_(torch.from_numpy(kernel))
                conv.bias.copy_(torch.from_numpy(bias))
        self.format = torch.channels_last if self.channels_last else torch.contiguous_format
        self.net = self.net.to(memory_format=self.format)

    def run(self, pixels):
        with self.torch.inference_mode():
            given = self.torch.from_numpy(pixels).contiguous(memory_format=self.format)
            return [out.contiguous().numpy() for out in self.net(given)]

    def version(self):
        return self.torch.__version__.split("+")[0]


class TorchChannelsLast(Torch):
    channels_last = True


class OpenCv:
    """Of the ONNX file: version 5 reads no .cfg, and version 4 has another epsilon there."""
    module, package = "cv2", "opencv-python-headless"

    def load(self, job):
        import cv2
        self.cv2, self.names = cv2, job["output_names"]
        cv2.setNumThreads(job["threads"])
        self.net = cv2.dnn.readNetFromONNX(job["onnx"])

    def run(self, pixels):
        self.net.setInput(pixels)
        return self.net.forward(self.names)

    def version(self):
        return self.cv2.__version__


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "ncnn": Ncnn, "mnn": Mnn,
           "torch": Torch, "torch channels_last": TorchChannelsLast, "opencv": OpenCv}


def peak_memory():
    """Bytes, 0 where it is unknown. getrusage would count the parent's before exec too."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            lines = dict(line.split(":", 1) for line in file)
    except OSError:
        return 0
    return 1024 * int(lines["VmHWM"].split()[0])


def measure(engine, pixels, job):
    """Seconds of each counted iteration: on the clock, and of the processor in all threads."""
    for _ in range(job["warm_up"]):
        engine.run(pixels)
    wall, cpu = [], []
    for _ in range(job["iterations"]):
        begin, used = time.perf_counter(), time.process_time()
        engine.run(pixels)
        cpu.append(time.process_time() - used)
        wall.append(time.perf_counter() - begin)
    return {"wall": wall, "cpu": cpu}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    import numpy
    engine = ENGINES[job["engine"]]()
    engine.load(job)
    pixels = numpy.load(job["pixels"])
    if job["outputs"]:
        numpy.savez(job["outputs"], *engine.run(pixels))
    result = measure(engine, pixels, job)
    result["version"] = engine.version()
    result["peak_bytes"] = peak_memory()
    with open(job["result"], "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
