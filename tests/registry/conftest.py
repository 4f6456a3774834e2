"""Homes that the tests of the registry share."""

from __future__ import annotations

from pathlib import Path

import pytest

from advae.records import Manifest
from advae.registry import Registry
from tests.entries import Family, publish, publish_family


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty home, whose parent folder does not exist yet."""
    return Registry(tmp_path / "deep" / "home")


@pytest.fixture
def entry(registry: Registry) -> Manifest:
    """An autoencoder in ``registry``."""
    return publish(registry)


@pytest.fixture
def other(tmp_path: Path) -> Registry:
    """An empty home."""
    return Registry(tmp_path / "other")


@pytest.fixture
def family(registry: Registry) -> Family:
    """An autoencoder, a classifier behind it and a run, in ``registry``."""
    return publish_family(registry)
