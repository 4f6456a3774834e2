"""Peak memory of each command: whole processes, beside one that only starts TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np

from tests.benchmarks.measurements import Measured, Section, Target

HEADROOM = 500_000_000
"""Bytes that a command may take beyond TensorFlow and the dataset."""

DATASET_BYTES = 70_000 * (784 * 4 + 8)
"""Bytes of MNIST in memory once: float32 images, int64 labels."""

START = "from advae.backend import start_tensorflow; start_tensorflow()"
LAUNCH = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Linux counts what a process held before its exec too, so that its parent must be small."""


def list_commands(folder: Path, data_dir: Path, *, dataset: str = "mnist", epochs: int = 1) -> dict[str, list[str]]:
    """Return the arguments of every command that is measured, by name, each after those whose entries it needs."""
    data = ["--data-dir", str(data_dir)]
    network = [*data, "--dataset", dataset, "--epochs", str(epochs)]
    attack = ["attack", *data, "--clf", "behind", "--method"]
    images, out = str(folder / "images.npy"), str(folder / "out.npy")
    return {
        "train-ae vanilla": ["train-ae", "--type", "vanilla", *network, "--tag", "vanilla"],
        "train-clf nn": ["train-clf", "--model", "nn", *network],
        "train-clf nn --ae": ["train-clf", "--model", "nn", "--ae", "vanilla", *network, "--tag", "behind"],
        "train-clf lr": ["train-clf", "--model", "lr", *data, "--dataset", dataset, "--max-iter", "5", "--tag", "lr"],
        "attack bim": [*attack, "bim", "--eps", "0.1,0.3"],
        "attack pgd": [*attack, "pgd", "--eps", "0.3"],
        "attack non-targeted": ["attack", *data, "--clf", "lr", "--method", "non-targeted", "--eps", "0.1,0.3"],
        "attack square": [*attack, "square", "--threat", "black-box", "--eps", "0.3", "--queries", "20"],
        "attack worst": [*attack, "worst", "--eps", "0.3", "--queries", "20"],
        "purify": ["purify", "--ae", "vanilla", images, out],
        "predict": ["predict", "--clf", "behind", images],
        "report": ["report", *data, "--out", str(folder / "report")],
        "registry verify": ["registry", "verify"],
    }


def measure(data_dir: Path, *, only: Collection[str] | None = None, dataset: str = "mnist") -> Section:
    """Return the peak memory of every command, or of some of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), np.uint8)
        np.save(folder / "images.npy", images)
        environment = {**os.environ, "ADVAE_HOME": str(folder / "home")}
        base = _run("TensorFlow started", ["-c", START], environment)
        measured = [
            _run(command, ["-m", "advae", *arguments], environment)
            for command, arguments in list_commands(folder, data_dir, dataset=dataset).items()
            if only is None or command in only
        ]
    bound = (base.peak_memory or 0) + DATASET_BYTES + HEADROOM
    return Section(
        name="memory",
        work=f"peak resident memory of whole processes on {dataset}; 10,000 images each where it attacks",
        measured=(base, *measured),
        targets=tuple(Target(f"{one.name}, bytes", one.peak_memory, "at most", bound) for one in measured),
        numbers={"dataset": DATASET_BYTES, "room": HEADROOM},
    )


def _run(name: str, arguments: list[str], environment: dict[str, str]) -> Measured:
    """Return the time and memory of a process. Raises RuntimeError where it failed."""
    command = [sys.executable, "-c", LAUNCH, sys.executable, *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-500:]}")
    return Measured(name, (time.perf_counter() - start,), int(done.stdout))
