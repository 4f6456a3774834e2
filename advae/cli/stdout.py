"""The one way to stdout, which is data only. Imports next to nothing: every call of the command line needs it."""

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
"""What clears each bar that is drawn now."""


@contextmanager
def before_terminal_output(clear: Callable[[], None]) -> Iterator[None]:
    """Call ``clear`` meanwhile before data is written to a terminal, where it would land in the middle of a bar."""
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
        # Programs get data as it is; at a terminal it must not move the cursor.
        text = printable(text, keep="\n\t")
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
        raise DiskError(describe_failed_write(error)) from None


@contextmanager
def delivering() -> Iterator[None]:
    """Do the same for data of which a part is no use: a reader that is gone before the end is a DiskError, too."""
    try:
        with writing():
            yield
            sys.stdout.flush()
    except ReaderGoneError:
        drop_rest()
        raise DiskError("cannot write to standard output: its reader was gone before the end") from None


def drop_rest() -> None:
    """Discard what is still to be flushed at exit: stdout has no reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def describe_failed_write(error: OSError) -> str:
    """Return the line for a failed write to stdout."""
    # The descriptor that stands for a closed stdout cannot be written to.
    return f"cannot write to standard output: {'it is closed' if error.errno == errno.EBADF else error.strerror}"
