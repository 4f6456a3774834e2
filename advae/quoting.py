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
    """Return words as a command line that can be pasted into a shell: on one line, all of it printable."""
    return " ".join(map(quote_word, words))


def quote_word(word: str) -> str:
    """Return a word quoted for a POSIX shell; what cannot be printed as octal escapes, ``$'a\\033'``.

    bash, zsh and ksh know these, and every shell since POSIX.1-2024. They are the bytes of a file's name.
    """
    if word.isprintable():
        return shlex.quote(word)
    plain = (char if char.isprintable() and char not in _OCTAL else _write_octal(char) for char in word)
    return f"$'{''.join(plain)}'"


def _write_octal(char: str) -> str:
    # A surrogate that stands for no byte names no file; the command then finds none.
    errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", errors))


def disarm_formulas(text: str) -> str:
    """Return the text of a spreadsheet's cell with ``'`` before what the spreadsheet would compute.

    A formula begins with ``=``, ``+``, ``-`` or ``@``, also the full-width ones of Asian keyboards, at the beginning of
    the text or behind a separator at which a reader may split it (``,`` ``;`` ``|`` tab), after any quotes and spaces.
    A number is none, whatever its sign: ``-1`` stays.
    """
    return _FORMULA.sub(lambda found: found[0] if _NUMBER.fullmatch(found[2]) else f"{found[1]}'{found[2]}", text)
