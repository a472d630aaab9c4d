"""Weights of a Darknet network, and the files that other inference engines read: ONNX and ncnn.

Batch normalisation is folded into the convolutions, as darknet does. The networks end before the
detection heads: their outputs are the layers that the heads read. Only functions that handle values
need numpy; write_onnx needs onnx.
"""
import struct

from darknet_cfg import HEADS, CfgError, output_layers

EPSILON = 1e-5  # of batch normalisation
OPSET = 13
LEAK = .1


def kernel_shape(layer, layers, image):
    source = layer.sources[0]
    channels = (image if source < 0 else layers[source].shape)[0]
    return layer.filters, channels // layer.groups, layer.size, layer.size


def convolutions(layers):
    return [layer for layer in layers if layer.kind == "convolutional"]


def random_weights(image, layers, seed):
    """{layer index: {"bias", "scale", "mean", "variance", "kernel"}}; activations stay near 1."""
    import numpy
    rng, found = numpy.random.default_rng(seed), {}
    # Sums of many residual branches would grow without bound.
    branches = {layer.sources[0] for layer in layers if layer.kind == "shortcut"}
    for layer in convolutions(layers):
        n, c, h, w = shape = kernel_shape(layer, layers, image)
        kernel = rng.standard_normal(shape, numpy.float32) * (2 / (c * h * w)) ** .5
        if layer.index in branches:
            kernel *= .2
        values = {"bias": rng.uniform(-.1, .3, n), "scale": rng.uniform(.7, 1.3, n),
                  "mean": rng.uniform(-.1, .1, n), "variance": rng.uniform(.7, 1.3, n)}
        found[layer.index] = {k: v.astype(numpy.float32) for k, v in values.items()}
        found[layer.index]["kernel"] = kernel.astype(numpy.float32)
    return found


def parts_of(layer):
    return ("bias", "scale", "mean", "variance", "kernel") if layer.normalised \
        else ("bias", "kernel")


def write_weights(path, layers, weights):
    with open(path, "wb") as file:
        file.write(struct.pack("<iiiQ", 0, 2, 5, 0))  # version 0.2.5, no images seen
        for layer in convolutions(layers):
            for part in parts_of(layer):
                file.write(weights[layer.index][part].tobytes())


def read_weights(path, image, layers):
    """As random_weights. Raises CfgError where the file is shorter or longer than the network."""
    import numpy
    with open(path, "rb") as file:
        data = file.read()
    try:
        major, minor = struct.unpack_from("<ii", data)
    except struct.error:
        raise CfgError(f"{path}: too short for a weights file") from None
    at, found = 20 if major * 10 + minor >= 2 else 16, {}
    for layer in convolutions(layers):
        shape, found[layer.index] = kernel_shape(layer, layers, image), {}
        for part in parts_of(layer):
            form = shape if part == "kernel" else shape[:1]
            count = int(numpy.prod(form))
            if at + 4 * count > len(data):
                raise CfgError(f"{path}: ends within layer {layer.index}")
            values = numpy.frombuffer(data, "<f4", count, at)
            found[layer.index][part], at = values.reshape(form), at + 4 * count
    if at != len(data):
        raise CfgError(f"{path}: {len(data) - at} bytes more than the network has weights")
    return found


def fold(layers, weights):
    """{layer index: (kernel, bias)} without batch normalisation."""
    import numpy
    folded = {}
    for layer in convolutions(layers):
        w = weights[layer.index]
        kernel, bias = w["kernel"], w["bias"]
        if layer.normalised:
            factor = w["scale"] / numpy.sqrt(w["variance"].astype(numpy.float64) + EPSILON)
            bias = (bias - w["mean"] * factor).astype(numpy.float32)
            kernel = (kernel * factor.reshape(-1, 1, 1, 1)).astype(numpy.float32)
        folded[layer.index] = kernel, bias
    return folded


class Node:
    """An operation: "conv", "pool", "resize", "slice", "concat", "add" or "activation"."""

    def __init__(self, op, name, inputs, layer):
        self.op, self.name, self.inputs, self.layer = op, name, inputs, layer


def route_nodes(layer, inputs, layers, image):
    parts, nodes = inputs, []
    if layer.groups > 1:
        parts = []
        for i, (source, name) in enumerate(zip(layer.sources, inputs)):
            channels = (image if source < 0 else layers[source].shape)[0] // layer.groups
            node = Node("slice", f"layer{layer.index}_part{i}", [name], layer)
            node.begin, node.end = layer.group * channels, (layer.group + 1) * channels
            nodes.append(node)
            parts.append(node.name)
    if len(parts) > 1:
        nodes.append(Node("concat", f"layer{layer.index}", parts, layer))
    return nodes, nodes[-1].name if nodes else parts[0]


def shortcut_nodes(layer, inputs):
    nodes = []
    for i, name in enumerate(inputs[1:]):
        first = nodes[-1].name if nodes else inputs[0]
        nodes.append(Node("add", f"layer{layer.index}_sum{i}", [first, name], layer))
    if layer.activation != "linear":
        nodes.append(Node("activation", f"layer{layer.index}", [nodes[-1].name], layer))
    return nodes, nodes[-1].name


def make_graph(image, layers):
    """The nodes in order of execution and the names of the outputs; the input is "data"."""
    nodes, names = [], []
    for layer in layers:
        inputs = ["data" if i < 0 else names[i] for i in layer.sources]
        if layer.kind == "route":
            added, name = route_nodes(layer, inputs, layers, image)
        elif layer.kind == "shortcut":
            added, name = shortcut_nodes(layer, inputs)
        elif layer.kind in HEADS or layer.kind == "dropout":
            added, name = [], inputs[0]
        else:
            op = {"convolutional": "conv", "maxpool": "pool", "upsample": "resize"}.get(layer.kind)
            if op is None:
                layer.error("this kind of layer is not built for the other engines")
            added, name = [Node(op, f"layer{layer.index}", inputs, layer)], f"layer{layer.index}"
        nodes += added
        names.append(name)
    return nodes, [names[i] for i in output_layers(layers)]


def onnx_activation(helper, name, inner, output):
    if name == "swish":
        return [helper.make_node("Sigmoid", [inner], [output + "_gate"]),
                helper.make_node("Mul", [inner, output + "_gate"], [output])]
    if name == "mish":  # Mish itself is unknown to MNN; the others find it in these
        return [helper.make_node("Softplus", [inner], [output + "_softplus"]),
                helper.make_node("Tanh", [output + "_softplus"], [output + "_gate"]),
                helper.make_node("Mul", [inner, output + "_gate"], [output])]
    kind = {"leaky": "LeakyRelu", "relu": "Relu", "logistic": "Sigmoid", "tanh": "Tanh"}[name]
    options = {"alpha": LEAK} if name == "leaky" else {}
    return [helper.make_node(kind, [inner], [output], **options)]


def onnx_conv(onnx, node, folded):
    layer, helper = node.layer, onnx.helper
    inner = node.name if layer.activation == "linear" else node.name + "_conv"
    values = [onnx.numpy_helper.from_array(v, f"{node.name}_{part}")
              for v, part in zip(folded[layer.index], ("kernel", "bias"))]
    made = [helper.make_node("Conv", node.inputs + [v.name for v in values], [inner],
                             kernel_shape=[layer.size] * 2, strides=list(layer.stride),
                             pads=[layer.padding] * 4, dilations=[layer.dilation] * 2,
                             group=layer.groups)]
    if inner != node.name:
        made += onnx_activation(helper, layer.activation, inner, node.name)
    return made, values


def onnx_nodes(onnx, node, folded):
    """ONNX nodes and the tensors that they read."""
    import numpy
    layer, make = node.layer, onnx.helper.make_node
    tensor = onnx.numpy_helper.from_array
    if node.op == "conv":
        return onnx_conv(onnx, node, folded)
    if node.op == "activation":
        return onnx_activation(onnx.helper, layer.activation, node.inputs[0], node.name), []
    if node.op == "pool":
        (top, bottom), (left, right) = layer.reach
        return [make("MaxPool", node.inputs, [node.name], kernel_shape=[layer.size] * 2,
                     strides=list(layer.stride), pads=[top, left, bottom, right])], []
    if node.op == "resize":
        scales = tensor(numpy.array([1, 1, layer.factor, layer.factor], numpy.float32),
                        node.name + "_scales")
        return [make("Resize", [node.inputs[0], "", scales.name], [node.name], mode="nearest",
                     coordinate_transformation_mode="asymmetric", nearest_mode="floor")], [scales]
    if node.op == "slice":
        ends = [tensor(numpy.array([v], numpy.int64), f"{node.name}_{what}")
                for v, what in ((node.begin, "begin"), (node.end, "end"), (1, "axis"))]
        return [make("Slice", node.inputs + [v.name for v in ends], [node.name])], ends
    if node.op == "concat":
        return [make("Concat", node.inputs, [node.name], axis=1)], []
    return [make("Add", node.inputs, [node.name])], []


def write_onnx(path, image, layers, folded, batch):
    import onnx
    nodes, outputs = make_graph(image, layers)
    shapes = [layers[i].shape for i in output_layers(layers)]
    made, values = [], []
    for node in nodes:
        more, tensors = onnx_nodes(onnx, node, folded)
        made += more
        values += tensors

    def value(name, shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, *shape])
    graph = onnx.helper.make_graph(made, "darknet", [value("data", image)],
                                   [value(n, s) for n, s in zip(outputs, shapes)], values)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    model.ir_version = 8  # of that opset; readers refuse versions that they do not know
    onnx.checker.check_model(model)
    onnx.save(model, path)


NCNN_FUSED = {"linear": "", "relu": " 9=1", "leaky": f" 9=2 -23310=1,{LEAK}", "logistic": " 9=4",
              "mish": " 9=5"}
NCNN_ALONE = {"swish": "Swish", "tanh": "TanH", "relu": "ReLU", "leaky": "ReLU",
              "logistic": "Sigmoid", "mish": "Mish"}


def ncnn_activation(layer, name, inner):
    options = f" 0={LEAK}" if layer.activation == "leaky" else ""
    return [(NCNN_ALONE[layer.activation], [inner], name, options)]


def ncnn_conv(node, image, layers):
    layer = node.layer
    n, c, h, w = kernel_shape(layer, layers, image)
    fused = layer.activation in NCNN_FUSED
    options = (f" 0={n} 1={w} 11={h} 2={layer.dilation} 12={layer.dilation} 3={layer.stride[1]} "
               f"13={layer.stride[0]} 4={layer.padding} 5=1 6={n * c * h * w}")
    if layer.groups > 1:
        options += f" 7={layer.groups}"
    kind = "ConvolutionDepthWise" if layer.groups > 1 else "Convolution"
    if fused:
        return [(kind, node.inputs, node.name, options + NCNN_FUSED[layer.activation])]
    inner = node.name + "_conv"
    return [(kind, node.inputs, inner, options)] + ncnn_activation(layer, node.name, inner)


def ncnn_layers(node, image, layers):
    """(type, inputs, output, options) of each ncnn layer."""
    layer, name = node.layer, node.name
    if node.op == "conv":
        return ncnn_conv(node, image, layers)
    if node.op == "activation":
        return ncnn_activation(layer, name, node.inputs[0])
    if node.op == "pool":
        (top, bottom), (left, right) = layer.reach
        return [("Pooling", node.inputs, name,
                 f" 0=0 1={layer.size} 11={layer.size} 2={layer.stride[1]} 12={layer.stride[0]} "
                 f"3={left} 13={top} 14={right} 15={bottom} 5=1")]
    if node.op == "resize":
        return [("Interp", node.inputs, name, f" 0=1 1={layer.factor}.0 2={layer.factor}.0")]
    if node.op == "slice":
        return [("Crop", node.inputs, name, f" -23309=1,{node.begin} -23310=1,{node.end} "
                                            "-23311=1,0")]
    if node.op == "concat":
        return [("Concat", node.inputs, name, " 0=0")]
    return [("BinaryOp", node.inputs, name, " 0=0")]


def split_blobs(found, outputs):
    """ncnn lets one layer read a blob: further readers get copies of it by a Split."""
    readers = {name: 1 for name in outputs}
    for _, inputs, _, _ in found:
        for name in inputs:
            readers[name] = readers.get(name, 0) + 1
    taken, lines = {}, []

    def one_of(name):
        if readers[name] == 1:
            return name
        taken[name] = taken.get(name, -1) + 1
        return f"{name}_copy{taken[name]}"
    for kind, inputs, output, options in found:
        lines.append((kind, [one_of(n) for n in inputs], [output], options))
        count = readers.get(output, 0)
        if count > 1:
            copies = [f"{output}_copy{i}" for i in range(count)]
            lines.append(("Split", [output], copies, ""))
    return lines, [one_of(n) for n in outputs]


def ncnn_param(image, layers):
    """The text of ncnn's .param file, and the names of the outputs in it."""
    nodes, outputs = make_graph(image, layers)
    c, h, w = image
    found = [("Input", [], "data", f" 0={w} 1={h} 2={c}")]
    for node in nodes:
        found += ncnn_layers(node, image, layers)
    lines, names = split_blobs(found, outputs)
    text = [f"7767517\n{len(lines)} {sum(len(made) for _, _, made, _ in lines)}\n"]
    for i, (kind, inputs, made, options) in enumerate(lines):
        blobs = " ".join([*inputs, *made])
        text.append(f"{kind} n{i} {len(inputs)} {len(made)} {blobs}{options}\n")
    return "".join(text), names


def write_ncnn(param, binary, image, layers, folded):
    """Returns the names of the outputs."""
    text, names = ncnn_param(image, layers)
    with open(param, "w", encoding="utf-8") as file:
        file.write(text)
    with open(binary, "wb") as file:
        for layer in convolutions(layers):
            kernel, bias = folded[layer.index]
            file.write(struct.pack("<I", 0) + kernel.tobytes() + bias.tobytes())  # 0: f32 follows
    return names
