"""What a reader needs to know of the machine to compare numbers."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from advae.backend import list_devices
from advae.registry import library_versions


def describe_machine() -> dict[str, Any]:
    """Return library versions, architecture and number of cores."""
    return {"versions": library_versions(), "machine": platform.machine(), "cores": os.cpu_count()}


FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")
"""Of processors, that decide how fast their matrix products are."""


def describe_processor() -> dict[str, Any]:
    """Return what TensorFlow computes on, and which of FEATURES the processor says that it has."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        words = set()
    return {"devices": list_devices(), "features": [name for name in FEATURES if name in words]}
