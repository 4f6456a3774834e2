"""Checks of the settings of layers and operations: value from JSON -> whether it is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from advae.errors import printable

Allows = Callable[[Any], bool]
"""Value of a setting, from JSON -> whether it is allowed."""

MAX_WINDOW = 4096
"""Largest side of a kernel, window, stride, dilation or padding; most values of a list."""


def whole_number(low: int, high: int) -> Allows:
    """Return the check of a whole number between two others."""
    return lambda value: type(value) is int and low <= value <= high


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def is_flag(value: Any) -> bool:
    """Return whether a value is true or false."""
    return type(value) is bool


def list_of(check: Allows, *lengths: int) -> Allows:
    """Return the check of a list, of one of the lengths, whose values pass a check."""
    return lambda value: (
        isinstance(value, list)
        and (len(value) in lengths if lengths else len(value) <= MAX_WINDOW)
        and all(map(check, value))
    )


def either(*checks: Allows) -> Allows:
    """Return the check of a value that passes one of several checks."""
    return lambda value: any(check(value) for check in checks)


def one_of(*allowed: str | None) -> Allows:
    """Return the check of a text, or None, that is one of several."""
    return lambda value: (value is None or isinstance(value, str)) and value in allowed


def require_setting(name: str, key: str, value: Any, check: Allows) -> None:
    """Raise ValueError where a setting of a layer or operation has a value that is not allowed."""
    if not check(value):
        raise ValueError(f"its {name} has {key} {printable(repr(value)[:60])}, which is not allowed")
