"""What all tests of datasets share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from the caches of the user who runs them."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("KERAS_HOME", str(home / "keras"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _name: str(home / "cache"))


@pytest.fixture(scope="session")
def real_dir() -> Path:
    if "ADVAE_DATA_DIR" not in os.environ:
        pytest.skip("ADVAE_DATA_DIR is not set")
    return Path(os.environ["ADVAE_DATA_DIR"])
