"""The one way to stdout, which is data only. Imports next to nothing: every call of the command line needs it."""

from __future__ import annotations

import sys

from advae.errors import DiskError


class ReaderGoneError(Exception):
    """Whoever read our stdout has closed it. No OSError, which Typer would turn into exit 1."""


def write(text: str) -> None:
    """Write data to stdout. Raises ReaderGoneError, and DiskError where stdout is a file on a full disk."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise DiskError(f"cannot write to standard output: {error.strerror}") from None
