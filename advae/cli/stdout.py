"""The one way to stdout, which is data only. Imports next to nothing: every call of the command line needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from advae.errors import DiskError


class ReaderGoneError(Exception):
    """Whoever read our stdout has closed it. No OSError, which Typer would turn into exit 1."""


def write(text: str) -> None:
    """Write data to stdout. Raises ReaderGoneError, and DiskError where stdout is a file on a full disk."""
    with writing():
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            # A file's name need not be of the terminal's alphabet; it is written as it is on the disk.
            sys.stdout.buffer.write(os.fsencode(text))
        sys.stdout.flush()


@contextmanager
def writing() -> Iterator[None]:
    """Turn what the system says of a failed write to stdout into ReaderGoneError or DiskError."""
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise DiskError(f"cannot write to standard output: {error.strerror}") from None
