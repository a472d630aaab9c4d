"""The network of a Darknet .cfg: its sections, and its layers with the shapes of their outputs.

What bench_torch.py and bench_peers.py build networks from. Layers, keys or activations that neither
builds are refused here, those that bench_peers.py alone does not build in network_files.py.
"""


HEADS = ("yolo", "region")
ALIASES = {"conv": "convolutional", "max": "maxpool", "network": "net"}
ACTIVATIONS = ("linear", "leaky", "relu", "logistic", "tanh", "mish", "swish")


class CfgError(Exception):
    """What is wrong with the .cfg, for the user."""


class Section:
    def __init__(self, kind, line):
        self.kind, self.line, self.keys = ALIASES.get(kind, kind), line, {}

    def text(self, key, default):
        return self.keys.get(key, default)

    def whole(self, key, default):
        value = self.keys.get(key, default)
        try:
            return int(value)
        except ValueError:
            raise CfgError(f"line {self.line}: [{self.kind}] {key}={value}: "
                           "not an integer") from None

    def wholes(self, key):
        try:
            return [int(v) for v in self.keys.get(key, "").split(",") if v.strip()]
        except ValueError:
            raise CfgError(f"line {self.line}: [{self.kind}] {key}: not integers") from None


def read_cfg(path):
    sections = []
    with open(path, encoding="utf-8-sig") as file:
        for number, raw in enumerate(file, 1):
            line = raw.split("#")[0].split(";")[0].strip()
            if line.startswith("["):
                sections.append(Section(line.strip("[]").strip(), number))
            elif line:
                key, equals, value = line.partition("=")
                if not equals or not sections:
                    raise CfgError(f"line {number}: neither a [section] nor key=value")
                sections[-1].keys.setdefault(key.strip(), value.strip())  # the first one wins
    if len(sections) < 2 or sections[0].kind != "net":
        raise CfgError("expected a [net] section and a layer")
    return sections


class Layer:
    """A section with its numbers: what it reads, and its output as (channels, height, width)."""

    def __init__(self, section, index):
        self.section, self.index, self.kind = section, index, section.kind
        self.sources, self.shape = [index - 1], None
        self.activation = section.text("activation", "linear")

    def error(self, what):
        raise CfgError(f"layer {self.index} [{self.kind}] (line {self.section.line}): {what}")

    def source_list(self, key):
        found = [i if i >= 0 else self.index + i for i in self.section.wholes(key)]
        if not found or not all(0 <= i < self.index for i in found):
            self.error(f"{key}: expected layers before this one")
        return found


def strides(section):
    both = section.whole("stride", 1)
    return section.whole("stride_y", 0) or both, section.whole("stride_x", 0) or both


def plan_convolutional(layer, inputs):
    s = layer.section
    layer.activation = s.text("activation", "logistic")
    layer.size, layer.groups = s.whole("size", 1), s.whole("groups", 1)
    layer.dilation = s.whole("dilation", 1) if layer.size > 1 else 1
    layer.stride = strides(s)
    layer.filters, layer.normalised = s.whole("filters", 1), s.whole("batch_normalize", 0) != 0
    padding = layer.size // 2 if s.whole("pad", 0) else s.whole("padding", 0)
    layer.padding = padding * layer.dilation
    _, h, w = inputs[0]
    extent = layer.dilation * (layer.size - 1) + 1
    return (layer.filters, (h + 2 * layer.padding - extent) // layer.stride[0] + 1,
            (w + 2 * layer.padding - extent) // layer.stride[1] + 1)


def plan_maxpool(layer, inputs):
    s = layer.section
    layer.stride = strides(s)
    layer.size = s.whole("size", 0) or s.whole("stride", 1)
    padding = s.whole("padding", -1)
    layer.padding = layer.size - 1 if padding < 0 else padding
    c, h, w = inputs[0]
    out = [(n + layer.padding - layer.size) // stride + 1
           for n, stride in zip((h, w), layer.stride)]
    # What the windows reach: on each side, y before x.
    before = layer.padding // 2
    layer.reach = [(before, max(0, (o - 1) * stride + layer.size - before - n))
                   for o, stride, n in zip(out, layer.stride, (h, w))]
    return c, out[0], out[1]


def plan_route(layer, inputs):
    layer.groups = layer.section.whole("groups", 1)
    layer.group = layer.section.whole("group_id", 0)
    if any(i[1:] != inputs[0][1:] for i in inputs):
        layer.error("the layers are of different sizes")
    return (sum(i[0] // layer.groups for i in inputs), *inputs[0][1:])


def plan_shortcut(layer, inputs):
    if layer.section.text("weights_type", "none") != "none":
        layer.error("weights_type is not built here")
    if any(i != inputs[0] for i in inputs):
        layer.error("the layers are of different shapes")
    return inputs[0]


def plan_upsample(layer, inputs):
    layer.factor = layer.section.whole("stride", 2)
    if layer.factor < 1 or float(layer.section.text("scale", "1")) != 1:
        layer.error("only plain enlargement is built here")
    c, h, w = inputs[0]
    return c, h * layer.factor, w * layer.factor


def plan_avgpool(_, inputs):
    return inputs[0][0], 1, 1


def plan_reorg(layer, inputs):
    layer.factor = layer.section.whole("stride", 1)
    c, h, w = inputs[0]
    if layer.section.whole("reverse", 0) or layer.factor < 1 or c % layer.factor**2 or \
            h % layer.factor or w % layer.factor:
        layer.error("only a stride that divides width and height, and its square the channels, "
                    "is built here")
    return c * layer.factor**2, h // layer.factor, w // layer.factor


def plan_same(_, inputs):
    return inputs[0]


PLANS = {"convolutional": plan_convolutional, "maxpool": plan_maxpool, "route": plan_route,
         "shortcut": plan_shortcut, "upsample": plan_upsample, "dropout": plan_same,
         "avgpool": plan_avgpool, "reorg": plan_reorg, "softmax": plan_same,
         "yolo": plan_same, "region": plan_same, "Gaussian_yolo": plan_same}


def plan_layers(sections, size):
    net = sections[0]
    width, height = size or (net.whole("width", 416), net.whole("height", 416))
    image = (net.whole("channels", 3), height, width)
    layers = []
    for index, section in enumerate(sections[1:]):
        layer = Layer(section, index)
        if layer.kind not in PLANS:
            layer.error("this kind of layer is not built here")
        if layer.kind == "route":
            layer.sources = layer.source_list("layers")
        elif layer.kind == "shortcut":
            layer.sources += layer.source_list("from")
        inputs = [image if i < 0 else layers[i].shape for i in layer.sources]
        layer.shape = PLANS[layer.kind](layer, inputs)
        if layer.activation not in ACTIVATIONS:
            layer.error(f"activation={layer.activation} is not built here")
        layers.append(layer)
    return image, layers


def output_layers(layers):
    """Indices of the layers whose outputs the network returns: the heads, or else the last one."""
    heads = (*HEADS, "Gaussian_yolo")
    return [layer.index for layer in layers if layer.kind in heads] or [len(layers) - 1]
