"""The registry: one rename publishes, references resolve, and whatever lies on the disk is read or refused."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advae.errors import AdvaeError, CorruptError, DiskError, NotFoundError, UsageError
from advae.identity import KINDS, STORE_SCHEMA
from advae.records import Manifest, entry_id
from advae.registry import LATEST, VERSIONED, Registry, check_tag, library_versions
from advae.registry.collection import find_garbage
from tests.entries import (
    BAD_NPZ,
    TINY,
    WEIGHTS,
    Canary,
    assert_refused,
    digest_parents,
    list_names,
    locate,
    make_arrays,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    publish,
    publish_family,
    read_tree,
    seal,
)
from tests.registry.faulty_disk import write_on_failing_disk


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "deep" / "home")


@pytest.fixture
def entry(registry: Registry) -> Manifest:
    return publish(registry)


# ---------------------------------------------------------------- publish and read


@pytest.mark.parametrize(
    "recipe", [make_autoencoder_recipe(), make_classifier_recipe(), make_run_recipe()], ids=lambda recipe: recipe.kind
)
def test_what_is_published_is_read_back_equal(registry: Registry, recipe: Any) -> None:
    published = publish(registry, recipe, source="/data/own.npz")
    fresh = Registry(registry.home)
    manifest = fresh.manifest(entry_id(recipe))
    assert manifest == published
    assert manifest.recipe == recipe
    assert manifest.metrics == make_metrics(recipe)
    assert manifest.source == "/data/own.npz"
    assert manifest.versions == library_versions()
    arrays = fresh.read_arrays(manifest, WEIGHTS)
    for name, expected in make_arrays()[WEIGHTS].items():
        np.testing.assert_array_equal(arrays[name], expected, strict=True)
    assert set(arrays) == set(make_arrays()[WEIGHTS])


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_layout_on_disk_is_as_documented_and_as_open_as_the_umask_says(registry: Registry, umask: int) -> None:
    before = os.umask(umask)
    try:
        entry = publish(registry)
        registry.tag(entry, "best")
    finally:
        os.umask(before)
    files = ["VERSION", f"entries/{entry.id}/manifest.json", f"entries/{entry.id}/{WEIGHTS}", "refs/ae/best"]
    assert sorted(name for name, content in read_tree(registry.home).items() if content is not None) == files
    assert (registry.home / "VERSION").read_text() == f"{STORE_SCHEMA}\n"
    assert (registry.home / "refs" / "ae" / "best").read_text() == f"{entry.id}\n"
    assert list_names(registry.folders.tmp) == []
    for path in registry.home.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask, path


def test_an_entry_of_no_arrays_and_one_of_several(registry: Registry) -> None:
    recipe = make_run_recipe()
    arrays = {"a.npz": {"x": np.zeros(0)}, "b.npz": {"y": np.array(True), "é/z": np.arange(3)}}
    several = registry.publish(recipe, make_metrics(recipe), arrays, parent_digests=digest_parents(registry, recipe))
    assert registry.read_arrays(several, "a.npz")["x"].shape == (0,)
    assert set(registry.read_arrays(several, "b.npz")) == {"y", "é/z"}
    assert registry.size(several) == sum(locate(registry, several, name).stat().st_size for name in arrays)
    none = registry.publish(make_autoencoder_recipe(), make_metrics(make_autoencoder_recipe()), {})
    assert registry.size(registry.manifest(none.id)) == 0


@pytest.mark.parametrize("array", [np.array([{}], dtype=object), np.array(["text"]), np.array([1j])])
def test_only_numbers_are_published(registry: Registry, array: np.ndarray[Any, Any]) -> None:
    recipe = make_autoencoder_recipe()
    with pytest.raises(TypeError, match="never read back"):
        registry.publish(recipe, make_metrics(recipe), {WEIGHTS: {"a": array}})
    assert list_names(registry.folders.entries) == list_names(registry.folders.tmp) == []


def test_entries_are_listed_newest_first_by_kind_and_nothing_else_is(registry: Registry) -> None:
    family = publish_family(registry)
    for name in ("notes", ".hidden", "ae-123", f"{family[0].id}.bak", "clf-ABCDEF012345"):
        (registry.folders.entries / name).mkdir()
    (registry.folders.tmp / f"{family[0].id}-killed").mkdir()
    assert registry.scan() == (list(reversed(family)), {})
    assert registry.ids() == sorted(manifest.id for manifest in family)
    for kind, manifest in zip(KINDS, family, strict=True):
        assert registry.ids(kind) == [manifest.id]
        assert registry.entries(kind) == [manifest]


@pytest.mark.parametrize("home", ["nothing", "deep/nothing"])
def test_a_home_that_is_not_there_is_empty_and_reading_does_not_make_it(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_text("mine")
    registry = Registry(tmp_path / home)
    assert (registry.ids(), registry.scan(), registry.tags()) == ([], ([], {}), {})
    assert registry.find("ae-000000000000") is registry.latest("clf") is None
    for read in (registry.manifest, registry.resolve, registry.resolve_id, registry.untag, registry.remove):
        for ref in ("best", LATEST, "ae-000000000000"):
            with pytest.raises(NotFoundError, match=str(registry.home)) as caught:
                read(ref)
            assert caught.value.exit_code == 3
    assert list_names(tmp_path) == ["file"]


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_is_a_file_is_not_an_empty_one(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DiskError, match="Not a directory"):
        Registry(tmp_path / home).scan()


def test_reading_changes_nothing(registry: Registry) -> None:
    ae, _, _ = publish_family(registry)
    registry.tag(ae, "best")
    before = read_tree(registry.home)
    assert (registry.scan()[1], registry.tags(), registry.latest("ae")) == ({}, {ae.id: ["best"]}, None)
    assert registry.read_arrays(registry.resolve("best"), WEIGHTS)
    assert read_tree(registry.home) == before


def test_names_from_the_disk_of_others_are_stored(registry: Registry) -> None:
    """A dataset's name comes from a file's, which need not be UTF-8."""
    recipe = make_autoencoder_recipe(dataset=TINY.model_copy(update={"name": "b\udcff \u2028 <x>"}))
    assert registry.manifest(publish(registry, recipe).id).recipe == recipe


# ---------------------------------------------------------------- one rename


def read_files(registry: Registry) -> dict[str, bytes | None]:
    """Return the files of entries and references."""
    return {name: content for name, content in read_tree(registry.home).items() if content and name != "VERSION"}


OTHER = make_autoencoder_recipe(seed=1)
WRITES: dict[str, Callable[[Registry, Manifest], Any]] = {
    "check": lambda registry, entry: registry.check_writable(),
    "publish": lambda registry, entry: publish(registry),
    "publish another": lambda registry, entry: publish(registry, OTHER),
    "replace": lambda registry, entry: publish(registry, replace=True),
    "tag": lambda registry, entry: registry.tag(entry, "best"),
    "latest": lambda registry, entry: registry.mark_latest(entry),
    "untag": lambda registry, entry: registry.untag("old"),
    "remove": lambda registry, entry: registry.remove(entry.id),
}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("name", [*WRITES, "check a new home", "publish in a new home"])
def test_on_a_failing_disk_no_partial_entry_remains(tmp_path: Path, name: str, code: int) -> None:
    what, new, _ = name.partition(" in a new home" if " in " in name else " a new home")
    stranger, failed = publish(Registry(tmp_path / "elsewhere")), []
    for at in range(60):
        registry = Registry(tmp_path / f"{at}")
        if not new:
            registry.tag(publish(registry), "old")
        before = read_files(registry)
        disk, error = write_on_failing_disk(partial(WRITES[what], registry, stranger), at, code)
        if error is None:
            break
        failed.append(disk.failed)
        assert error.exit_code == 5
        assert str(error).startswith(f"cannot write to {registry.home}: {os.strerror(code)}")
        assert list_names(registry.folders.tmp) == []
        # Only a folder's own fsync comes after a rename: what was written is there then, and whole.
        assert read_files(registry) == before or disk.failed == "fsync" or what == "remove"
        gone = not new and stranger.id not in registry.ids()
        assert not gone or (what == "remove" and registry.tags() == {})
        assert all(registry.read_arrays(registry.manifest(id_), WEIGHTS) for id_ in registry.ids())
        if what != "untag" and not gone:
            WRITES[what](registry, stranger)  # The disk has room again.
    assert not disk.failed
    assert failed or what == "untag"
    assert "savez" in failed or "publish" not in name


@pytest.mark.timed
def test_after_an_interrupted_publish_the_old_entry_is_there(
    registry: Registry, entry: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_tree(registry.home)
    monkeypatch.setattr(np, "savez", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    for replace in (False, True):
        with pytest.raises(KeyboardInterrupt):
            publish(registry, replace=replace)
        assert read_tree(registry.home) == before


def test_an_entry_is_invisible_until_it_is_whole_and_synced(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, fsync = os.rename, os.fsync
    seen: list[Any] = []
    synced: set[int] = set()

    def watch_fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def watch_rename(source: Any, target: Any) -> None:
        files = sorted(Path(source).iterdir())
        seen.append((registry.scan(), [file.name for file in files], {file.stat().st_ino for file in files} <= synced))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "rename", watch_rename)
    entry = publish(registry)
    assert seen == [(([], {}), ["manifest.json", WEIGHTS], True)]
    assert registry.ids() == [entry.id]


def test_an_equal_entry_is_kept_unless_it_is_to_be_replaced(registry: Registry, entry: Manifest) -> None:
    before = read_tree(registry.home)
    assert publish(registry) == entry
    assert read_tree(registry.home) == before
    recipe = make_autoencoder_recipe()
    replaced = registry.publish(recipe, make_metrics(recipe), {WEIGHTS: {"0.0": np.full(3, 7.0)}}, replace=True)
    assert replaced.created > entry.created
    assert registry.entries() == [replaced]
    assert registry.read_arrays(replaced, WEIGHTS)["0.0"].tolist() == [7.0] * 3
    assert list_names(registry.folders.tmp) == []


def test_replace_repairs_whatever_is_there(registry: Registry, entry: Manifest) -> None:
    folder = registry.folders.entries / entry.id
    for spoil in (
        lambda: (folder / "manifest.json").write_bytes(b"{"),
        lambda: (folder / WEIGHTS).unlink(),
        lambda: shutil.rmtree(folder),
        lambda: (shutil.rmtree(folder), folder.write_text("a file")),
    ):
        spoil()
        repaired = publish(registry, replace=True)
        assert registry.scan() == ([repaired], {})
        assert registry.read_arrays(repaired, WEIGHTS)
        assert list_names(registry.folders.tmp) == []


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("recipes", [1, 16])
def test_many_publish_at_once(registry: Registry, recipes: int, replace: bool) -> None:
    asked = [make_autoencoder_recipe(seed=i % recipes) for i in range(16)]
    for _ in range(5 if replace else 1):
        with ThreadPoolExecutor(8) as pool:
            published = list(pool.map(lambda recipe: publish(registry, recipe, replace=replace), asked))
    found, corrupt = registry.scan()
    assert not corrupt
    assert len(found) == recipes
    assert all(manifest in published and registry.read_arrays(manifest, WEIGHTS) for manifest in found)
    assert replace or all(manifest in found for manifest in published)
    assert list_names(registry.folders.tmp) == []


@pytest.mark.parametrize("home", ["file", "file/home", "file/a/b/home"])
@pytest.mark.parametrize("name", ["check", "publish", "replace", "tag", "latest"])
def test_a_home_that_is_a_file_or_below_one_is_a_disk_error(tmp_path: Path, name: str, home: str) -> None:
    (tmp_path / "file").write_text("mine")
    stranger = publish(Registry(tmp_path / "elsewhere"))
    with pytest.raises(DiskError, match=f"^(cannot write to )?{tmp_path / home}.*: .+$"):
        WRITES[name](Registry(tmp_path / home), stranger)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_home_that_cannot_be_listed_is_a_disk_error(
    registry: Registry, entry: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    for read in (registry.ids, registry.scan, lambda: registry.resolve("ae-12")):
        with pytest.raises(DiskError, match="Permission denied"):
            read()


# ---------------------------------------------------------------- corruption


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


# ---------------------------------------------------------------- references


def test_an_id_and_its_prefixes_name_an_entry(registry: Registry, entry: Manifest) -> None:
    publish(registry, make_classifier_recipe())
    digits = entry.id.removeprefix("ae-")
    for ref in (entry.id, entry.id[:-1], f"ae-{digits[:2]}", f"ae-{digits[0]}", digits, digits[:4]):
        assert registry.resolve(ref) == registry.resolve(ref, "ae") == entry, ref
        assert registry.resolve_id(ref) == entry.id


def test_a_prefix_of_several_is_ambiguous(registry: Registry) -> None:
    by_start: dict[str, list[Any]] = {}
    for recipe in (make_autoencoder_recipe(seed=seed) for seed in range(100)):
        by_start.setdefault(entry_id(recipe)[:5], []).append(recipe)
    pair = next(pair for pair in by_start.values() if len({entry_id(recipe)[5] for recipe in pair}) > 1)
    one, two = publish(registry, pair[0]), publish(registry, pair[-1])
    for ref in (one.id[:5], one.id[3:5]):
        with pytest.raises(NotFoundError, match=f"name one of {min(one.id, two.id)}, {max(one.id, two.id)}"):
            registry.resolve(ref)
    for manifest in (one, two):
        assert registry.resolve(manifest.id[:6]) == registry.resolve(manifest.id[3:6]) == manifest


def test_a_kind_narrows_what_a_reference_may_be(registry: Registry) -> None:
    family = publish_family(registry)
    for kind, manifest in zip(KINDS, family, strict=True):
        registry.tag(manifest, "best")
        assert registry.resolve("best", kind) == manifest
        for other in set(KINDS) - {kind}:
            with pytest.raises(NotFoundError, match=f"its kind is {kind}, not {other}"):
                registry.resolve(manifest.id, other)
    with pytest.raises(NotFoundError, match="ambiguous"):
        registry.resolve("best")


def test_an_error_for_an_unknown_reference_tells_what_to_do(registry: Registry, entry: Manifest) -> None:
    registry.tag(entry, "best")
    nothing = ["", entry.id[0], entry.id[3], "best?", "../../passwd", "ae-zz", "*", "a\0b", "x" * 5000, "best\n"]
    for ref in nothing:
        with pytest.raises(NotFoundError, match=r"no classifier .*`advae registry ls`.*`advae train-clf`") as caught:
            registry.resolve(ref, "clf")
        assert "\n" not in str(caught.value)
        with pytest.raises(NotFoundError, match="no entry"):
            registry.resolve(ref)


def test_latest_is_the_marked_entry_of_each_kind_and_no_tag(registry: Registry, entry: Manifest) -> None:
    clf = publish(registry, make_classifier_recipe())
    for marked in (publish(registry, OTHER), entry):
        registry.mark_latest(marked)
        assert registry.latest("ae") == registry.resolve(LATEST, "ae") == registry.resolve(LATEST) == marked
    assert registry.latest("clf") is None
    registry.mark_latest(clf)
    assert registry.resolve(LATEST, "clf") == clf
    for use in (registry.resolve, registry.untag):
        with pytest.raises(NotFoundError):
            use(LATEST)
    assert registry.tags() == {}
    shutil.rmtree(registry.folders.entries / entry.id)
    assert registry.latest("ae") is None
    with pytest.raises(NotFoundError):
        registry.resolve(LATEST, "ae")


def test_a_damaged_reference_names_no_entry(registry: Registry, entry: Manifest) -> None:
    for content in (b"", b"\xff\xfe", b"../../x", b"ae-xyz", b"ae-000000000000", b"a\0", b"x" * 100_000):
        registry.tag(entry, "best")
        registry.mark_latest(entry)
        for name in ("best", LATEST):
            (registry.home / "refs" / "ae" / name).write_bytes(content)
        with pytest.raises(NotFoundError):
            registry.resolve("best")
        assert registry.latest("ae") is None
        assert set(registry.tags()) | set(registry.untag("best")) <= {"ae-000000000000"}


def test_a_tag_names_an_entry_moves_and_goes(registry: Registry) -> None:
    ae, clf, run = publish_family(registry)
    other = publish(registry, OTHER)
    for manifest, alias in ((ae, "best"), (ae, "a.second-one_2"), (clf, "best"), (run, "third")):
        registry.tag(manifest, alias)
    assert registry.tags() == {ae.id: ["a.second-one_2", "best"], clf.id: ["best"], run.id: ["third"]}
    registry.tag(other, "best")
    assert registry.resolve("best", "ae") == other
    assert registry.untag("best") == [other.id, clf.id]
    assert registry.tags() == {ae.id: ["a.second-one_2"], run.id: ["third"]}
    with pytest.raises(NotFoundError, match="no tag 'best'"):
        registry.untag("best")
    assert len(registry.ids()) == 4


def test_a_name_that_can_be_a_tag(registry: Registry, entry: Manifest) -> None:
    for alias in ("a", "7", "v1.0", "A_b-c", "x" * 64, "ae-0123", "ae-0123456789abc"):
        registry.tag(entry, alias)
        assert registry.resolve(alias) == entry
        assert registry.untag(alias) == [entry.id]


def test_a_tag_that_begins_another_id_is_refused(registry: Registry, entry: Manifest) -> None:
    other = publish(registry, make_autoencoder_recipe(seed=7))
    digits = other.id.partition("-")[2]
    for alias in (digits[:6], f"ae-{digits[:3]}"):
        with pytest.raises(UsageError, match=f"bad tag '{alias}': it is the beginning of an id, {other.id}; choose"):
            registry.tag(entry, alias)
    assert registry.tags() == {}
    registry.tag(other, digits[:6])
    assert registry.resolve(digits[:6]) == other


PATHS = ("", ".", "..", "../x", "/etc/x", "a/b", "a\\b", ".hidden", "-q", "_x")
IDS = (LATEST, "ae-0123456789ab", "clf-0123456789ab", "run-0123456789ab")


@pytest.mark.parametrize("alias", [*PATHS, *IDS, " ", "a b", "a\n", "a\0", "é", "٣", "x" * 65])
def test_a_name_that_cannot_be_a_tag_is_refused(registry: Registry, entry: Manifest, alias: str) -> None:
    before = read_tree(registry.home.parent)
    for use in (lambda: registry.tag(entry, alias), lambda: check_tag(alias)):
        with pytest.raises(UsageError, match="bad tag") as caught:
            use()
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    with pytest.raises(NotFoundError):
        registry.untag(alias)
    assert read_tree(registry.home.parent) == before


def test_remove_takes_the_entry_and_all_its_references(registry: Registry, entry: Manifest) -> None:
    other = publish(registry, OTHER)
    for manifest, alias in ((entry, "one"), (entry, "two"), (other, "three")):
        registry.tag(manifest, alias)
    registry.mark_latest(entry)
    registry.remove(entry.id)
    assert (registry.entries(), registry.tags(), registry.latest("ae")) == ([other], {other.id: ["three"]}, None)
    assert list_names(registry.folders.tmp) == []
    with pytest.raises(NotFoundError):
        registry.remove(entry.id)
    assert publish(registry).id == entry.id


def test_remove_is_refused_while_another_entry_depends_on_it(registry: Registry) -> None:
    ae, clf, run = publish_family(registry)
    undefended = publish(registry, make_classifier_recipe(seed=5))
    second = publish(registry, make_run_recipe(classifier=clf.id, twin=undefended.id))
    registry.tag(ae, "best")
    before = read_tree(registry.home)
    for needed, dependants in ((ae, [clf]), (clf, [run, second]), (undefended, [second])):
        with pytest.raises(UsageError) as caught:
            registry.remove(needed.id)
        assert all(dependant.id in str(caught.value) for dependant in dependants)
    assert read_tree(registry.home) == before
    for manifest in (second, run, clf, undefended, ae):
        registry.remove(manifest.id)
    assert (registry.ids(), registry.tags()) == ([], {})


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("version", "error", "line"),
    [(version, CorruptError, "upgrade advae") for version in (b"9", b"10", b"9" * 5000)]
    + [
        (version, DiskError, "did not write its VERSION; name an empty folder")
        for version in (b"two", b"-1", b"1.5", b"", b"\xff", "²".encode(), "١".encode(), b"2.17.0\nmine")
    ],
    ids=repr,
)
def test_a_home_of_a_newer_schema_or_a_foreign_version_is_refused_in_one_line_and_not_changed(
    registry: Registry, entry: Manifest, version: bytes, error: type[AdvaeError], line: str
) -> None:
    registry.tag(entry, "old")
    (registry.home / "VERSION").write_bytes(version + b"\n")
    before = read_tree(registry.home)
    reads = {"manifest": lambda *_: registry.manifest(entry.id), "resolve": lambda *_: registry.resolve("old")}
    uses = WRITES | reads | {"adopt": lambda *_: registry.folders.adopt(), "gc": lambda *_: find_garbage(registry)}
    for name, use in uses.items():
        with pytest.raises(error, match=line) as caught:
            use(registry, entry)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400
        assert read_tree(registry.home) == before, name


def test_a_home_without_a_version_is_read(registry: Registry, entry: Manifest) -> None:
    (registry.home / "VERSION").unlink()
    assert registry.manifest(entry.id) == entry
    registry.tag(entry, "best")
    assert (registry.home / "VERSION").read_text() == f"{STORE_SCHEMA}\n"


def test_versions_name_what_decides_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(library_versions()) == {"python", *VERSIONED}
    assert all(library_versions().values())
    monkeypatch.setattr("advae.registry.publishing.VERSIONED", ("no-such-library",))
    assert library_versions()["no-such-library"] == "not installed"
