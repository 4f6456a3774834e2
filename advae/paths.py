"""The paths that users give: on the command line, in variables of the environment, in plans."""

from __future__ import annotations

import os
from pathlib import Path


def to_path(text: str | Path) -> Path:
    """Return the path that a text names, its ``~`` or ``~user`` replaced by that home.

    A shell replaces it only where it begins a word: not in ``--home=~/x``, in quotes, or in a variable's quoted value.
    """
    # Unlike Path.expanduser, this leaves alone the home of a user that there is not, instead of raising.
    return Path(os.path.expanduser(text))  # noqa: PTH111
