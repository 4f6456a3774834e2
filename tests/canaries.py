"""A folder of Python files with the names of modules, none of which may be executed, and a log of those that were."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

CANARY = """
with open({log!r}, "a") as log:
    log.write(__name__ + "\\n")
raise SystemExit(99)
"""

BEFORE_ANY_PROGRAM = "import importlib.util, runpy, sys; print(*sys.modules)"
"""``python -m`` imports some modules before the one that it is given, from the current folder first."""


def plant(folder: Path) -> Path:
    """Write a canary for each module that is installed; return the file in which those that were executed are named."""
    log = folder.parent / f"executed in {folder.name}"
    log.write_text("")
    python = subprocess.run([sys.executable, "-c", BEFORE_ANY_PROGRAM], capture_output=True, text=True, check=True)
    names = {*sys.stdlib_module_names, *packages_distributions(), "sitecustomize", "usercustomize"}
    for name in names - {*python.stdout.split(), "advae", "tests"}:
        (folder / f"{name}.py").write_text(CANARY.format(log=str(log)))
    return log


def careless_environment() -> dict[str, str]:
    """Return the environment of a user, who has heard of no safe-path mode."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
