"""Writing to stdout, which is for data only. Imports little, because every command needs it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from advae.errors import DiskError, printable


class ReaderGoneError(Exception):
    """The reader of our stdout has closed it. Not an OSError, which Typer would turn into exit 1."""


_ON_SCREEN: list[Callable[[], None]] = []
"""Functions that clear the bars on the screen."""


@contextmanager
def before_terminal_output(clear: Callable[[], None]) -> Iterator[None]:
    """In this context, call ``clear`` before data is written to a terminal, so that it does not mix with a bar."""
    _ON_SCREEN.append(clear)
    try:
        yield
    finally:
        _ON_SCREEN.remove(clear)


def write(text: str) -> None:
    """Write data to stdout. Raises ReaderGoneError, and DiskError where stdout is closed or a file on a full disk."""
    if sys.stdout.isatty():
        for clear in _ON_SCREEN:
            clear()
        # Programs get the data unchanged; at a terminal it must not move the cursor.
        text = printable(text, keep="\n\t")
    with writing():
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            # A file name may have characters outside the terminal's encoding; its bytes are written unchanged.
            sys.stdout.buffer.write(os.fsencode(text))
        sys.stdout.flush()


@contextmanager
def writing() -> Iterator[None]:
    """Turn the error of a failed write to stdout into ReaderGoneError or DiskError."""
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise DiskError(describe_failed_write(error)) from None


@contextmanager
def delivering() -> Iterator[None]:
    """Do the same for data that is useless in part: a reader that closes stdout early is a DiskError, too."""
    try:
        with writing():
            yield
            sys.stdout.flush()
    except ReaderGoneError:
        drop_rest()
        raise DiskError("cannot write to standard output: its reader closed it before the end") from None


def drop_rest() -> None:
    """Discard the output that would be flushed at exit, because stdout has no reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def describe_failed_write(error: OSError) -> str:
    """Return the line for a failed write to stdout."""
    # A closed stdout is replaced by a descriptor that cannot be written to.
    return f"cannot write to standard output: {'it is closed' if error.errno == errno.EBADF else error.strerror}"
