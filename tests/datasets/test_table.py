"""The table: every row is complete, known by name, and right about the published files."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from advae.datasets.fetch import fetch_dataset
from advae.datasets.load import load_dataset, verify_dataset
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS, DatasetRow
from advae.errors import UsageError


def test_module_starts_light() -> None:
    heavy = "numpy", "sklearn", "platformdirs", "urllib.request", "http.client", "ssl"
    code = f"import sys, advae.datasets; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("row", DATASETS.values(), ids=lambda row: row.name)
def test_row_is_complete(row: DatasetRow) -> None:
    assert DATASETS[row.name] is row
    assert row.summary
    assert len(row.classes) in (2, 10)
    assert len(row.digest) == 64 if row.digest else row.archive
    assert [bool(row.read_bundled), bool(row.make), bool(row.files), bool(row.archive)].count(True) == 1
    assert bool(row.make) == (row.made_from in DATASETS)
    if row.files:
        shapes = [file.shape for file in row.files]
        train, test = row.counts
        assert shapes == [(train, *row.shape[:2]), (train,), (test, *row.shape[:2]), (test,)]
        assert all(mirror.endswith("/") for mirror in row.mirrors)
        assert row.folder
        assert row.keras


def test_an_unknown_name_lists_the_known_ones() -> None:
    for call in (load_dataset, find_dataset, verify_dataset, fetch_dataset):
        with pytest.raises(UsageError, match=r"unknown dataset 'mnits'; did you mean 'mnist'\? .*\.npz"):
            call("mnits")


@pytest.mark.real_data
def test_real_files_unpack_to_the_known_digests(real_dir: Path) -> None:
    for row in DATASETS.values():
        for file in row.files:
            with gzip.open(real_dir / row.folder / f"{file.name}.gz") as stream:
                data = stream.read()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)
