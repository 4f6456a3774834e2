"""Whether the numbers of a manifest are those of its arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from advae.records import Record

ALIKE = 1e-5
"""By what share of itself a mean may differ, which another machine adds up in another order."""


def list_differences(record: Record, found: Mapping[str, Any], artifact: str, where: str = "") -> Iterator[str]:
    """Yield each number of a record that its artifact contradicts. where: words behind a number's name."""
    for name, value in found.items():
        stored = getattr(record, name)
        # Entries from before a number was kept do not have it.
        absent = stored is None and not type(record).model_fields[name].is_required()
        if not (absent or _agree(stored, value)):
            yield f"its manifest says {name} {_show(stored)}{where}, its {artifact} {_show(value)}"


def _agree(stored: Any, found: Any) -> bool:
    if isinstance(stored, tuple) and isinstance(found, tuple):
        return len(stored) == len(found) and all(map(_agree, stored, found))
    if isinstance(stored, float) and isinstance(found, float):
        return math.isclose(stored, found, rel_tol=ALIKE, abs_tol=1e-9)
    return bool(stored == found)


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value[:10]))}{', ...' if len(value) > 10 else ''})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
