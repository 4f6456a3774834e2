"""Fixtures of the command line's tests: a registry with one entry of each kind, made or trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Trained
from tests.hostile.scene import Scene, build_scene, copy_scene


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return build_scene(tmp_path_factory.mktemp("good"))


@pytest.fixture
def scene(good: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A home with an autoencoder, a classifier behind it and a run, all of them the latest, one of them tagged."""
    copied = copy_scene(good, tmp_path)
    monkeypatch.setenv("ADVAE_HOME", str(copied.home))
    return copied


@pytest.fixture
def home(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the trained registry, to write on."""
    target = tmp_path / "copy"
    shutil.copytree(trained.home, target)
    return target
