"""What the package raises: Error, or one of its kinds that is a standard exception too."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Union

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


def path_of(path: PathLike) -> Path:
    return Path(os.fspath(path))


def given(**options: Any) -> Dict[str, Any]:
    """The options without those that are None, which the library has its own defaults for."""
    return {key: value for key, value in options.items() if value is not None}
