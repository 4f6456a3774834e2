"""Rows of CORPUS: manifests that are damaged or forged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from advae.identity import STORE_SCHEMA
from tests.entries import (
    SINCE_FIRST,
    WEIGHTS,
    make_metrics,
    make_run_recipe,
    seal_document,
    seal_first_schema,
)
from tests.hostile.members import seal_text, tell_own
from tests.hostile.rows import SEALED, add_forgery, add_manifest
from tests.hostile.scene import MANIFEST, TIB8, Change, Document

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000

MANIFESTS: dict[str, Callable[[Document], bytes]] = {
    "nothing": lambda document: b"",
    "null": lambda document: b"null",
    "a list": lambda document: b"[]",
    "text": lambda document: b"hello",
    "deep lists": lambda document: b"[" * 200_000,
    "deep JSON, sealed": lambda document: seal_text(document | {"source": "@"}, '"@"', DEEP),
    "deep recipe, sealed": lambda document: seal_text(change_at(document, "recipe.options", "@"), '"@"', DEEP),
    "deep versions, sealed": lambda document: seal_text(
        document | {"versions": "@"}, '"@"', "[" * 200 + "1" + "]" * 200
    ),
    "not sealed": lambda document: json.dumps(document).encode(),
    "sealed over something else": lambda document: (
        seal_document(document).replace(b'"mse', b'"MSE').replace(b"0", b"1")
    ),
    "two digests": lambda document: seal_document(document | {"sha256": "0" * 64}),
    "more after it": lambda document: seal_document(document) + b"more",
    "a BOM": lambda document: b"\xef\xbb\xbf" + seal_document(document),
    "UTF-16": lambda document: seal_document(document).decode().encode("utf-16"),
    "not UTF-8": lambda document: seal_text_bytes(document | {"source": "@"}, b'"@"', b'"\xff"'),
    "NaN": lambda document: seal_text(change_at(document, "metrics.test_mse", "@"), '"@"', "NaN"),
    "infinity": lambda document: seal_text(change_at(document, "metrics.test_mse", "@"), '"@"', "-Infinity"),
    "infinity, written as a number": lambda document: seal_text(
        change_at(document, "metrics.test_mse", "@"), '"@"', "1e999"
    ),
    "a number of 400 digits": lambda document: seal_text(
        change_at(document, "metrics.test_mse", "@"), '"@"', "1" * 400
    ),
    "a number of 5000 digits": lambda document: seal_text(
        change_at(document, "metrics.test_mse", "@"), '"@"', "1" * 5000
    ),
    "NaN in the recipe": lambda document: seal_text(
        change_at(document, "recipe.network.learning_rate", "@"), '"@"', "NaN"
    ),
    "a size of infinity": lambda document: seal_text(
        change_at(document, f"artifacts.{WEIGHTS.replace('.', '/')}.size", "@"), '"@"', "1e999"
    ),
    "a size of 400 digits": lambda document: seal_text(
        change_at(document, f"artifacts.{WEIGHTS.replace('.', '/')}.size", "@"), '"@"', "1" * 400
    ),
    "a newer schema": lambda document: seal_document(document | {"schema": 99}),
    "a schema of 5000 digits": lambda document: seal_text(
        document, f'"schema": {STORE_SCHEMA}', '"schema": ' + "9" * 5000
    ),
    "schema 1 in the clothes of 2": lambda document: seal_document(document | {"schema": 1}),
    "first schema, forged": lambda document: seal_first_schema(document).replace(b'"seed": 0', b'"seed": 1'),
    "first schema, another id": lambda document: seal_first_schema(document | {"id": "ae-000000000000"}),
    "first schema, NaN": lambda document: seal_first_nan(document),
    "first schema, deep": lambda document: b'{\n "schema_version": 1,\n "recipe": ' + b"[" * 200_000,
    "first schema, a newer one": lambda document: seal_first_schema(document).replace(
        b'"schema_version": 1', b'"schema_version": 9'
    ),
}


def change_at(document: Document, path: str, value: Any) -> Document:
    """Return a document with one value replaced; ``/`` stands for a dot within a name."""
    changed = node = json.loads(json.dumps(document))
    *names, last = path.split(".")
    for name in names:
        node = node[name.replace("/", ".")]
    node[last.replace("/", ".")] = value
    return dict(changed)


def seal_text_bytes(document: Document, old: bytes, new: bytes) -> bytes:
    body = json.dumps(document, indent=1).removesuffix("\n}").encode().replace(old, new, 1)
    return body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


def seal_first_nan(document: Document) -> bytes:
    """Return a manifest of schema 1 with a number that is none, sealed as a writer would that lets it pass."""
    document = change_at(document, "metrics.test_mse", float("nan"))
    older = {"schema_version": 1} | {k: v for k, v in document.items() if k not in SINCE_FIRST}
    digest = hashlib.sha256(json.dumps(older, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return (json.dumps(older | {"sha256": digest}, indent=1) + "\n").encode()


for _name, _encode in MANIFESTS.items():
    add_manifest(f"manifest: {_name}", _encode)


def set_artifact(name: str, **described: Any) -> Change:
    """Return a change that lets an artifact be called something else."""
    return lambda stored: stored["artifacts"].update({name: stored["artifacts"].pop(WEIGHTS) | described})


FORGERIES: dict[str, Change] = {
    "another id": lambda stored: stored.update(id="ae-000000000000"),
    "another recipe": lambda stored: stored["recipe"].update(seed=1),
    "another dataset": lambda stored: stored["dataset"].update(name="mnist"),
    "parents that it has not": lambda stored: stored.update(parents=["ae-000000000000"]),
    "another kind": lambda stored: stored["recipe"].update(kind="clf"),
    "an unknown kind": lambda stored: stored.update(recipe=stored["recipe"] | {"kind": "os"}, id="os-000000000000"),
    "an unknown field": lambda stored: stored.update(execute="rm -rf"),
    "an unknown field of control characters": lambda stored: stored.update({"\x1b[2J\n\u202e": 1}),
    "an unknown field in metrics": lambda stored: stored["metrics"].update(__class__="os"),
    "metrics of another kind": lambda stored: stored.update(
        metrics=make_metrics(make_run_recipe()).model_dump(mode="json")
    ),
    "no recipe": lambda stored: stored.pop("recipe"),
    "no artifacts": lambda stored: stored.pop("artifacts"),
    "a list of artifacts": lambda stored: stored.update(artifacts=[]),
    "artifacts of numbers": lambda stored: stored.update(artifacts={WEIGHTS: 7}),
    "no versions": lambda stored: stored.pop("versions"),
    "versions of lists": lambda stored: stored.update(versions={"python": []}),
    "a moment of numbers": lambda stored: stored.update(created=7),
    "an artifact without a digest": lambda stored: stored["artifacts"][WEIGHTS].pop("sha256"),
    "an artifact of size -1": lambda stored: stored["artifacts"][WEIGHTS].update(size=-1),
    "an artifact without letters": lambda stored: stored["artifacts"][WEIGHTS].update(sha256="0" * 63),
    "an artifact above": set_artifact("../../VERSION"),
    "an artifact that is absolute": set_artifact("/etc/passwd"),
    "an artifact of no name": set_artifact(""),
    "an artifact that is the manifest": set_artifact(MANIFEST),
    "an artifact of control characters": set_artifact("\x1b[2J\n.npz"),
    "an artifact with a NUL": set_artifact("weights\0.npz"),
    "a parent above": lambda stored: stored.update(
        recipe=stored["recipe"] | {"autoencoder": "../../x"}, parents=["../../x"]
    ),
    "a parent that is a table": lambda stored: stored.update(tell_own(stored | {"recipe": with_parent(stored, {})})),
}


def with_parent(stored: Document, parent: Any) -> Document:
    return stored["recipe"] | {"autoencoder": parent or {"a": 1}}


for _name, _change in FORGERIES.items():
    add_forgery(f"forged: {_name}", _change)
# What only an artifact can show: the manifest could be true.
add_forgery("forged: an artifact of 8 TiB", set_artifact(WEIGHTS, size=TIB8), SEALED)
add_forgery("forged: another digest", set_artifact(WEIGHTS, sha256="0" * 64), SEALED)
add_forgery("forged: an artifact of another name", set_artifact("other.npz"), SEALED)
