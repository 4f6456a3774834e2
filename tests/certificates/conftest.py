"""The fixture that starts TensorFlow."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    from advae.backend import start_tensorflow

    start_tensorflow()
