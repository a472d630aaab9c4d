"""What voc_to_darknet.py and coco_to_darknet.py share: boxes to label lines, and the folder they write.

OUT/images/           links to the images, or copies
OUT/labels/           one line per object: class, then centre and size as fractions of the image
OUT/LIST.txt          one image per line, absolute paths
OUT/difficult/        labels/ and LIST.txt alike, of the objects that evaluation must not count
OUT/NAME.names, .data NAME is the last part of OUT
"""
import filecmp
import math
import os
import shutil
import sys


class DataError(Exception):
    """What is wrong with the input; the message names the file."""


class Image:
    """One image: its path below images/, where it is, and its label lines."""

    def __init__(self, name, source):
        self.name = name
        self.source = source
        self.labels = []
        self.difficult = []


class Counts:
    def __init__(self):
        self.clipped = 0
        self.empty = 0


def number(text, what, where):
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {what} is {text!r}, expected a number") from None
    if not math.isfinite(value):
        raise DataError(f"{where}: {what} is {text!r}, expected a finite number")
    return value


def label_line(class_id, box, size, counts, where):
    """box: left, top, right, bottom in pixels, 0-based, right and bottom exclusive. None: empty."""
    (left, top, right, bottom), (width, height) = box, size
    clipped = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        skip_empty(box, counts, where)
        return None
    counts.clipped += clipped != (left, top, right, bottom)
    left, top, right, bottom = clipped
    values = ((left + right) / 2 / width, (top + bottom) / 2 / height,
              (right - left) / width, (bottom - top) / height)
    return " ".join([str(class_id)] + [f"{v:.8f}" for v in values])


def skip_empty(box, counts, where):
    counts.empty += 1
    if counts.empty <= 10:
        edges = ", ".join(f"{v:g}" for v in box)
        print(f"{where}: empty box ({edges}) skipped", file=sys.stderr)


def progress(items, what):
    """Yields the items; says how far it is where a person watches."""
    items = list(items)
    watched = sys.stderr.isatty()
    step = max(1, len(items) // 200)
    for i, item in enumerate(items):
        if watched and i % step == 0:
            print(f"\r{what}: {i} of {len(items)}", end="", file=sys.stderr, flush=True)
        yield item
    if watched:
        print(f"\r{what}: {len(items)} of {len(items)}", file=sys.stderr)


def output_name(out):
    return os.path.basename(os.path.abspath(out))


def check_names(names, where):
    for name in names:
        if not name or name != name.strip() or len(name.splitlines()) != 1:
            raise DataError(f"{where}: {name!r} is not a class name")
        if names.count(name) > 1:
            raise DataError(f"{where}: the class {name!r} is there twice")


def check_images(images):
    """Two images must not share a label file; names are paths below images/."""
    taken = {}
    for image in images:
        parts = image.name.split("/")
        if os.path.isabs(image.name) or ".." in parts or len(image.name.splitlines()) != 1:
            raise DataError(f"{image.name!r}: not a file name below the images' folder")
        if not os.path.isfile(image.source):
            raise DataError(f"{image.source}: no such image")
        stem = os.path.splitext(os.path.normpath(image.name))[0]
        if stem in taken:
            raise DataError(f"{image.source}: shares its label file with {taken[stem]}")
        taken[stem] = image.source


def write_text(path, text):
    """Whole or not at all."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.tmp{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    finally:
        if os.path.lexists(temporary):
            os.remove(temporary)


def place_image(source, target, copy):
    source = os.path.abspath(source)
    if os.path.lexists(target):
        if os.path.islink(target):
            os.remove(target)
        elif os.path.samefile(source, target) or filecmp.cmp(source, target, shallow=False):
            return
        else:
            raise DataError(f"{target}: another image is in the way of {source}")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if copy:
        shutil.copyfile(source, target)
    else:
        os.symlink(source, target)


def write_images(out, images, copy):
    with_difficult = any(p.difficult for p in images)
    for image in progress(images, "writing"):
        place_image(image.source, os.path.join(out, "images", image.name), copy)
        label = os.path.splitext(image.name)[0] + ".txt"
        write_text(os.path.join(out, "labels", label), "".join(x + "\n" for x in image.labels))
        aside = os.path.join(out, "difficult", "labels", label)
        if with_difficult:
            write_text(aside, "".join(x + "\n" for x in image.difficult))
        elif os.path.exists(aside):
            os.remove(aside)


def write_list(out, name, images):
    """The images' list, and where any object was kept aside the list of those labels."""
    folder = os.path.abspath(out)
    for part in ("", "difficult"):
        path = os.path.join(folder, part, f"{name}.txt")
        if part and not any(p.difficult for p in images):
            if os.path.exists(path):
                os.remove(path)
            continue
        lines = [os.path.join(folder, part, "images", p.name) + "\n" for p in images]
        write_text(path, "".join(lines))


def write_names(out, names):
    path = os.path.join(os.path.abspath(out), f"{output_name(out)}.names")
    write_text(path, "".join(n + "\n" for n in names))


def write_data(out, class_count, train, valid):
    """train, valid: names of lists, or None."""
    folder = os.path.abspath(out)
    base = os.path.join(folder, output_name(out))
    lines = [f"classes = {class_count}"]
    for key, name in (("train", train), ("valid", valid)):
        if name:
            lines.append(f"{key} = {os.path.join(folder, name + '.txt')}")
    aside = os.path.join(folder, "difficult", f"{valid}.txt")
    if valid and os.path.exists(aside):
        lines.append(f"difficult = {aside}")
    lines += [f"names = {base}.names", f"backup = {os.path.join(folder, 'backup')}"]
    write_text(f"{base}.data", "".join(x + "\n" for x in lines))


def summary(images, counts):
    boxes = sum(len(p.labels) for p in images)
    aside = sum(len(p.difficult) for p in images)
    return (f"{len(images)} images, {boxes} boxes, {aside} kept aside in difficult/; "
            f"{counts.clipped} clipped to the image, {counts.empty} empty ones skipped")


def end(message):
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
    sys.exit(1)


def run(main):
    """Ends the program: 0, or 1 after one line that says what is wrong."""
    try:
        main()
    except OSError as error:
        end(f"{error.filename}: {error.strerror}" if error.filename else error)
    except (DataError, UnicodeError) as error:
        end(error)
    except KeyboardInterrupt:
        sys.exit(130)
