"""Failures of a file or a server, told in one line."""

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


SHOWN = 4
"""Names of files in a message; the others are counted."""


def list_contents(folder: Path) -> str:
    """Return what is in a folder, for a message that says what is not: ``a, b/ and 7 more``. Raises DatasetError."""
    with refuse_unreadable(folder):
        names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    others = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{others}" or "nothing"


def exists(path: Path) -> bool:
    """Return whether there is such a file or folder. Raises DatasetError if that is not ours to know."""
    with refuse_unreadable(path):
        return path.exists()
