"""What the package raises: Error, or one of its kinds that is a standard exception too."""

import os
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from ._darknet import Error

PathLike = Union[str, "os.PathLike[str]"]
Log = Callable[[str, str], object]  # level ("information", "warning", "error"), message


class MissingFileError(Error, FileNotFoundError):
    """A file or folder that was named is not there."""


class ArgumentError(Error, ValueError):
    """An argument that cannot be, such as an array of the wrong type or shape."""


@contextmanager
def naming_missing(*files: Optional[PathLike]) -> Iterator[None]:
    """An Error becomes a MissingFileError where one of the files is not there."""
    try:
        yield
    except MissingFileError:
        raise
    except Error as error:
        if any(f is not None and not os.path.exists(f) for f in files):
            raise MissingFileError(str(error)) from None
        raise


def require(fits: bool, name: str, value: object, expected: str) -> None:
    """Raises a TypeError that says what an argument may be."""
    if not fits:
        raise TypeError(f"{name} cannot be {value!r}; expected {expected}")


def path_of(path: PathLike) -> Path:
    require(isinstance(path, (str, os.PathLike)), "a path", path, "a str or an os.PathLike")
    return Path(os.fspath(path))


def number_of(name: str, value: float) -> float:
    require(isinstance(value, Real) and not isinstance(value, bool), name, value, "a number")
    return float(value)


def strings_of(name: str, value: Iterable[str]) -> List[str]:
    many = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    texts = list(value) if many else []
    fits = many and all(isinstance(text, str) for text in texts)
    require(fits, name, value, "a list of strings")
    return texts


def pair_of(name: str, value: Sequence[float]) -> Tuple[float, float]:
    pair = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    require(len(pair) == 2, name, value, "two numbers")
    return pair[0], pair[1]


def given(**options: Any) -> Dict[str, Any]:
    """The options without those that are None, which the library has its own defaults for."""
    return {key: value for key, value in options.items() if value is not None}
