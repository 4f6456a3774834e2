"""Fixtures of the report's tests: a registry to publish into, and the smallest pair worth comparing."""

from __future__ import annotations

from pathlib import Path

import pytest

from advae.records import Manifest
from tests.report_fixtures import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "home")


@pytest.fixture
def pair(lab: Lab) -> list[Manifest]:
    """The same attack with and without an autoencoder, on the same samples."""
    undefended = lab.add_run(lab.add_classifier(), keep=(0.3, 0.0))
    return [undefended, lab.add_run(lab.add_classifier(lab.add_autoencoder()))]
