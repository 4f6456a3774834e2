"""What a reader needs to know of the machine to compare numbers."""

from __future__ import annotations

import os
import platform
from typing import Any

from advae.registry import library_versions


def describe_machine() -> dict[str, Any]:
    """Return library versions, architecture and number of cores."""
    return {"versions": library_versions(), "machine": platform.machine(), "cores": os.cpu_count()}
