"""Ids of entries: kind and digest of the recipe. Imports little, because every command needs it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal, get_args

STORE_SCHEMA = 3
"""Version of the store on disk; raised when an older program could not read it.

2: a manifest has parents, dataset and a seal over its bytes. 3: also the digests of its parents' weights.
"""

Kind = Literal["ae", "clf", "run", "cert", "surface", "code"]
KINDS: tuple[Kind, ...] = get_args(Kind)

RESULTS: tuple[Kind, ...] = ("run", "cert", "surface", "code")
"""Kinds of entries that are results: nothing depends on them, and they are kept until they are removed."""

ID_DIGITS = 12
ID = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{{ID_DIGITS}}}")


SAMPLES = "samples.npz"
"""The artifact with the images that a report shows."""


def kind_of(id_: str) -> Kind:
    """Return the kind that an id begins with. Raises ValueError for any other text."""
    for kind in KINDS:
        if id_.startswith(f"{kind}-"):
            return kind
    raise ValueError(f"{id_!r} is no id")


def canonical_json(value: Any) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, floats as Python writes them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_weights(artifacts: dict[str, str]) -> str:
    """Return the SHA-256 of the artifacts that other entries are computed from: canonical JSON of name -> SHA-256.

    The images that a report shows are not included: entries with and without them have the same weights.
    """
    read = {name: sha256 for name, sha256 in artifacts.items() if name != SAMPLES}
    return hashlib.sha256(canonical_json(read).encode()).hexdigest()


def name_recipe(recipe: dict[str, Any]) -> str:
    """Return the id of a recipe given as JSON: its kind and the first 12 hex digits of its SHA-256."""
    return f"{recipe['kind']}-{hashlib.sha256(canonical_json(recipe).encode()).hexdigest()[:ID_DIGITS]}"
