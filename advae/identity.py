"""What an entry is called: its kind, and the digest of all that decides it. Light, since every command needs it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal, get_args

SCHEMA = 2
"""Version of all that lies on disk; raised when an older program could not read it."""

Kind = Literal["ae", "clf", "run"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ID_DIGITS = 12
ID = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{{ID_DIGITS}}}")


def kind_of(id_: str) -> Kind:
    """Return the kind that an id begins with. Raises ValueError for what is no id."""
    for kind in KINDS:
        if id_.startswith(f"{kind}-"):
            return kind
    raise ValueError(f"{id_!r} is no id")


def canonical_json(value: Any) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, floats as Python writes them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def name_recipe(recipe: dict[str, Any]) -> str:
    """Return the id that a recipe's JSON stands for: its kind and the first 12 hex digits of its SHA-256."""
    return f"{recipe['kind']}-{hashlib.sha256(canonical_json(recipe).encode()).hexdigest()[:ID_DIGITS]}"
