"""Quoting of foreign text for a shell or a spreadsheet."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

_OCTAL = "'\\!"
"""Printable characters that end or change a quoted word."""

_FORMULA = re.compile(r"""(?:^|(?<=[,;|\t]))([\s"']*)([=+\-@＝＋－＠][^,;|\t]*)""")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def join_command(words: Iterable[str]) -> str:
    """Return words as one printable command line that can be pasted into a shell."""
    return " ".join(map(quote_word, words))


def quote_word(word: str) -> str:
    """Return a word quoted for a POSIX shell; unprintable ones have octal escapes, ``$'a\\033'``.

    bash, zsh, ksh and every shell of POSIX.1-2024 read these.
    """
    if word.isprintable():
        return shlex.quote(word)
    plain = (char if char.isprintable() and char not in _OCTAL else _write_octal(char) for char in word)
    return f"$'{''.join(plain)}'"


def _write_octal(char: str) -> str:
    # No file name has other surrogates, so the command finds no file.
    errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", errors))


def disarm_formulas(text: str) -> str:
    """Return the text of a spreadsheet cell with ``'`` before each formula.

    A formula begins with ``=``, ``+``, ``-`` or ``@``, or their full-width forms, at the beginning of the text or after
    a separator at which a reader may split it (``,`` ``;`` ``|`` tab), after any quotes and spaces. A number such as
    ``-1`` is no formula.
    """
    return _FORMULA.sub(lambda found: found[0] if _NUMBER.fullmatch(found[2]) else f"{found[1]}'{found[2]}", text)
