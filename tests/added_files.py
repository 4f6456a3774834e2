"""The files of other libraries that several test files add, each once for all workers of pytest."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from advae.records import Manifest
    from advae.workflows import Workspace

MEANS = {"torch_cnn_mnist.onnx": ((0.1307,), (0.3081,))}
"""File -> the mean and the deviation that its images are given with, which are not in it and have to be said."""


def name_dataset(file: str, models: Path) -> str:
    """Return the dataset that a file's model was trained on, as a command names it."""
    name = file.rpartition("_")[2].partition(".")[0]
    return str(models / "photos16.npz") if name == "photos16" else name


def open_bench(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Workspace:
    """Return a registry that all workers share, and the folder with the real datasets."""
    from advae.registry import Registry
    from advae.workflows import Workspace

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return Workspace(Registry(shared / "added-files"), data_dir=models.parent / "data")


def make_adder(bench: Workspace, models: Path) -> Callable[[str], Manifest]:
    """Return a function that adds one of the files; what another worker has added is read from the registry."""
    from advae.requests import AddRequest
    from advae.workflows import add_classifier

    @cache
    def add(file: str) -> Manifest:
        note = bench.registry.home.with_name(f"{file}.id")
        with FileLock(f"{note}.lock"):
            if note.exists():
                return bench.registry.manifest(note.read_text())
            mean, std = MEANS.get(file, (None, None))
            request = AddRequest(mean=mean, std=std)
            made = add_classifier(bench, str(models / file), name_dataset(file, models), request).manifest
            note.write_text(made.id)
            return made

    return add
