"""What a registry stores, in a form that two registries of one plan can be compared in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advae.registry import Registry


def read_results(home: Path) -> dict[str, object]:
    """Return all that is stored, arrays as bytes, but for what says when and how fast it was made."""
    registry, found = Registry(home), dict[str, object]()
    for entry in registry.entries():
        found[f"{entry.id} metrics"] = _drop_seconds(entry.metrics.model_dump())
        for name in entry.artifacts:
            for key, array in registry.read_arrays(entry, name).items():
                found[f"{entry.id} {name} {key}"] = (array.dtype.str, array.shape, array.tobytes())
    return found


def _drop_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drop_seconds(inner) for key, inner in value.items() if key != "seconds"}
    return value


def find_differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
