"""Paths that users give: on the command line, in environment variables, in plans."""

from __future__ import annotations

import os
from pathlib import Path


def to_path(text: str | Path) -> Path:
    """Return the path that a text names, with ``~`` or ``~user`` expanded.

    A shell expands it only at the beginning of an unquoted word, and so not in ``--home=~/x``.
    """
    # Path.expanduser raises for an unknown user; os.path.expanduser returns the text unchanged.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def default_home() -> Path:
    """Return the platform's folder for user data."""
    from platformdirs import user_data_path

    return user_data_path("advae", appauthor=False)
