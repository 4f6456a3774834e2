"""Errors that a user can cause or meet, each with its exit code."""

import difflib
import unicodedata
from collections.abc import Iterable


class AdvaeError(Exception):
    """Base of everything that the library raises on purpose; the command line prints one line and exits."""

    exit_code = 1


class UsageError(AdvaeError):
    """An unknown or impossible value, or a combination that does not fit."""

    exit_code = 2


class BudgetError(UsageError):
    """A perturbation budget that is not a number in [0, 1]."""


class NotFoundError(AdvaeError):
    """No such registry entry, or a reference that fits several."""

    exit_code = 3


class CorruptError(AdvaeError):
    """A registry entry, or a file of another program, that is damaged or that this version refuses to read."""

    exit_code = 4


class NewerSchemaError(CorruptError):
    """An entry or a home that a newer advae wrote: it is neither repaired nor replaced."""


class DiskError(AdvaeError):
    """The disk is full, read-only or locked, or access is denied."""

    exit_code = 5


class KilledError(AdvaeError):
    """A worker process was killed by the system, usually for lack of memory."""

    exit_code = 5


class DatasetError(AdvaeError):
    """A dataset that is missing, truncated, oversized or otherwise does not match its description."""

    exit_code = 6


class CheckFailedError(AdvaeError):
    """A check or a threshold failed; all results were computed and stored."""

    exit_code = 7


class DivergedError(AdvaeError):
    """A training whose loss, or whose error on the test images, is not a finite number."""

    exit_code = 8


_held: list[AdvaeError] = []


def hold_failure(error: AdvaeError) -> None:
    """Remember an error that is raised inside a graph of TensorFlow, which replaces it by one of its own."""
    _held[:] = [error]


def take_failure() -> AdvaeError | None:
    """Return the error that was held, once; None where there is none."""
    return _held.pop() if _held else None


MEMORY_SIGNS = ("RESOURCE_EXHAUSTED", "failed to map segment", "annot allocate memory", "can't start new thread")
"""Messages of libraries for a lack of memory, in errors of other types."""


def is_memory_error(error: BaseException) -> bool:
    """Return whether an error of Python, TensorFlow or the system means too little memory."""
    if isinstance(error, AdvaeError):
        return False
    named = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    return named or any(sign in str(error) for sign in MEMORY_SIGNS)


def printable(text: str, *, keep: str = "") -> str:
    """Return a text in which unprintable characters are escaped, ``\\x1b``, and all spaces are plain ones.

    Such characters move a terminal's cursor, change colours or the reading direction, or have no width. A byte of a
    file name that is not UTF-8 becomes ``\\xff``. keep: characters that are not escaped.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def _escape(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    # Python keeps a byte that it could not decode as such a surrogate.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def unknown(what: str, got: str, allowed: Iterable[str]) -> str:
    """Return the error line for a name that is not in a table: the name, the nearest one, and all that are allowed."""
    names = sorted(allowed)
    begun = [name for name in names if got and name.startswith(got.lower())]
    nearest = begun or difflib.get_close_matches(got.lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown {what} {got!r}{hint} ({', '.join(names)})"
