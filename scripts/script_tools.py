"""What the scripts share: errors with a place, numbers, progress, and files that are whole or absent."""
import math
import os
import sys


class DataError(Exception):
    """What is wrong with the input; the message names the file."""


def number(text, what, where):
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {what} is {text!r}, expected a number") from None
    if not math.isfinite(value):
        raise DataError(f"{where}: {what} is {text!r}, expected a finite number")
    return value


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
