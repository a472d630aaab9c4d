#!/usr/bin/env python3
"""Measures PyTorch on the network of a Darknet .cfg, to hold `darknet bench` against.

Convolutional (with batch normalisation), maxpool, avgpool, route, shortcut, upsample, reorg, dropout
and softmax are built as they stand; detection heads are identities. At inference batch normalisation is folded into the
convolutions, as darknet does. A training step is upload, forward, a synthetic loss, backward and SGD
with momentum at a learning rate of 0; the loss is binary cross-entropy of every output of the heads
against noise, which costs about what a head's element-wise work does and no assignment of truths.
Everything runs in channels_last. Without a GPU it runs on the CPU.
  bench_torch.py cfg/yolov3-tiny.cfg --batch 1,16,64
  bench_torch.py cfg/yolov3-tiny.cfg --batch 16 --train --precision f16
  bench_torch.py cfg/yolov3-tiny.cfg --list      (needs no PyTorch)
"""
import argparse
import json
import statistics
import sys
import time

from darknet_cfg import CfgError, output_layers, plan_layers, read_cfg


def list_layers(layers):
    for layer in layers:
        c, h, w = layer.shape
        print(f"{layer.index} {layer.kind} {w} x {h} x {c}")


def make_module(torch, layers):
    """A torch.nn.Module of the layers that returns the outputs of the heads, or of the last one."""
    nn, functional = torch.nn, torch.nn.functional

    def activation(name):
        makers = {"linear": nn.Identity, "leaky": lambda: nn.LeakyReLU(.1, inplace=True),
                  "relu": lambda: nn.ReLU(inplace=True), "logistic": nn.Sigmoid, "tanh": nn.Tanh,
                  "mish": nn.Mish, "swish": nn.SiLU}
        return makers[name]()

    def convolutional(layer, channels):
        conv = nn.Conv2d(channels, layer.filters, layer.size, layer.stride, layer.padding,
                         layer.dilation, layer.groups, bias=not layer.normalised)
        parts = [conv]
        if layer.normalised:
            parts.append(nn.BatchNorm2d(layer.filters, eps=1e-5))
        if layer.activation != "linear":
            parts.append(activation(layer.activation))
        return nn.Sequential(*parts)

    class MaxPool(nn.Module):
        def __init__(self, layer):
            super().__init__()
            (top, bottom), (left, right) = layer.reach
            self.pad = (left, right, top, bottom)
            self.pool = nn.MaxPool2d(layer.size, layer.stride)
            self.even = len(set(self.pad)) == 1 and 2 * top <= layer.size
            if self.even:
                self.pool = nn.MaxPool2d(layer.size, layer.stride, top)

        def forward(self, x):
            return self.pool(x if self.even else functional.pad(x, self.pad, value=float("-inf")))

    class Route(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.groups, self.group = layer.groups, layer.group

        def forward(self, *inputs):
            if self.groups > 1:
                inputs = [x.chunk(self.groups, 1)[self.group] for x in inputs]
            return inputs[0] if len(inputs) == 1 else torch.cat(tuple(inputs), 1)

    class Shortcut(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.activation = activation(layer.activation)

        def forward(self, *inputs):
            total = inputs[0]
            for x in inputs[1:]:
                total = total + x
            return self.activation(total)

    class Reorg(nn.Module):
        """Darknet's [reorg]: the memory of c x h x w taken as one of c/s^2 x hs x ws."""

        def __init__(self, layer):
            super().__init__()
            self.factor = layer.factor

        def forward(self, x):
            n, c, h, w = x.shape
            s = self.factor
            x = x.contiguous().reshape(n, c // s**2, h, s, w, s).permute(0, 3, 5, 1, 2, 4)
            return x.reshape(n, c * s**2, h // s, w // s)

    def build(layer, channels):
        if layer.kind == "convolutional":
            return convolutional(layer, channels)
        if layer.kind == "avgpool":
            return nn.AdaptiveAvgPool2d(1)
        if layer.kind == "softmax":
            return nn.Softmax(1)
        if layer.kind == "upsample":
            return nn.Upsample(scale_factor=layer.factor, mode="nearest")
        if layer.kind == "dropout":
            return nn.Dropout(float(layer.section.text("probability", ".5")))
        own = {"maxpool": MaxPool, "route": Route, "shortcut": Shortcut, "reorg": Reorg}
        return own[layer.kind](layer) if layer.kind in own else nn.Identity()

    class Net(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.sources = [layer.sources for layer in layers]
            self.heads = output_layers(layers)
            self.built = nn.ModuleList(
                build(l, channels if l.sources[0] < 0 else layers[l.sources[0]].shape[0])
                for l in layers)

        def forward(self, x):
            outputs = []
            for module, sources in zip(self.built, self.sources):
                outputs.append(module(*[x if i < 0 else outputs[i] for i in sources]))
            return [outputs[i] for i in self.heads]

        def fold(self):
            for i, module in enumerate(self.built):
                if isinstance(module, nn.Sequential) and len(module) > 1 and \
                        isinstance(module[1], nn.BatchNorm2d):
                    fused = nn.utils.fusion.fuse_conv_bn_eval(module[0], module[1])
                    self.built[i] = nn.Sequential(fused, *module[2:])

    return Net


class Bench:
    """One network, batch and mode on one device."""

    def __init__(self, torch, options, image, layers):
        self.torch, self.options = torch, options
        self.gpu = options.device.startswith("cuda")
        self.image = image
        self.net = make_module(torch, layers)(image[0]).to(
            options.device, memory_format=torch.channels_last)
        self.net.train(options.train)
        if not options.train:
            self.net.fold()
        self.dtype = {"f32": None, "f16": torch.float16, "bf16": torch.bfloat16}[options.precision]
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0., momentum=.9,
                                         weight_decay=5e-4)
        scaled = options.train and self.dtype is torch.float16
        self.scaler = None
        if self.gpu:
            modern = hasattr(torch.amp, "GradScaler")
            self.scaler = torch.amp.GradScaler("cuda", enabled=scaled) if modern \
                else torch.cuda.amp.GradScaler(enabled=scaled)

    def autocast(self):
        kind = "cuda" if self.gpu else "cpu"
        return self.torch.autocast(kind, dtype=self.dtype or self.torch.bfloat16,
                                   enabled=self.dtype is not None)

    def wait(self):
        if self.gpu:
            self.torch.cuda.synchronize()

    def prepare(self, batch, mode):
        torch = self.torch
        pixels = torch.rand(batch, *self.image).contiguous(memory_format=torch.channels_last)
        self.host = pixels.pin_memory() if self.gpu else pixels
        self.pixels = self.host.to(self.options.device)
        self.forward = self.net
        if mode == "compile":  # for this size of batch alone
            torch._dynamo.reset()
            self.forward = torch.compile(self.net, dynamic=False)
        if self.options.train:
            with torch.no_grad(), self.autocast():
                self.targets = [torch.rand_like(out, dtype=torch.float32)
                                for out in self.net(self.pixels)]

    def infer(self):
        with self.torch.inference_mode(), self.autocast():
            self.forward(self.pixels)
        self.wait()

    def step(self):
        loss_of = self.torch.nn.functional.binary_cross_entropy_with_logits
        self.optimizer.zero_grad(set_to_none=True)
        pixels = self.host.to(self.options.device, non_blocking=True)
        with self.autocast():
            outputs = self.forward(pixels)
        loss = sum(loss_of(out.float(), t) for out, t in zip(outputs, self.targets))
        if self.scaler:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            loss.backward()
            self.optimizer.step()

    def measure(self):
        """Seconds of each counted iteration."""
        work = self.step if self.options.train else self.infer
        for _ in range(self.options.warm_up):
            work()
        self.wait()
        if not self.gpu:
            times = [time.perf_counter()]
            for _ in range(self.options.iterations):
                work()
                times.append(time.perf_counter())
            return [b - a for a, b in zip(times, times[1:])]
        events = [self.torch.cuda.Event(enable_timing=True)
                  for _ in range(self.options.iterations + 1)]
        events[0].record()
        for event in events[1:]:
            work()
            event.record()
        self.wait()
        return [a.elapsed_time(b) / 1e3 for a, b in zip(events, events[1:])]


def whole_list(text):
    values = [int(v) for v in text.split(",")]
    if not values or min(values) < 1:
        raise argparse.ArgumentTypeError("expected integers from 1 on, separated by commas")
    return values


def size_of(text):
    width, _, height = text.partition("x")
    return int(width), int(height or width)


def mode_list(text):
    modes = text.split(",")
    if not set(modes) <= {"eager", "compile"}:
        raise argparse.ArgumentTypeError("expected eager, compile or both")
    return modes


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="\n".join(__doc__.splitlines()[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cfg")
    parser.add_argument("--list", action="store_true", help="only print the layers' output shapes")
    parser.add_argument("--train", action="store_true", help="training steps, not inference")
    parser.add_argument("--batch", type=whole_list, default=[1], metavar="N,...")
    parser.add_argument("--size", type=size_of, metavar="WxH", help="instead of the cfg's")
    parser.add_argument("--precision", choices=("f32", "f16", "bf16"), default="f32",
                        help="f16 and bf16 by automatic mixed precision")
    parser.add_argument("--exact", action="store_true", help="no TF32")
    parser.add_argument("--modes", type=mode_list, default=["eager"], metavar="eager,compile")
    parser.add_argument("--device", help="cuda where there is one, else cpu")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--warm_up", type=int, default=10)
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args(arguments)


def tell(row):
    print(f"{row['what']}, batch {row['batch']}, {row['precision']}, {row['mode']}: "
          f"{1e3 * row['seconds']:.3f} ms ({1e3 * row['min']:.3f} to {1e3 * row['max']:.3f}), "
          f"{row['images_per_second']:.1f} images/s; median of {row['iterations']}", flush=True)


def run(options, image, layers):
    import torch  # here: --list does without
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not options.exact
    on = torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu"
    print(f"{options.cfg}: PyTorch {torch.__version__} on {on}")
    rows = []
    for mode in options.modes:
        bench = Bench(torch, options, image, layers)
        for batch in options.batch:
            bench.prepare(batch, mode)
            seconds = bench.measure()
            median = statistics.median(seconds)
            rows.append({"what": "training step" if options.train else "inference", "batch": batch,
                         "precision": options.precision, "mode": mode, "seconds": median,
                         "min": min(seconds), "max": max(seconds),
                         "images_per_second": batch / median, "iterations": len(seconds)})
            tell(rows[-1])
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"cfg": options.cfg, "torch": torch.__version__, "device": on, "rows": rows},
                      file, indent=2)


def main():
    options = parse(sys.argv[1:])
    try:
        image, layers = plan_layers(read_cfg(options.cfg), options.size)
        if options.list:
            list_layers(layers)
        else:
            run(options, image, layers)
    except ImportError as error:
        sys.exit(f"{error}: this script needs PyTorch; --list does without")
    except (CfgError, OSError) as error:
        sys.exit(f"{options.cfg}: {error}")


if __name__ == "__main__":
    main()
