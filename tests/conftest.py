"""Fixtures that several test files share. TensorFlow starts once, in the first test that asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from advae.records import Dataset


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test touches the user's registry or cache."""
    monkeypatch.setenv("ADVAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder with the real datasets; skipped where ADVAE_DATA_DIR is unset, and a failure where it is wrong."""
    folder = os.environ.get("ADVAE_DATA_DIR")
    if not folder:
        pytest.skip("ADVAE_DATA_DIR is not set")
    if not Path(folder, "mnist").is_dir():
        pytest.fail(f"ADVAE_DATA_DIR={folder} has no mnist/")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def digits() -> Dataset:
    from advae.datasets import load_dataset

    return load_dataset("digits")
