"""Damaged and forged entries: whatever is in their files, they are read or refused."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advae.errors import CorruptError
from advae.records import Manifest
from advae.registry import Registry
from tests.entries import (
    BAD_NPZ,
    WEIGHTS,
    Canary,
    assert_refused,
    locate,
    make_autoencoder_recipe,
    publish,
    seal,
)

OTHER = make_autoencoder_recipe(seed=1)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "last byte lost": lambda content: content[:-2],
    "first bit flipped": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "middle byte lost": lambda content: content[: len(content) // 2] + content[len(content) // 2 + 1 :],
    "grown": lambda content: content + b"more",
    "zeroed": lambda content: bytes(len(content)),
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "pickled": lambda content: pickle.dumps({"id": 1}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_file_is_refused(registry: Registry, entry: Manifest, damage: Callable[[bytes], bytes]) -> None:
    path = locate(registry, entry, WEIGHTS)
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(registry, entry, lambda: registry.read_arrays(registry.manifest(entry.id), WEIGHTS), WEIGHTS)
    path = locate(registry, entry)
    path.write_bytes(damage(path.read_bytes()))
    for read in (registry.manifest, registry.find, registry.resolve):
        assert_refused(registry, entry, partial(read, entry.id), "manifest.json")


SPOILS: dict[str, Callable[[Registry, Path], Any]] = {
    "edited": lambda registry, path: path.write_text(path.read_text().replace("0.01", "0.02")),
    "another's": lambda registry, path: shutil.copy(locate(registry, publish(registry, OTHER)), path),
    "gone": lambda registry, path: path.unlink(),
    "a folder": lambda registry, path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=list(SPOILS))
def test_a_manifest_that_is_not_the_entry_s_own_is_refused(registry: Registry, entry: Manifest, spoil: Any) -> None:
    spoil(registry, locate(registry, entry))
    assert_refused(registry, entry, lambda: registry.find(entry.id), "manifest.json")


def test_an_artifact_that_is_gone_or_unknown_is_refused(registry: Registry, entry: Manifest) -> None:
    for spoil in (Path.unlink, Path.mkdir):
        spoil(locate(registry, entry, WEIGHTS))
        assert_refused(registry, entry, lambda: registry.read_arrays(entry, WEIGHTS), WEIGHTS)
    np.savez(locate(registry, entry, "extra.npz"), x=np.zeros(1))
    with pytest.raises(CorruptError, match=r"no artifact extra\.npz"):
        registry.read_arrays(entry, "extra.npz")


FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another id": lambda stored: stored.update(id="ae-000000000000"),
    "another recipe": lambda stored: stored["recipe"].update(seed=1),
    "a schema of words": lambda stored: stored.update(schema_version="1"),
    "another kind": lambda stored: stored["recipe"].update(kind="clf"),
    "an unknown field": lambda stored: stored.update(execute="rm -rf"),
    "no recipe": lambda stored: stored.pop("recipe"),
    "a recipe of nulls": lambda stored: stored.update(recipe=None),
    "a list of artifacts": lambda stored: stored.update(artifacts=[]),
    "an artifact without size": lambda stored: stored["artifacts"][WEIGHTS].pop("size"),
    "deep options": lambda stored: stored["recipe"].update(options=json.loads('{"a":' * 200 + "1" + "}" * 200)),
    "a huge number": lambda stored: stored["metrics"].update(test_mse=10**400),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=list(FORGERIES))
def test_a_forged_manifest_is_refused_although_its_digest_fits(
    registry: Registry, entry: Manifest, forge: Callable[[dict[str, Any]], Any]
) -> None:
    seal(registry, entry)
    assert registry.manifest(entry.id) == entry
    seal(registry, entry, forge)
    assert_refused(registry, entry, lambda: registry.manifest(entry.id), "manifest.json")


def test_json_that_is_no_manifest_is_refused(registry: Registry, entry: Manifest) -> None:
    deep = ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000]
    numbers = ['{"sha256": ' + "1" * 5_000 + "}", '{"sha256": "", "schema_version": NaN}', "1"]
    others = ["null", "[]", '"text"', "{}", '{"sha256": null}', "\ufeff{}", '{"sha256": "\\ud800"}']
    for text in deep + numbers + others:
        locate(registry, entry).write_text(text, "utf-8")
        assert_refused(registry, entry, lambda: registry.manifest(entry.id), "manifest.json")


def test_a_manifest_of_a_newer_schema_asks_for_a_newer_program(registry: Registry, entry: Manifest) -> None:
    seal(registry, entry, lambda stored: stored.update(schema=99, news="a field that we do not know"))
    with pytest.raises(CorruptError, match=r"manifest\.json: it has schema 99, .*upgrade advae$"):
        registry.manifest(entry.id)


def test_a_pickled_object_is_refused_and_not_run(registry: Registry, entry: Manifest, tmp_path: Path) -> None:
    canary, path = Canary(tmp_path / "canary"), locate(registry, entry, WEIGHTS)
    np.savez(path, **{"0.0": np.array([canary], dtype=object)}, allow_pickle=True)
    for content in (path.read_bytes(), pickle.dumps(canary)):
        path.write_bytes(content)
        seal(registry, entry)
        assert_refused(registry, entry, lambda: registry.read_arrays(registry.manifest(entry.id), WEIGHTS), WEIGHTS)
    assert not canary.sings()


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.parametrize("content", BAD_NPZ.values(), ids=list(BAD_NPZ))
def test_a_bad_artifact_is_refused_although_its_digest_fits(
    registry: Registry, entry: Manifest, content: bytes
) -> None:
    locate(registry, entry, WEIGHTS).write_bytes(content)
    seal(registry, entry)
    assert_refused(registry, entry, lambda: registry.read_arrays(registry.manifest(entry.id), WEIGHTS), WEIGHTS)


def test_beside_a_corrupt_entry_the_others_can_be_read(registry: Registry, entry: Manifest) -> None:
    other = publish(registry, make_autoencoder_recipe(seed=1))
    registry.tag(other, "best")
    locate(registry, entry).write_bytes(b"")
    found, corrupt = registry.scan()
    assert found == registry.entries() == [other]
    assert list(corrupt) == [entry.id]
    assert registry.resolve("best") == other
    registry.remove(entry.id)
    assert registry.scan() == ([other], {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100)
@given(content=st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()), data=st.data())
def test_any_manifest_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    registry = Registry(tmp_path_factory.getbasetemp() / "battered")
    entry = publish(registry, replace=True)

    def change_somewhere(stored: dict[str, Any]) -> None:
        node: Any = stored
        while True:
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if not (isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans())):
                break
            node = node[key]
        node[key] = data.draw(JSON)

    seal(registry, entry, change_somewhere)
    with suppress(CorruptError):
        assert registry.manifest(entry.id).id == entry.id
    locate(registry, entry).write_bytes(content)
    found, corrupt = registry.scan()
    assert (found, list(corrupt)) == ([], [entry.id])
