#!/usr/bin/env python3
"""Trains a two-stage detector, torchvision's Faster R-CNN, on a Darknet data set.

The network starts from random weights: a ResNet with a feature pyramid and trained normalisation.
It reads the lists, labels and names of the .data file by the rules of `darknet detector train`.
Training is SGD with a warm-up, two steps of the learning rate and horizontal flips, without any
other augmentation. Then it detects on the images of valid=. Three files are written:
  OUT.json      detections as COCO results: darknet detector map DATA -detections OUT.json
  OUT_run.json  settings, training time and last losses
  OUT.pt        weights and optimizer; the same call resumes from it after an interruption
Needs PyTorch and torchvision: pip install torch torchvision
"""
import argparse
import json
import math
import os
import random
import statistics
import sys
import time

import script_tools as tools
from script_tools import DataError

OVERHANG = 1e-3, 2  # a box may reach out of its image by so much of a side, or by so many pixels
COCO_GAPS = 12, 26, 29, 30, 45, 66, 68, 69, 71, 83  # ids that the 80 classes of COCO leave out
SMALLEST_ANCHOR, LARGEST_FIRST_ANCHOR = 8, 32  # pixels; of the finest level, whose stride is 4
EXIF_ORIENTATION = 0x0112
CHECKPOINT_SECONDS, PROGRESS_SECONDS = 120, 10


def read_lines(path):
    """(number, line) of the lines that are not blank."""
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.strip()


def next_to(path, file):
    """A relative path counts from the working directory, else from the folder of `file`."""
    if os.path.isabs(path) or os.path.exists(path):
        return path
    sibling = os.path.join(os.path.dirname(file), path)
    return sibling if os.path.exists(sibling) else path


def read_data(path):
    """train, valid: paths of lists; names: the classes."""
    values = {}
    for number, line in read_lines(path):
        if line[0] in "#;":
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not key:
            raise DataError(f"{path}:{number}: expected key = value, got {line!r}")
        values.setdefault(key, value)
    for key in ("train", "valid"):
        if not values.get(key):
            raise DataError(f"{path}: the line {key} = ... is missing")
    names = values.get("names") or values.get("labels")
    if names:
        classes = [line for _, line in read_lines(next_to(names, path))]
    elif values.get("classes", "").isdecimal():
        classes = [f"class {i}" for i in range(int(values["classes"]))]
    else:
        raise DataError(f"{path}: names= or classes= is required")
    if not classes or values.get("classes", str(len(classes))) != str(len(classes)):
        raise DataError(f"{path}: classes = {values.get('classes')}, but names= has {len(classes)}")
    return next_to(values["train"], path), next_to(values["valid"], path), classes


def label_path(image):
    """labels/ in place of the last images/ or JPEGImages/, else next to the image."""
    parts = image.split("/")
    for i in reversed(range(len(parts) - 1)):
        if parts[i] in ("images", "JPEGImages"):
            parts[i] = "labels"
            label = os.path.splitext("/".join(parts))[0] + ".txt"
            if os.path.exists(label):
                return label
            break
    return os.path.splitext(image)[0] + ".txt"


def cut(low, high, pixels, where):
    """Clips a side of a box, in fractions of the image's."""
    if max(-low, high - 1) > max(OVERHANG[0], OVERHANG[1] / pixels) + 2e-6:
        raise DataError(f"{where}: the box reaches out of the image; "
                        "darknet detector check lists all such lines")
    low, high = max(low, 0.), min(high, 1.)
    if high <= low:
        raise DataError(f"{where}: the box is empty")
    return low * pixels, high * pixels


def read_labels(image, size, class_count):
    """[(class, left, top, right, bottom)], in pixels."""
    path = label_path(image)
    if not os.path.exists(path):
        raise DataError(f"{path}: the label file of {image} is missing "
                        "(an empty file marks an image without objects)")
    objects = []
    for number, line in read_lines(path):
        where, fields = f"{path}:{number}", line.split()
        if len(fields) != 5:
            raise DataError(f"{where}: expected 5 numbers: class x y w h, got {line!r}")
        if not fields[0].isdecimal() or int(fields[0]) >= class_count:
            raise DataError(f"{where}: class {fields[0]!r} is not among 0 to {class_count - 1}")
        x, y, w, h = (tools.number(v, k, where) for v, k in zip(fields[1:], "xywh"))
        left, right = cut(x - w / 2, x + w / 2, size[0], where)
        top, bottom = cut(y - h / 2, y + h / 2, size[1], where)
        objects.append((int(fields[0]), left, top, right, bottom))
    return objects


def upright_size(image):
    """Width and height as it is looked at: EXIF's orientations 5 to 8 lie on their side."""
    width, height = image.size
    return (height, width) if image.getexif().get(EXIF_ORIENTATION) in (5, 6, 7, 8) \
        else (width, height)


class Images:
    """The images of a list, with sizes and labels: what PyTorch's loaders call a data set."""

    def __init__(self, path, class_count):
        from PIL import Image
        self.path, self.files, self.sizes, self.objects = path, [], [], []
        for number, line in tools.progress(read_lines(path), f"reading {path}"):
            file = next_to(line, path)
            try:
                with Image.open(file) as image:  # reads the header
                    self.sizes.append(upright_size(image))
            except FileNotFoundError:
                raise DataError(f"{path}:{number}: no such image: {file}") from None
            except OSError as error:
                raise DataError(f"{file}: {error}") from None
            self.files.append(file)
            self.objects.append(read_labels(file, self.sizes[-1], class_count))
        if not self.files:
            raise DataError(f"{path}: no image in this list")

    def __len__(self):
        return len(self.files)

    def __getitem__(self, key):
        """key: the image's place, and whether it is flipped. Pixels in 0 to 1, and its target."""
        import torch
        from PIL import Image, ImageOps
        from torchvision.transforms import functional
        place, flipped = key
        try:
            with Image.open(self.files[place]) as image:
                pixels = functional.to_tensor(ImageOps.exif_transpose(image).convert("RGB"))
        except OSError as error:
            raise DataError(f"{self.files[place]}: {error}") from None
        objects = self.objects[place]
        boxes = torch.tensor([o[1:] for o in objects], dtype=torch.float32).reshape(-1, 4)
        if flipped:
            pixels = pixels.flip(2)
            boxes[:, [0, 2]] = self.sizes[place][0] - boxes[:, [2, 0]]
        return pixels, {"boxes": boxes, "labels": torch.tensor([o[0] + 1 for o in objects],
                                                               dtype=torch.int64)}

    def ids(self):
        """As docs/evaluation.md has them: digits at the end of the names, else places from 1."""
        stems = [os.path.splitext(os.path.basename(f))[0] for f in self.files]
        digits = [s[len(s.rstrip("0123456789")):] for s in stems]
        numbers = [int(d) for d in digits if d]
        if len(set(numbers)) == len(stems):
            return numbers
        return list(range(1, len(stems) + 1))


def batches(images, options, begin):
    """The keys of each batch from an iteration on: a function of seed and iteration alone."""
    order, epoch = [], -1
    for iteration in range(begin, options.iterations):
        keys = []
        for at in range(iteration * options.batch, (iteration + 1) * options.batch):
            if at // images != epoch:
                epoch = at // images
                chance = random.Random(f"{options.seed} {epoch}")
                order = [(i, chance.random() < .5) for i in range(images)]
                chance.shuffle(order)
            keys.append(order[at % images])
        yield keys


def plan_anchors(train, options):
    """The sides of the anchors, one a level: doubling from the small objects to the large ones."""
    shorter = options.size or min(600, statistics.median(min(s) for s in train.sizes))
    sides = sorted(math.sqrt((o[3] - o[1]) * (o[4] - o[2])) * shorter / min(size)
                   for size, objects in zip(train.sizes, train.objects) for o in objects)
    if not sides:
        raise DataError(f"{train.path}: no object in any label file")
    low, high = sides[len(sides) // 20], sides[len(sides) * 19 // 20]
    if low < SMALLEST_ANCHOR:
        print(f"warning: a twentieth of the objects is below {low:.1f} pixels at this input; "
              "--size enlarges it", file=sys.stderr)
    first = round(min(max(low, SMALLEST_ANCHOR), LARGEST_FIRST_ANCHOR))
    levels = 3
    while levels < 5 and first * 2 ** (levels - 1) * math.sqrt(2) < high:
        levels += 1
    return int(shorter), [first * 2 ** i for i in range(levels)]


def make_model(class_count, shorter, sides, options):
    from torch import nn
    from torchvision.models import resnet
    from torchvision.models.detection import FasterRCNN, backbone_utils, faster_rcnn
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    depths = {"resnet10": [1, 1, 1, 1], "resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3],
              "resnet50": [3, 4, 6, 3]}
    block = resnet.Bottleneck if options.backbone == "resnet50" else resnet.BasicBlock
    norm = nn.BatchNorm2d if options.norm == "batch" else lambda c: nn.GroupNorm(32, c)
    body = resnet.ResNet(block, depths[options.backbone], norm_layer=norm)
    stages = len(sides) - 1  # the last level is a subsampled copy
    backbone = backbone_utils.BackboneWithFPN(
        body, {f"layer{i + 1}": str(i) for i in range(stages)},
        [64 * block.expansion * 2 ** i for i in range(stages)], options.channels, norm_layer=norm)
    return FasterRCNN(
        backbone, min_size=shorter, max_size=4 * shorter,
        rpn_anchor_generator=AnchorGenerator([(s,) for s in sides], [(.5, 1., 2.)] * len(sides)),
        rpn_post_nms_top_n_train=1000, rpn_post_nms_top_n_test=500,
        box_head=faster_rcnn.TwoMLPHead(options.channels * 49, options.hidden),
        box_predictor=faster_rcnn.FastRCNNPredictor(options.hidden, class_count + 1),
        box_batch_size_per_image=options.rois, box_score_thresh=.005)


def learning_rate(options, iteration):
    rate = options.lr * min(1., (iteration + 1) / max(1, options.warmup))
    return rate * .1 ** sum(iteration >= step for step in options.steps)


def duration(seconds):
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min" if seconds >= 3600 \
        else f"{seconds // 60} min {seconds % 60} s"


class Progress:
    """Prints a line every few seconds, with the time that is left."""

    def __init__(self, what, done, total):
        self.what, self.begin, self.total = what, done, total
        self.started = self.printed = time.monotonic()

    def at(self, done, more=""):
        now = time.monotonic()
        if done < self.total and now - self.printed < PROGRESS_SECONDS:
            return
        self.printed = now
        left = (now - self.started) / max(1, done - self.begin) * (self.total - done)
        print(f"{self.what} {done} of {self.total}{more}, {duration(left)} left", flush=True)


class Run:
    """The model, its optimizer, and the files they are kept in."""

    def __init__(self, torch, options, train, class_count):
        self.torch, self.options = torch, options
        torch.manual_seed(options.seed)
        shorter, sides = plan_anchors(train, options)
        self.settings = {"train": os.path.abspath(train.path), "images": len(train),
                         "classes": class_count, "input": shorter, "anchors": sides,
                         **{k: getattr(options, k) for k in (
                             "backbone", "norm", "channels", "hidden", "rois", "batch",
                             "iterations", "lr", "warmup", "steps", "decay", "seed")}}
        self.model = make_model(class_count, shorter, sides, options).to(options.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=options.lr, momentum=.9,
                                         weight_decay=options.decay)
        self.iteration, self.seconds, self.losses = 0, 0., {}

    def file(self, suffix):
        return self.options.out + suffix

    def load(self):
        if not os.path.exists(self.file(".pt")):
            return
        kept = self.torch.load(self.file(".pt"), map_location=self.options.device,
                               weights_only=True)
        differing = [k for k, v in self.settings.items() if kept["settings"].get(k) != v]
        if differing:
            raise DataError(f"{self.file('.pt')} is of a run with another {', '.join(differing)}; "
                            "give another --out, or remove it")
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.iteration, self.seconds, self.losses = (
            kept[k] for k in ("iteration", "seconds", "losses"))
        print(f"resumes {self.file('.pt')} at iteration {self.iteration}")

    def save(self):
        os.makedirs(os.path.dirname(os.path.abspath(self.options.out)), exist_ok=True)
        temporary = f"{self.file('.pt')}.tmp{os.getpid()}"
        try:
            self.torch.save({"settings": self.settings, "model": self.model.state_dict(),
                             "optimizer": self.optimizer.state_dict(), "losses": self.losses,
                             "iteration": self.iteration, "seconds": self.seconds}, temporary)
            os.replace(temporary, self.file(".pt"))
        finally:
            if os.path.lexists(temporary):
                os.remove(temporary)

    def step(self, batch):
        # Which anchors and proposals are sampled depends on seed and iteration alone too.
        self.torch.manual_seed(self.options.seed * 1_000_003 + self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.options, self.iteration)
        device = self.options.device
        losses = self.model([pixels.to(device) for pixels, _ in batch],
                            [{k: v.to(device) for k, v in t.items()} for _, t in batch])
        total = sum(losses.values())
        if not math.isfinite(total.item()):
            raise DataError(f"the loss is not finite at iteration {self.iteration}; "
                            "try a lower --lr")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.iteration += 1
        self.losses = {k: v.item() for k, v in losses.items()}

    def train(self, images):
        loader = self.torch.utils.data.DataLoader(
            images, batch_sampler=batches(len(images), self.options, self.iteration),
            collate_fn=list, num_workers=self.options.workers)
        progress = Progress("iteration", self.iteration, self.options.iterations)
        self.model.train()
        last, saved = time.monotonic(), time.monotonic()
        for batch in loader:
            self.step(batch)
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            progress.at(self.iteration, f", loss {sum(self.losses.values()):.3f}")
            if self.iteration == self.options.iterations or now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = last = time.monotonic()

    def detect(self, images):
        """COCO's results."""
        self.model.eval()
        ids, entries = images.ids(), []
        progress = Progress("image", 0, len(images))
        loader = self.torch.utils.data.DataLoader(
            images, batch_sampler=[[(i, False)] for i in range(len(images))], collate_fn=list,
            num_workers=self.options.workers)
        with self.torch.inference_mode():
            for i, [(pixels, _)] in enumerate(loader):
                [found] = self.model([pixels.to(self.options.device)])
                for box, label, score in zip(found["boxes"].tolist(), found["labels"].tolist(),
                                             found["scores"].tolist()):
                    entries.append({
                        "image_id": ids[i], "file_name": images.files[i],
                        "category_id": category_id(label, self.settings["classes"]),
                        "bbox": [round(v, 3) for v in (box[0], box[1], box[2] - box[0],
                                                       box[3] - box[1])],
                        "score": score})
                progress.at(i + 1)
        return entries

    def write(self, entries):
        tools.write_text(self.file(".json"),
                          "[" + ",\n".join(json.dumps(e) for e in entries) + "]\n")
        about = {"two_stage": self.settings, "training_seconds": self.seconds,
                 "losses": self.losses, "detections": len(entries),
                 "torch": self.torch.__version__, "device": self.options.device}
        tools.write_text(self.file("_run.json"), json.dumps(about, indent=2) + "\n")


def category_id(number, classes):
    """COCO's, of a class counted from 1."""
    if classes == 80:
        for gap in COCO_GAPS:
            number += gap <= number
    return number


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected an integer from 1 on")
    return value


def integers(text):
    values = [int(v) for v in text.split(",") if v]
    if values != sorted(values):
        raise argparse.ArgumentTypeError("expected ascending integers, separated by commas")
    return values


def parse_arguments():
    about, details = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=about, epilog=details,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("data", metavar="DATA", help="the .data file")
    add("--out", default="two_stage", help="name of the files without .json (two_stage)")
    add("--iterations", type=positive, default=4000, metavar="N")
    add("--batch", type=positive, default=8, metavar="N", help="images of an iteration (8)")
    add("--lr", type=float, help="learning rate (.02 for 16 images, in proportion)")
    add("--warmup", type=int, metavar="N", help="iterations of the warm-up (a tenth of the run, "
        "500 at most)")
    add("--steps", type=integers, metavar="N,N", help="iterations after which the learning rate is "
        "divided by 10 (75 and 90 %% of the run)")
    add("--decay", type=float, default=1e-4, help="weight decay (1e-4)")
    add("--seed", type=int, default=1, help="of weights, order, flips and samples (1)")
    add("--size", type=positive, metavar="PIXELS", help="shorter side of the input (that of the "
        "images, 600 at most)")
    add("--backbone", choices=("resnet10", "resnet18", "resnet34", "resnet50"), default="resnet18",
        help="resnet10: one block a stage (resnet18)")
    add("--norm", choices=("group", "batch"), default="group",
        help="group: in 32 groups, for small batches; batch: of the training run (group)")
    add("--channels", type=positive, default=128, help="of the pyramid, a multiple of 32 (128)")
    add("--hidden", type=positive, default=512, help="units of the box head (512)")
    add("--rois", type=positive, default=256, help="proposals of an image that train the box head "
        "(256)")
    add("--workers", type=int, default=0, metavar="N", help="processes that read images (0)")
    add("--device", help="cuda where there is one, else cpu")
    options = parser.parse_args()
    if options.channels % 32:
        parser.error("--channels: expected a multiple of 32")
    if options.lr is None:
        options.lr = .02 * options.batch / 16
    if options.warmup is None:
        options.warmup = min(500, options.iterations // 10)
    if options.steps is None:
        options.steps = [options.iterations * 3 // 4, options.iterations * 9 // 10]
    return options


def import_torch():
    try:
        import torch
        import torchvision  # noqa: F401
    except ImportError as error:
        raise DataError(f"{error}; this script needs PyTorch: "
                        "pip install torch torchvision") from None
    return torch


def check_outputs(options):
    if os.path.exists(options.out + ".json") and not os.path.exists(options.out + "_run.json"):
        raise DataError(f"{options.out}.json was not written by this script; give another --out")


def main():
    options = parse_arguments()
    train_list, valid_list, names = read_data(options.data)
    check_outputs(options)
    torch = import_torch()
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    train, valid = Images(train_list, len(names)), Images(valid_list, len(names))
    run = Run(torch, options, train, len(names))
    plan = run.settings
    print(f"{len(train)} images, {sum(map(len, train.objects))} objects; input {plan['input']} "
          f"pixels, anchors of {', '.join(map(str, plan['anchors']))} pixels; "
          f"{sum(p.numel() for p in run.model.parameters()):,} parameters on {options.device}",
          flush=True)
    run.load()
    run.train(train)
    entries = run.detect(valid)
    run.write(entries)
    print(f"{len(entries)} detections on {len(valid)} images, trained for {duration(run.seconds)}\n"
          f"-> {options.out}.json\n"
          f"score it: darknet detector map {options.data} -detections {options.out}.json")


if __name__ == "__main__":
    tools.run(main)
