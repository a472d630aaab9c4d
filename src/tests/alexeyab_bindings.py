#!/usr/bin/env python3
"""alexeyab_bindings.py LIBDARKNET DARKNET ROOT: calls the library as AlexeyAB's darknet.py does, by
the same names, structs and argument types, and compares what it finds with the program.

It binds every name that darknet.py binds: that one is missing would end the script at its import.
"""
import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile
from ctypes import CDLL, POINTER, Structure, c_char_p, c_float, c_int, c_void_p, pointer


class BOX(Structure):
    _fields_ = [("x", c_float), ("y", c_float), ("w", c_float), ("h", c_float)]


class DETECTION(Structure):
    _fields_ = [
        ("bbox", BOX),
        ("classes", c_int),
        ("best_class_idx", c_int),
        ("prob", POINTER(c_float)),
        ("mask", POINTER(c_float)),
        ("objectness", c_float),
        ("sort_class", c_int),
        ("uc", POINTER(c_float)),
        ("points", c_int),
        ("embeddings", POINTER(c_float)),
        ("embedding_size", c_int),
        ("sim", c_float),
        ("track_id", c_int),
    ]


class DETNUMPAIR(Structure):
    _fields_ = [("num", c_int), ("dets", POINTER(DETECTION))]


class IMAGE(Structure):
    _fields_ = [("w", c_int), ("h", c_int), ("c", c_int), ("data", POINTER(c_float))]


class METADATA(Structure):
    _fields_ = [("classes", c_int), ("names", POINTER(c_char_p))]


# name: (result, arguments)
BINDINGS = {
    "network_width": (c_int, [c_void_p]),
    "network_height": (c_int, [c_void_p]),
    "copy_image_from_bytes": (None, [IMAGE, c_char_p]),
    "network_predict_ptr": (POINTER(c_float), [c_void_p, POINTER(c_float)]),
    "cuda_set_device": (None, [c_int]),
    "init_cpu": (None, []),
    "make_image": (IMAGE, [c_int, c_int, c_int]),
    "get_network_boxes": (
        POINTER(DETECTION),
        [c_void_p, c_int, c_int, c_float, c_float, POINTER(c_int), c_int, POINTER(c_int), c_int],
    ),
    "make_network_boxes": (POINTER(DETECTION), [c_void_p, c_float, POINTER(c_int)]),
    "free_detections": (None, [POINTER(DETECTION), c_int]),
    "free_batch_detections": (None, [POINTER(DETNUMPAIR), c_int]),
    "free_ptrs": (None, [POINTER(c_void_p), c_int]),
    "reset_rnn": (None, [c_void_p]),
    "load_network": (c_void_p, [c_char_p, c_char_p, c_int]),
    "load_network_custom": (c_void_p, [c_char_p, c_char_p, c_int, c_int]),
    "free_network_ptr": (None, [c_void_p]),
    "do_nms_obj": (None, [POINTER(DETECTION), c_int, c_int, c_float]),
    "do_nms_sort": (None, [POINTER(DETECTION), c_int, c_int, c_float]),
    "free_image": (None, [IMAGE]),
    "letterbox_image": (IMAGE, [IMAGE, c_int, c_int]),
    "resize_image": (IMAGE, [IMAGE, c_int, c_int]),
    "get_metadata": (METADATA, [c_char_p]),
    "load_image_color": (IMAGE, [c_char_p, c_int, c_int]),
    "rgbgr_image": (None, [IMAGE]),
    "network_predict_image": (POINTER(c_float), [c_void_p, IMAGE]),
    "network_predict_image_letterbox": (POINTER(c_float), [c_void_p, IMAGE]),
    "network_predict_batch": (
        POINTER(DETNUMPAIR),
        [c_void_p, IMAGE, c_int, c_int, c_int, c_float, c_float, POINTER(c_int), c_int, c_int],
    ),
}
THRESH, NMS = 0.25, 0.45


def bind(path):
    library = CDLL(path, ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in BINDINGS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def decoded(detections, count, names):
    """(name, probability, (x, y, w, h)) by falling probability."""
    found = []
    for i in range(count):
        box = detections[i].bbox
        for k, name in enumerate(names):
            if detections[i].prob[k] > 0:
                found.append((name, detections[i].prob[k], (box.x, box.y, box.w, box.h)))
    return sorted(found, key=lambda one: -one[1])


def boxes(library, network, names, image, letter=0, nms="do_nms_sort"):
    count = pointer(c_int(0))
    detections = library.get_network_boxes(
        network, image.w, image.h, THRESH, 0.5, None, 0, count, letter
    )
    getattr(library, nms)(detections, count[0], len(names), NMS)
    found = decoded(detections, count[0], names)
    library.free_detections(detections, count[0])
    return found


def of_program(program, root, arguments):
    """What `darknet detect` finds in the scene, in pixels of an image of that size."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "found.json")
        subprocess.run(
            [program, "detect", f"{root}/cfg/scenes.cfg", f"{root}/data/scenes.weights",
             f"{root}/data/scene.png", "-names", f"{root}/data/scenes.names", "-thresh", str(THRESH),
             "-nms", str(NMS), "-nogpu", "-dont_show", "-out", out, *arguments],
            check=True, cwd=folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        with open(out, encoding="utf-8") as file:
            return json.load(file)[0]["objects"]


def require_same(found, objects, image, what):
    assert len(found) == len(objects) > 3, f"{what}: {len(found)} objects, not {len(objects)}"
    scale = (image.w, image.h, image.w, image.h)
    for (name, probability, box), other in zip(found, objects):
        place = other["relative_coordinates"]
        sides = [place["center_x"], place["center_y"], place["width"], place["height"]]
        assert name == other["name"], what
        assert probability == c_float(other["confidence"]).value, what
        for mine, theirs, size in zip(box, sides, scale):
            assert abs(mine - theirs * size) < 1e-3, f"{what}: {mine}, not {theirs * size}"


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def names_of(library, root):
    folder = os.getcwd()
    os.chdir(root)  # the .data file names others from there
    metadata = library.get_metadata(b"data/scenes.data")
    os.chdir(folder)
    names = [metadata.names[i].decode() for i in range(metadata.classes)]
    library.free_ptrs(ctypes.cast(metadata.names, POINTER(c_void_p)), metadata.classes)
    return names


def planes_as_bytes(image):
    """Interleaved 8-bit pixels, as NumPy's array.tobytes() has them."""
    pixels = image.w * image.h
    data = image.data[: pixels * image.c]
    return bytes(
        round(255 * data[c * pixels + p]) for p in range(pixels) for c in range(image.c)
    )


def check_image(library, network, names, image, program, root):
    library.network_predict_image(network, image)
    plain = boxes(library, network, names, image)
    require_same(plain, of_program(program, root, []), image, "network_predict_image")
    library.network_predict_image_letterbox(network, image)
    require_same(
        boxes(library, network, names, image, letter=1),
        of_program(program, root, ["-letter_box"]),
        image,
        "letterbox",
    )
    pixels = planes_as_bytes(image)
    copied = library.make_image(image.w, image.h, image.c)
    library.copy_image_from_bytes(copied, pixels)
    assert planes_as_bytes(copied) == pixels
    library.network_predict_image(network, copied)
    assert boxes(library, network, names, copied) == plain, "copy_image_from_bytes"
    library.rgbgr_image(copied)
    assert planes_as_bytes(copied)[:3] == pixels[2::-1], "rgbgr_image"
    library.free_image(copied)
    library.network_predict_image(network, image)
    assert 0 < len(boxes(library, network, names, image, nms="do_nms_obj")) <= len(plain)
    return plain


def check_network_size(library, network, names, image, plain, root):
    """Images of the network's size: as they are, in a batch, by the pointer."""
    width, height = library.network_width(network), library.network_height(network)
    resized = library.resize_image(image, width, height)
    loaded = library.load_image_color(f"{root}/data/scene.png".encode(), width, height)
    assert (loaded.w, loaded.h) == (width, height)
    values = width * height * loaded.c
    assert loaded.data[:values] == resized.data[:values]
    library.network_predict_image(network, resized)
    assert boxes(library, network, names, image) == plain, "an image of the network's size"
    barred = library.letterbox_image(image, width, height)
    library.network_predict_image(network, barred)
    assert boxes(library, network, names, image, letter=1), "letterbox_image"
    library.network_predict_ptr(network, resized.data)
    assert boxes(library, network, names, image) == plain, "network_predict_ptr"
    pairs = library.network_predict_batch(
        network, resized, 1, image.w, image.h, THRESH, 0.5, None, 0, 0
    )
    library.do_nms_sort(None, 4, len(names), NMS)
    library.do_nms_obj(None, 4, len(names), NMS)
    library.do_nms_sort(pairs[0].dets, pairs[0].num, len(names), NMS)
    assert decoded(pairs[0].dets, pairs[0].num, names) == plain, "network_predict_batch"
    library.free_batch_detections(pairs, 1)
    count = pointer(c_int(0))
    made = library.make_network_boxes(network, THRESH, count)
    assert count[0] > 0 and made[0].prob[0] == 0 and made[0].classes == len(names)
    library.free_detections(made, count[0])
    for one in (resized, loaded, barred):
        library.free_image(one)


def check_batch(library, names, image, plain, root):
    """Two images a pass: the scene, and one that is black."""
    network = library.load_network_custom(
        f"{root}/cfg/scenes.cfg".encode(), f"{root}/data/scenes.weights".encode(), 0, 2
    )
    width, height = library.network_width(network), library.network_height(network)
    resized = library.resize_image(image, width, height)
    values = width * height * image.c
    both = IMAGE(width, height, image.c, (c_float * (2 * values))(*resized.data[:values]))
    pairs = library.network_predict_batch(
        network, both, 2, image.w, image.h, THRESH, 0.5, None, 0, 0
    )
    library.do_nms_sort(None, 4, len(names), NMS)
    library.do_nms_obj(None, 4, len(names), NMS)
    library.do_nms_sort(pairs[0].dets, pairs[0].num, len(names), NMS)
    found = decoded(pairs[0].dets, pairs[0].num, names)
    assert [one[0] for one in found] == [one[0] for one in plain]
    for mine, other in zip(found, plain):
        assert abs(mine[1] - other[1]) < 1e-4
    assert decoded(pairs[1].dets, pairs[1].num, names) != found
    library.free_batch_detections(pairs, 2)
    library.free_image(resized)
    library.free_network_ptr(network)


def check_errors(library, root):
    library.darknet_last_error.restype = c_char_p
    with tempfile.TemporaryFile() as stream:
        kept = os.dup(2)
        os.dup2(stream.fileno(), 2)
        assert not library.load_network(b"none.cfg", f"{root}/data/scenes.weights".encode(), 0)
        assert not library.load_image_color(b"none.png", 0, 0).data
        assert not library.network_predict_image(None, IMAGE())
        os.dup2(kept, 2)
        stream.seek(0)
        printed = stream.read().decode()
    assert "none.cfg" in printed and "none.png" in printed and printed.count("\n") == 3, printed
    assert library.darknet_last_error() == b"a network that was not loaded"


def check_modules(library):
    """A kind of image that a module decodes, which lies next to the library."""
    header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 58, 0, 54, 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0)
    with tempfile.NamedTemporaryFile(suffix=".bmp") as file:
        file.write(header + bytes([0, 0, 255, 0]))
        file.flush()
        image = library.load_image_color(file.name.encode(), 0, 0)
    assert (image.w, image.h, image.data[:3]) == (1, 1, [1, 0, 0])
    library.free_image(image)


def small_network(library, folder, more_keys=""):
    cfg = os.path.join(folder, "x.cfg")
    with open(cfg, "w", encoding="utf-8") as file:
        file.write(
            f"[net]\nwidth=32\nheight=32\nchannels=3\n{more_keys}[convolutional]\nfilters=24\n"
            "size=8\nstride=8\nactivation=linear\n[yolo]\nmask=0,1,2\n"
            "anchors=6,6, 9,9, 14,14\nclasses=3\nnum=3\n"
        )
    weights = os.path.join(folder, "x.weights")
    with open(weights, "wb") as file:  # three numbers of the version, the images seen; floats
        file.write((0).to_bytes(4, "little") + (2).to_bytes(4, "little"))
        file.write((0).to_bytes(4, "little") + (0).to_bytes(8, "little"))
        file.write(bytes(4 * (24 + 24 * 8 * 8 * 3)))
    return library.load_network(cfg.encode(), weights.encode(), 0)


def check_input_max(library):
    """No image here has the values of a file; the pointer takes those of the network."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "wb") as nowhere:
        network = small_network(library, folder, "input_max=4095\n")
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        for side in (32, 48):
            image = library.make_image(side, side, 3)
            assert not library.network_predict_image(network, image)
            assert not library.network_predict_image_letterbox(network, image)
            assert b"[net] input_max=4095: " in library.darknet_last_error()
            library.free_image(image)
        image = library.make_image(32, 32, 3)
        assert not library.network_predict_batch(network, image, 1, 32, 32, 0.2, 0.5, None, 0, 0)
        os.dup2(kept, 2)
        os.close(kept)
        assert library.network_predict_ptr(network, image.data)
        library.free_image(image)
        library.free_network_ptr(network)


def check_memory(library, root):
    """A small network, so that 10,000 calls take seconds."""
    with tempfile.TemporaryDirectory() as folder:
        network = small_network(library, folder)
        before = 0
        pixels = bytes(range(256)) * (48 * 48 * 3 // 256)
        for i in range(11000):
            if i == 1000:
                before = resident_bytes()
            image = library.make_image(48, 48, 3)
            library.copy_image_from_bytes(image, pixels)
            library.network_predict_image(network, image)
            count = pointer(c_int(0))
            detections = library.get_network_boxes(network, 48, 48, 0.2, 0.5, None, 0, count, 0)
            assert count[0] == 4 * 4 * 3
            library.do_nms_sort(detections, count[0], 3, NMS)
            library.free_detections(detections, count[0])
            library.free_image(image)
            if i % 100 == 0:
                names_of(library, root)
        grown = resident_bytes() - before
        library.free_network_ptr(network)
        assert grown < 1 << 20, f"{grown} bytes more after 10,000 calls"


def main():
    path, program, root = (os.path.abspath(name) for name in sys.argv[1:])
    os.chdir(os.path.dirname(path))
    library = bind(f"./{os.path.basename(path)}")
    os.chdir(root)  # from where that path leads nowhere
    check_modules(library)
    library.init_cpu()
    library.cuda_set_device(-1)
    names = names_of(library, root)
    network = library.load_network_custom(
        f"{root}/cfg/scenes.cfg".encode(), f"{root}/data/scenes.weights".encode(), 0, 1
    )
    image = library.load_image_color(f"{root}/data/scene.png".encode(), 0, 0)
    plain = check_image(library, network, names, image, program, root)
    check_network_size(library, network, names, image, plain, root)
    check_batch(library, names, image, plain, root)
    library.free_image(image)
    library.free_network_ptr(network)
    check_errors(library, root)
    check_input_max(library)
    check_memory(library, root)


main()
