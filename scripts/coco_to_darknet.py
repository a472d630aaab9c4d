#!/usr/bin/env python3
"""Converts a COCO instances file to Darknet's layout.

Category ids become consecutive class numbers in the order of the ids. Boxes are clipped to the
image; empty ones are skipped and counted. Crowds (iscrowd) are not in labels/ but in
difficult/labels/. For a training and a validation file call it twice with one OUT_FOLDER:
  coco_to_darknet.py instances_train2017.json train2017 data/coco --as train
  coco_to_darknet.py instances_val2017.json val2017 data/coco --as valid
"""
import argparse
import json
import os

import darknet_layout as layout
from darknet_layout import DataError


def read_instances(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: malformed JSON: {error}") from None
    for key in ("images", "annotations", "categories"):
        rows = data.get(key) if isinstance(data, dict) else None
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise DataError(f"{path}: {key!r} is not a list of objects; is this an instances file?")
    return data


def by_id(rows, what, path):
    found = {}
    for row in rows:
        i = row.get("id")
        if not isinstance(i, int):
            raise DataError(f"{path}: a {what} without an integer as its id: {i!r}")
        if i in found:
            raise DataError(f"{path}: the {what} {i} is there twice")
        found[i] = row
    if not found:
        raise DataError(f"{path}: no {what}")
    return found


def text_of(row, key, what, path):
    text = row.get(key)
    if not isinstance(text, str):
        raise DataError(f"{path}: {what} {row['id']}: {key} is {text!r}, expected text")
    return text


def read_images(rows, folder, path):
    """Id -> image and its size."""
    images = {}
    for i, row in by_id(rows, "image", path).items():
        where = f"{path}: image {i}"
        name = text_of(row, "file_name", "image", path)
        size = [layout.number(row.get(side), side, where) for side in ("width", "height")]
        if min(size) <= 0:
            raise DataError(f"{where}: size {size[0]:g} x {size[1]:g}, expected that in pixels")
        images[i] = layout.Image(name, os.path.join(folder, name)), size
    layout.check_images(p for p, _ in images.values())
    return images


def add_annotation(row, images, class_ids, counts, path):
    where = f"{path}: annotation {row.get('id')}"
    for key, known in (("image_id", images), ("category_id", class_ids)):
        if not isinstance(row.get(key), int) or row[key] not in known:
            raise DataError(f"{where}: {key} {row.get(key)!r} is not in the file")
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise DataError(f"{where}: bbox is {box!r}, expected x, y, width, height")
    x, y, w, h = (layout.number(v, "bbox", where) for v in box)
    image, size = images[row["image_id"]]
    class_id = class_ids[row["category_id"]]
    line = layout.label_line(class_id, (x, y, x + w, y + h), size, counts, where)
    if line:
        (image.difficult if row.get("iscrowd") else image.labels).append(line)


def read_roles(out):
    """The lists that an earlier call wrote into the .data file."""
    roles = {"train": None, "valid": None}
    path = os.path.join(out, layout.output_name(out) + ".data")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = (part.strip() for part in line.partition("="))
                if key in roles:
                    roles[key] = os.path.splitext(os.path.basename(value))[0]
    return roles


def check_same_names(out, names):
    path = os.path.join(out, layout.output_name(out) + ".names")
    with open(path, encoding="utf-8") as file:
        if file.read().splitlines() != names:
            raise DataError(f"{path}: an earlier call wrote other classes; use another OUT_FOLDER")


def choose_roles(out, options, name, names):
    if options.role == "both":
        return {"train": name, "valid": name}
    roles = read_roles(out)
    other = "valid" if options.role == "train" else "train"
    if roles[other] == name:
        roles[other] = None
    if roles[other]:
        check_same_names(out, names)
    roles[options.role] = name
    return roles


def list_name(options):
    if options.list:
        if "/" in options.list:
            raise DataError(f"--list {options.list}: expected a name without folders")
        return options.list
    stem = os.path.splitext(os.path.basename(options.instances))[0]
    return stem.removeprefix("instances_")


def parse_arguments():
    about, details = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=about, epilog=details,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", metavar="INSTANCES.json")
    parser.add_argument("images", metavar="IMAGES_FOLDER")
    parser.add_argument("out", metavar="OUT_FOLDER")
    parser.add_argument("--as", dest="role", choices=("train", "valid", "both"), default="both",
                        help="what the list is in the .data file (default: both)")
    parser.add_argument("--list", metavar="NAME", help="the list's name; else the JSON file's, "
                        "less instances_")
    parser.add_argument("--copy", action="store_true", help="copy the images, do not link them")
    return parser.parse_args()


def main():
    options = parse_arguments()
    path = options.instances
    data = read_instances(path)
    categories = by_id(data["categories"], "category", path)
    names = [text_of(categories[i], "name", "category", path) for i in sorted(categories)]
    layout.check_names(names, path)
    class_ids = {i: k for k, i in enumerate(sorted(categories))}
    images = read_images(data["images"], options.images, path)
    counts = layout.Counts()
    for row in layout.progress(data["annotations"], "reading"):
        add_annotation(row, images, class_ids, counts, path)
    name = list_name(options)
    roles = choose_roles(options.out, options, name, names)
    written = [p for p, _ in images.values()]
    layout.write_images(options.out, written, options.copy)
    layout.write_list(options.out, name, written)
    layout.write_names(options.out, names)
    layout.write_data(options.out, len(names), roles["train"], roles["valid"])
    print(layout.summary(written, counts))
    data_file = os.path.join(options.out, layout.output_name(options.out) + ".data")
    print(f"{data_file}: train = {roles['train'] or 'none'}, valid = {roles['valid'] or 'none'}")


if __name__ == "__main__":
    layout.run(main)
