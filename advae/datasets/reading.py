"""Errors of reading a file, in one line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from advae.arrayfiles import explain
from advae.errors import DatasetError

READ_ERRORS = (OSError, EOFError, zlib.error)


@contextmanager
def refuse_unreadable(path: Path, errors: tuple[type[Exception], ...] = READ_ERRORS) -> Iterator[None]:
    """Raise DatasetError, which names the file, for any of ``errors``."""
    try:
        yield
    except errors as error:
        raise DatasetError(f"{path}: cannot be read: {explain(error)}") from error


LISTED_NAMES = 4
"""Most names of files in a message; the others are counted."""


def list_contents(folder: Path) -> str:
    """Return the names in a folder for an error message: ``a, b/ and 7 more``. Raises DatasetError."""
    with refuse_unreadable(folder):
        names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    others = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return f"{', '.join(names[:LISTED_NAMES])}{others}" or "nothing"


def exists(path: Path) -> bool:
    """Return whether a file or folder exists. Raises DatasetError where the permission to look is missing."""
    with refuse_unreadable(path):
        return path.exists()
