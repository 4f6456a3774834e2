"""Write completions/ anew from the application: ``python -m tests.cli.completions``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "completions"
FILES = {"bash": "advae.bash", "zsh": "_advae", "fish": "advae.fish"}


def generate(shell: str) -> str:
    """Return the completion script of a shell, as the application prints it."""
    command = [sys.executable, "-m", "advae"]
    environment = os.environ | {"_ADVAE_COMPLETE": f"source_{shell}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() + "\n"


if __name__ == "__main__":
    for shell, name in FILES.items():
        (FOLDER / name).write_text(generate(shell))
