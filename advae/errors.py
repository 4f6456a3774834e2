"""The errors that a user can cause or meet, each with the exit code of the command-line contract."""

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
    """A registry entry that is damaged, or that this version refuses to read."""

    exit_code = 4


class NewerSchemaError(CorruptError):
    """What a newer program wrote: nothing to repair, and nothing to replace."""


class DiskError(AdvaeError):
    """The disk is full, read-only, or not ours to write on."""

    exit_code = 5


class KilledError(AdvaeError):
    """A process of ours that the system ended: like a full disk, the machine has too little, and we no defect."""

    exit_code = 5


class DatasetError(AdvaeError):
    """A dataset that is missing, truncated, oversized or otherwise not what it claims to be."""

    exit_code = 6


class VerdictError(AdvaeError):
    """A verdict or threshold failed: all was computed and stored, and it is not what was asked for."""

    exit_code = 7


class DivergedError(AdvaeError):
    """A training whose loss stopped being a finite number."""

    exit_code = 8


MEMORY_SIGNS = ("RESOURCE_EXHAUSTED", "failed to map segment", "annot allocate memory", "can't start new thread")
"""What libraries say where they get no memory, in errors that are called otherwise."""


def is_of_memory(error: BaseException) -> bool:
    """Return whether an error, of Python, TensorFlow or the system, says that there is too little memory."""
    if isinstance(error, AdvaeError):
        return False
    named = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    return named or any(sign in str(error) for sign in MEMORY_SIGNS)


def printable(text: str, *, keep: str = "") -> str:
    """Return a text in which what cannot be printed is a backslash escape, ``\\x1b``; of spaces, the plain one.

    That is what moves a terminal's cursor, changes colours or the direction of reading, or has no width. A byte of a
    file's name that is not UTF-8 is shown as that byte, ``\\xff``. keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def _escape(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    # How Python keeps a byte that it could not decode.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def unknown(what: str, got: str, allowed: Iterable[str]) -> str:
    """Return the line for a name that is not in a table: what was got, the nearest name, and all that is allowed."""
    names = sorted(allowed)
    begun = [name for name in names if got and name.startswith(got.lower())]
    nearest = begun or difflib.get_close_matches(got.lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown {what} {got!r}{hint} ({', '.join(names)})"
