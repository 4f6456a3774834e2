"""Description of the machine that numbers were measured on."""

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
"""Processor features that decide the speed of matrix products."""


def describe_processor() -> dict[str, Any]:
    """Return what TensorFlow computes on, and which of FEATURES the processor has."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        words = set()
    return {"devices": list_devices(), "features": [name for name in FEATURES if name in words]}
