"""Manifests as files: JSON that ends with the SHA-256 of its own bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from advae.errors import NewerSchemaError
from advae.identity import ID, STORE_SCHEMA, canonical_json, kind_of, name_recipe
from advae.registry.summaries import SHA256, WRONG_FORM, summarize_entry

if TYPE_CHECKING:
    from advae.records import Manifest

MAX_MANIFEST = 1 << 26
"""Bytes; 64 MiB holds the loss of a million epochs."""

ARTIFACT = re.compile(r"[a-z][a-z0-9_]{0,31}\.npz")
"""The form of an artifact's name."""

MAX_LISTED = 64
"""Artifacts, or versions, that an entry may name; a forged one could name a million."""

UPGRADE = f"this advae reads up to {STORE_SCHEMA}; upgrade advae"

_SEAL = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n}\n\Z')
_SEAL_BYTES = 100
_CLAIM = re.compile(rb'{\s*"schema": (\d{1,9})\b')
_FIRST = b'{\n "schema_version": 1,'

PARENTS_SINCE = 3
"""The first schema whose manifests have the digests of the parents' weights."""

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00")


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as JSON whose last field is the SHA-256 of every byte before that field.

    Over the bytes, not over the values: 1e-05 and 1E-05 are one value but differ in one bit.
    """
    document = manifest.model_dump(mode="json")
    return _seal(json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}").encode())


def _seal(body: bytes) -> bytes:
    return body + b',\n "sha256": "%s"\n}\n' % _digest(body)


_MARK = re.compile(rb',\n "imported": "[^"\\]{1,40}"' + _SEAL.pattern)


def add_import_mark(content: bytes, moment: str) -> bytes:
    """Return a manifest with the time at which it was imported; every other byte is unchanged.

    A manifest of schema 1 becomes one of schema 2 with the same content.
    """
    if content.startswith(_FIRST):
        content = encode(decode(content).model_copy(update={"schema_version": 2}))
    return _seal(_SEAL.sub(b',\n "imported": "%s"' % moment.encode(), content))


def remove_import_mark(content: bytes) -> bytes:
    """Return a manifest without the time of import, as it was first written."""
    mark = _MARK.search(content, max(0, len(content) - 2 * _SEAL_BYTES))
    return content if mark is None or content.startswith(_FIRST) else _seal(content[: mark.start()])


# ---------------------------------------------------------------- reading


def open_document(content: bytes) -> dict[str, Any]:
    """Return a manifest's JSON after checking its seal, its id, parents and dataset; its fields are not yet checked.

    Raises NewerSchemaError, or ValueError for what is damaged, forged, or no manifest.
    """
    try:
        document: dict[str, Any] = (_open_first_schema if content.startswith(_FIRST) else _open_sealed)(content)
        recipe = document["recipe"]
        own = name_recipe(recipe), find_parents(recipe), {name: recipe["dataset"][name] for name in ("name", "digest")}
        claimed = document["id"], document["parents"], document["dataset"]
        digested, moment = _has_parent_digests(document), document.get("imported")
        crowded = len(document["artifacts"]) > MAX_LISTED or len(document["versions"]) > MAX_LISTED
        named = all(ARTIFACT.fullmatch(name) for name in document["artifacts"])
    except NewerSchemaError:
        raise
    except WRONG_FORM as error:
        raise ValueError(str(error) if type(error) is ValueError else "it is no manifest") from None
    if claimed != own:
        raise ValueError("its id, its parents or its dataset do not fit its recipe")
    if not digested:
        raise ValueError("its digests of parents do not fit its parents")
    if not (moment is None or MOMENT.fullmatch(str(moment))):
        raise ValueError("its time of import is not a time")
    if not named:
        raise ValueError("it names an artifact with a bad name")
    if crowded:
        raise ValueError(f"it names more than {MAX_LISTED} artifacts or versions")
    return document


def decode(content: bytes) -> Manifest:
    """Return the manifest in some bytes. Raises as ``open_document`` does."""
    from pydantic import ValidationError

    from advae.records import Manifest, entry_id

    document = open_document(content)
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"it is no manifest: {'.'.join(map(str, first['loc']))} {first['msg'].lower()}") from None
    except WRONG_FORM:
        raise ValueError("it is no manifest") from None
    if manifest.metrics.kind != manifest.recipe.kind:
        raise ValueError("its metrics are not of its recipe's kind")
    # Every entry that can be read can also be listed.
    summarize_entry(document)
    # Pydantic reads "0" and 0.0 as 0, but the id is the digest of one spelling only.
    if entry_id(manifest.recipe) != manifest.id:
        raise ValueError("its recipe is not written as this program writes it")
    return manifest


PARENTS: dict[str, tuple[str, ...]] = {
    "autoencoder": ("ae",),
    "origin": ("ae", "clf"),
    "protects": ("clf",),
    "denoiser": ("ae",),
    "reduction": ("ae",),
    "classifier": ("clf",),
    "twin": ("clf",),
    "surrogate": ("clf",),
    "distilled": ("clf",),
    "alongside": ("clf",),
}
"""The fields of recipes that name another entry, and of which kinds."""

PARENT_LISTS = ("alongside",)
"""The fields among them that name several entries."""


def find_parents(recipe: dict[str, Any]) -> list[str]:
    """Return the ids that a recipe's JSON depends on. Raises ValueError for what is no id of the kind."""
    found = []
    for name, kinds in PARENTS.items():
        for id_ in _list_named(recipe, name):
            if not (isinstance(id_, str) and ID.fullmatch(id_) and kind_of(id_) in kinds):
                raise ValueError(f"its {name} is no id of kind {' or '.join(kinds)}")
            # A head has its autoencoder as origin and as purifier; it is listed once.
            if not (name == "origin" and id_ in found):
                found.append(id_)
    return found


def _list_named(recipe: dict[str, Any], name: str) -> list[Any]:
    """Return what a field of a recipe's JSON names: nothing, one entry, or all of a list."""
    named = recipe.get(name)
    if named is None:
        return []
    return named if name in PARENT_LISTS and isinstance(named, list) else [named]


def _has_parent_digests(document: dict[str, Any]) -> bool:
    """Return whether a manifest has a digest for each parent, and others only for purifiers; before schema 3 none."""
    digests, parents = document.get("parent_digests"), {*document["parents"]}
    if document["schema"] < PARENTS_SINCE:
        return digests is None
    if not isinstance(digests, dict):
        return False
    others = digests.keys() - parents
    purifiers = all(ID.fullmatch(id_) and kind_of(id_) == "ae" for id_ in others)
    fit = digests.keys() >= parents and purifiers and len(others) <= len(parents)
    return fit and all(SHA256.fullmatch(digest) for digest in digests.values())


def list_needed(parents: Iterable[str], parents_of: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the ids of the entries that are loaded to compute an entry: its parents, and the purifiers of these."""
    needed = dict[str, None]()
    for id_ in parents:
        needed[id_] = None
        if kind_of(id_) == "clf":
            needed |= {other: None for other in parents_of(id_) if kind_of(other) == "ae"}
    return list(needed)


def _open_sealed(content: bytes) -> Any:
    claim = _CLAIM.match(content)
    if claim and int(claim[1]) > STORE_SCHEMA:
        raise NewerSchemaError(f"it has schema {claim[1].decode()}, {UPGRADE}")
    sealed = _SEAL.search(content, max(0, len(content) - _SEAL_BYTES))
    if not sealed or sealed[1] != _digest(content[: sealed.start()]):
        raise ValueError("it does not match its own digest")
    document = _parse(content[: sealed.start()] + b"}")
    if document["schema"] not in (2, STORE_SCHEMA):
        raise ValueError(f"it claims another schema than 2 or {STORE_SCHEMA}")
    return document


def _parse(content: bytes) -> Any:
    """Return the value of some JSON, in a third of the time of the module json."""
    # Not at the top: the completion of an id reads no manifest.
    from pydantic_core import from_json

    try:
        return from_json(content)
    except ValueError:
        # It refuses names that are not Unicode, which a folder of images may have.
        return json.loads(content)


def _open_first_schema(content: bytes) -> Any:
    """Return a manifest of schema 1, which was sealed over its values and named neither parents nor dataset."""
    document = json.loads(content)
    if document.pop("sha256").encode() != _digest(canonical_json(document).encode()):
        raise ValueError("it does not match its own digest")
    recipe = document["recipe"]
    dataset = {name: recipe["dataset"][name] for name in ("name", "digest")}
    del document["schema_version"]
    return document | {"schema": 1, "parents": find_parents(recipe), "dataset": dataset}


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
