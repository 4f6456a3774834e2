"""Small commands of each kind, called as a shell calls them, one after the other in this process.

Imports nothing that a command would not have imported, so that what the command pins is pinned first.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest.mock import patch

from advae.__main__ import run


def call(*arguments: object) -> str:
    """Return what a command line prints; it must end with 0 and say nothing else."""
    out, err, words = io.StringIO(), io.StringIO(), ["advae", *map(str, arguments)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), patch.object(sys, "argv", words):
        try:
            run()
        except SystemExit as end:
            code = end.code
    if code or err.getvalue():
        raise RuntimeError(f"{' '.join(words)}: exit {code}: {err.getvalue()}")
    return out.getvalue()


def run_commands(folder: Path) -> dict[str, str]:
    """Return what each command prints. folder: holds tiny.npz and images.npy, and gets a home and files."""
    data, images, printed = folder / "tiny.npz", folder / "images.npy", dict[str, str]()

    def make(name: str, *arguments: object) -> str:
        out = call(*arguments, "--home", folder / "home", "-q")
        printed[name] = out.replace(str(folder), "")
        return out.strip()

    of, small = ("--dataset", data), ("--hidden-size", 16, "--code-size", 4, "--epochs", 1)
    vanilla = make("vanilla", "train-ae", "--type", "vanilla", *of, *small)
    robust = make("robust", "train-ae", "--type", "robust", *of, *small, "--train-steps", 1)
    make("lr", "train-clf", "--model", "lr", "--ae", vanilla, *of)
    nn = make("nn", "train-clf", "--model", "nn", "--ae", robust, *of, *small)
    make("attack", "attack", "--clf", nn, "--method", "pgd", "--steps", 2, "--eps", 0.1, "--save-adversarial")
    make("predict", "predict", "--clf", nn, images)
    make("purify", "purify", "--ae", robust, images, folder / "purified.npy")
    make("export", "registry", "export", "--format", "keras", nn, folder / "whole.keras")
    make("find", "data", "ls")
    return printed


if __name__ == "__main__":
    print(json.dumps(run_commands(Path(sys.argv[1]))))
