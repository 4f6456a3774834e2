"""Verify finds what is not as it was stored, and names it; what is as it was, it leaves in peace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.registry import Registry
from advae.registry.verification import find_all_problems, find_broken_references, find_problems
from tests.entries import (
    BAD_NPZ,
    WEIGHTS,
    Canary,
    Family,
    list_names,
    locate,
    make_classifier_recipe,
    make_run_recipe,
    publish,
    read_tree,
    seal,
    seal_first_schema,
)


def find_all(registry: Registry) -> dict[str, list[str]]:
    return {id_: found for id_, found in find_all_problems(registry, registry.ids()) if found}


def test_verification_of_sound_entries_finds_and_changes_nothing(registry: Registry, family: Family) -> None:
    registry.tag(family[0], "best")
    registry.mark_latest(family[1])
    before = read_tree(registry.home)
    assert [id_ for id_, _ in find_all_problems(registry, registry.ids())] == sorted(entry.id for entry in family)
    assert find_all(registry) == find_broken_references(registry) == {}
    assert read_tree(registry.home) == before


def test_an_empty_home_is_in_order(registry: Registry) -> None:
    assert find_all(registry) == find_broken_references(registry) == {}
    assert not registry.home.exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "artifact gone": (WEIGHTS, Path.unlink, "No such file"),
    "artifact longer": (
        WEIGHTS,
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        "differs from what was stored",
    ),
    "artifact shorter": (
        WEIGHTS,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "differs from what was stored",
    ),
    "artifact of another bit": (WEIGHTS, flip, "differs from what was stored"),
    "artifact a folder": (WEIGHTS, lambda path: (path.unlink(), path.mkdir()), "regular file"),
    "artifact a fifo": (WEIGHTS, lambda path: (path.unlink(), os.mkfifo(path)), "regular file"),
    "manifest gone": ("manifest.json", Path.unlink, "is missing"),
    "manifest of another bit": ("manifest.json", flip, "digest"),
    "a file too many": ("extra.npz", lambda path: path.write_bytes(b"x"), "not listed in manifest.json"),
    "a folder too many": ("cache", Path.mkdir, "not listed in manifest.json"),
    "a program": ("run.py", lambda path: path.write_text("x"), "not listed in manifest.json"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_every_damage_is_named(case: str, registry: Registry, family: Family) -> None:
    name, damage, words = DAMAGES[case]
    path = locate(registry, family[1], name)
    damage(path)
    before = read_tree(registry.home)
    found = find_all(registry)
    assert list(found) == [family[1].id]
    (line,) = found[family[1].id]
    assert str(path) in line
    assert words in line
    assert line.isprintable()
    assert read_tree(registry.home) == before


def test_every_byte_of_an_artifact_counts(registry: Registry, family: Family) -> None:
    path = locate(registry, family[0], WEIGHTS)
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 128]) + content[at + 1 :])
        assert find_problems(registry, family[0].id), at
    path.write_bytes(content)
    assert find_problems(registry, family[0].id) == []


def test_several_things_wrong_are_all_named(registry: Registry, family: Family) -> None:
    locate(registry, family[0], WEIGHTS).unlink()
    locate(registry, family[0], "extra").touch()
    locate(registry, family[2]).unlink()
    found = find_all(registry)
    assert {id_: len(lines) for id_, lines in found.items()} == {family[0].id: 2, family[2].id: 1}


def test_a_missing_parent_is_named(registry: Registry, family: Family) -> None:
    ae, clf, run = family
    lost = publish(registry, make_run_recipe(classifier=clf.id, twin="clf-0123456789ab"))
    assert find_all(registry) == {lost.id: [f"{lost.id} depends on clf-0123456789ab, which is missing"]}
    registry.remove_all([ae.id])
    found = find_all(registry)
    assert set(found) == {clf.id, lost.id}
    assert ae.id in found[clf.id][0]
    assert find_problems(registry, run.id) == []


def test_a_pickle_whose_digest_fits_is_found_and_not_run(registry: Registry, family: Family, tmp_path: Path) -> None:
    canary, path = Canary(tmp_path / "canary"), locate(registry, family[0], WEIGHTS)
    np.savez(path, **{"0.0": np.array([canary], dtype=object)}, allow_pickle=True)
    seal(registry, family[0])
    (line,) = find_problems(registry, family[0].id)
    assert f"{path} holds no arrays" in line
    assert not canary.sings()


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.parametrize("content", BAD_NPZ.values(), ids=list(BAD_NPZ))
def test_what_cannot_be_read_is_found_although_its_digest_fits(
    registry: Registry, family: Family, content: bytes
) -> None:
    """Verify and the reader must agree: what is called sound can be used."""
    locate(registry, family[0], WEIGHTS).write_bytes(content)
    seal(registry, family[0])
    (line,) = find_problems(registry, family[0].id)
    assert line.isprintable()


def test_an_entry_of_the_first_schema_is_in_order(registry: Registry, family: Family) -> None:
    import json

    path = locate(registry, family[0])
    path.write_bytes(seal_first_schema(json.loads(path.read_bytes())))
    assert find_all(registry) == {}


# ---------------------------------------------------------------- references

BROKEN: dict[str, tuple[bytes, str]] = {
    "to what is gone": (b"ae-0123456789ab\n", "names ae-0123456789ab, which is not there"),
    "of another kind": (b"clf-0123456789ab\n", "names no entry of kind ae"),
    "of words": (b"hello\n", "names no entry"),
    "empty": (b"", "names no entry"),
    "binary": (b"\xff\xfe\x00", "names no entry"),
    "a path": (b"../../etc/passwd\n", "names no entry"),
    "two lines": (b"ae-0123456789ab\nae-0123456789ab\n", "names no entry"),
}


@pytest.mark.parametrize("name", ["best", "latest"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_name_without_an_entry_is_found(case: str, name: str, registry: Registry, family: Family) -> None:
    content, words = BROKEN[case]
    for alias in ("best", "latest"):
        (registry.tag if alias == "best" else lambda entry, _: registry.mark_latest(entry))(family[0], alias)
    path = registry.folders.refs / "ae" / name
    path.write_bytes(content)
    found = find_broken_references(registry)
    assert list(found) == [path]
    assert words in found[path]
    assert find_all(registry) == {}


def test_what_is_no_reference_at_all_is_found(registry: Registry, family: Family) -> None:
    registry.tag(family[0], "best")
    folder = registry.folders.refs / "ae"
    (folder / "draft.tmp").write_text("")
    (folder / "folder").mkdir()
    (folder / "-x").write_text(f"{family[0].id}\n")
    assert [path.name for path in find_broken_references(registry)] == ["-x", "draft.tmp", "folder"]
    assert list_names(folder) == ["-x", "best", "draft.tmp", "folder"]


def test_undefended_and_defended_are_verified_alike(registry: Registry) -> None:
    entry = publish(registry, make_classifier_recipe())
    flip(locate(registry, entry, WEIGHTS))
    assert set(find_all(registry)) == {entry.id}
