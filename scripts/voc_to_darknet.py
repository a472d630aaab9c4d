#!/usr/bin/env python3
"""Converts a Pascal VOC data set (Annotations, ImageSets/Main, JPEGImages) to Darknet's layout.

Every list of ImageSets/Main becomes OUT_FOLDER/LIST.txt; the per-class ones (two columns) are left
out. VOC counts pixels from 1 and its boxes include their last pixel: a box covers xmin-1 to xmax.
Boxes are clipped to the image; those with xmax <= xmin or ymax <= ymin are skipped and counted.
Objects marked difficult are not in labels/ but in difficult/labels/.
"""
import argparse
import os
import xml.etree.ElementTree as ElementTree

import darknet_layout as layout
from darknet_layout import DataError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def read_lists(folder):
    """List name -> image ids, and the names of per-class lists."""
    lists, per_class = {}, []
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".txt"):
            continue
        with open(os.path.join(folder, file), encoding="utf-8") as text:
            rows = [line.split() for line in text if line.strip()]
        name = file[:-len(".txt")]
        if any(len(row) > 1 for row in rows):
            per_class.append(name)
        else:
            lists[name] = [row[0] for row in rows]
            check_ids(lists[name], os.path.join(folder, file))
    if not lists:
        raise DataError(f"{folder}: no list of images (*.txt)")
    return lists, per_class


def check_ids(ids, path):
    if not ids:
        raise DataError(f"{path}: an empty list")
    seen = set()
    for i in ids:
        if i in seen:
            raise DataError(f"{path}: {i} is there twice")
        if "/" in i:
            raise DataError(f"{path}: {i!r} is not the id of an image")
        seen.add(i)


def choose(lists, asked, candidates, folder):
    if asked:
        if asked not in lists:
            raise DataError(f"{os.path.join(folder, asked + '.txt')}: no such list of images; "
                            f"there are {', '.join(lists)}")
        return asked
    return next((c for c in candidates if c in lists), None)


def index_images(folder):
    found = {}
    for file in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(file)
        if suffix.lower() in PICTURE_SUFFIXES:
            found.setdefault(stem, []).append(file)
    return found


def element_text(parent, path, where):
    text = parent.findtext(path)
    if text is None or not text.strip():
        raise DataError(f"{where}: <{parent.tag}> without <{path.replace('/', '><')}>")
    return text.strip()


def read_size(root, where):
    size = []
    for side in ("width", "height"):
        value = layout.number(element_text(root, f"size/{side}", where), side, where)
        if value <= 0:
            raise DataError(f"{where}: {side} is {value:g}, expected the image's size in pixels")
        size.append(value)
    return size


def read_annotation(path):
    """The image's size, and its objects as (name, difficult, box of the file)."""
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise DataError(f"{path}: no such annotation") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: malformed XML: {error}") from None
    objects = []
    for item in root.findall("object"):
        name = element_text(item, "name", path)
        difficult = (item.findtext("difficult") or "0").strip() not in ("", "0")
        box = [layout.number(element_text(item, f"bndbox/{k}", path), k, path)
               for k in ("xmin", "ymin", "xmax", "ymax")]
        objects.append((name, difficult, box))
    return read_size(root, path), objects


def fill(image, annotation, class_ids, counts, where):
    size, objects = annotation
    for name, difficult, (xmin, ymin, xmax, ymax) in objects:
        if name not in class_ids:
            raise DataError(f"{where}: the class {name!r} is not among {', '.join(class_ids)}")
        if xmax <= xmin or ymax <= ymin:
            layout.skip_empty((xmin, ymin, xmax, ymax), counts, where)
            continue
        box = (xmin - 1, ymin - 1, xmax, ymax)
        line = layout.label_line(class_ids[name], box, size, counts, where)
        if line:
            (image.difficult if difficult else image.labels).append(line)


def find_image(folder, stems, i, list_paths):
    files = stems.get(i, [])
    if len(files) != 1:
        problem = "more than one image" if files else "no such image"
        raise DataError(f"{os.path.join(folder, i)}.*: {problem} (asked for by {list_paths[i]})")
    return layout.Image(files[0], os.path.join(folder, files[0]))


def convert(voc, lists, asked_names):
    """Id -> image, the class names, and the counts."""
    images_folder = os.path.join(voc, "JPEGImages")
    stems = index_images(images_folder)
    asked_by = {i: f"{name}.txt" for name, ids in lists.items() for i in ids}
    images, annotations = {}, {}
    for i in layout.progress(sorted(asked_by), "reading"):
        where = os.path.join(voc, "Annotations", f"{i}.xml")
        annotations[i] = read_annotation(where)
        images[i] = find_image(images_folder, stems, i, asked_by)
    names = asked_names or sorted({o[0] for _, objects in annotations.values() for o in objects})
    if not names:
        raise DataError(f"{os.path.join(voc, 'Annotations')}: no object in any annotation")
    layout.check_names(names, "--names" if asked_names else voc)
    class_ids = {name: k for k, name in enumerate(names)}
    counts = layout.Counts()
    for i, image in images.items():
        where = os.path.join(voc, "Annotations", f"{i}.xml")
        fill(image, annotations[i], class_ids, counts, where)
    layout.check_images(images.values())
    return images, names, counts


def choose_roles(lists, options, folder):
    valid = choose(lists, options.valid, ("test", "val"), folder)
    train_first = ("train", "trainval") if valid == "val" else ("trainval", "train")
    train = choose(lists, options.train, train_first, folder)
    if not train:
        raise DataError(f"{folder}: neither trainval.txt nor train.txt; say --train LIST, "
                        f"there are {', '.join(lists)}")
    return train, valid


def parse_arguments():
    about, details = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=about, epilog=details)
    parser.add_argument("voc", metavar="VOC_FOLDER")
    parser.add_argument("out", metavar="OUT_FOLDER")
    parser.add_argument("--names", help="classes in the order of their numbers, with commas; "
                        "else those found, sorted")
    parser.add_argument("--train", metavar="LIST", help="the .data file's train; else trainval, "
                        "or train")
    parser.add_argument("--valid", metavar="LIST", help="the .data file's valid; else test, or val")
    parser.add_argument("--copy", action="store_true", help="copy the images, do not link them")
    return parser.parse_args()


def main():
    options = parse_arguments()
    sets = os.path.join(options.voc, "ImageSets", "Main")
    lists, per_class = read_lists(sets)
    train, valid = choose_roles(lists, options, sets)
    asked_names = options.names.split(",") if options.names is not None else None
    images, names, counts = convert(options.voc, lists, asked_names)
    layout.write_images(options.out, images.values(), options.copy)
    for name, ids in lists.items():
        layout.write_list(options.out, name, [images[i] for i in ids])
    layout.write_names(options.out, names)
    layout.write_data(options.out, len(names), train, valid)
    print(layout.summary(images.values(), counts))
    if per_class:
        print(f"{len(per_class)} per-class lists left out ({per_class[0]}.txt, ...)")
    shared = set(lists[train]) & set(lists[valid]) if valid else ()
    if shared:
        print(f"note: {len(shared)} images are both in {train} and in {valid}")
    data = os.path.join(options.out, layout.output_name(options.out) + ".data")
    print(f"{data}: train = {train}, valid = {valid or 'none'}")


if __name__ == "__main__":
    layout.run(main)
