#!/usr/bin/env python3
"""exports.py LIBRARY HEADERS [NAME...]: LIBRARY exports what the headers in the folder HEADERS mark
with DARKNET_EXPORT, and the functions NAME, and nothing else.

Functions are compared by their names, members of classes with that of the class.
"""
import re
import subprocess
import sys
from pathlib import Path


def declared(header):
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
    names = set()
    for name, body in re.findall(r"class DARKNET_EXPORT (\w+)[^{;]*\{(.*?)\n\};", text, re.DOTALL):
        for member in re.split(r";\s*(?:(?:public|private):)?", body.partition("\n private:")[0]):
            found = re.match(r"[^(]*?(~?\w+|operator\W+)\(", member)
            if found and not re.search(r"= (?:delete|default)$", member.strip()):
                names.add(f"{name}::{found.group(1)}")
    names.update(re.findall(r"^DARKNET_EXPORT [^;(]*?(\w+)\(", text, re.MULTILINE))
    return names


def exported(library):
    listed = subprocess.run(["nm", "-DC", "--defined-only", library], capture_output=True, text=True, check=True)
    names = set()
    for line in listed.stdout.splitlines():
        kind, symbol = re.search(r"(?:^| )(\w) (.*)", line).groups()
        if kind == "A":  # a version
            continue
        plain = re.sub(r"\[abi:\w+\]", "", symbol).partition("(")[0]
        # Of the functions in the namespace; a name without it is one of C.
        names.add(plain[len("darknet::") :] if "(" in symbol else plain)
        if "(" in symbol and not plain.startswith("darknet::"):
            names.add(symbol)
    return names


def main():
    library, headers, *also = sys.argv[1:]
    # What a program needs to catch the exception.
    exception = {f"{what} for darknet::Exception" for what in ("typeinfo", "typeinfo name", "vtable")}
    wanted = exception.union(also, *map(declared, Path(headers).glob("*.h")))
    got = exported(library)
    if not wanted - exception - set(also):
        sys.exit(f"{headers}: no header declares anything")
    for what, names in (("exported without being declared", got - wanted),
                        ("declared without being exported", wanted - got)):  # fmt: skip
        if names:
            sys.exit(f"{library}: {what}: {', '.join(sorted(names))}")


if __name__ == "__main__":
    main()
