"""Homes that the tests of the registry share."""

from __future__ import annotations

from pathlib import Path

import pytest

from advae.registry import Registry
from tests.entries import Family, publish_family


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "home")


@pytest.fixture
def other(tmp_path: Path) -> Registry:
    """An empty home."""
    return Registry(tmp_path / "other")


@pytest.fixture
def family(registry: Registry) -> Family:
    """An autoencoder, a classifier behind it and a run, in ``registry``."""
    return publish_family(registry)
