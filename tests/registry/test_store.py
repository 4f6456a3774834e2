"""The registry: entries are published by one rename, read back, and whole after any failure."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import AdvaeError, CorruptError, DiskError, NotFoundError
from advae.identity import KINDS, STORE_SCHEMA
from advae.records import Manifest, entry_id
from advae.registry import LATEST, VERSIONED, Registry, library_versions
from advae.registry.collection import find_garbage
from tests.entries import (
    TINY,
    WEIGHTS,
    digest_parents,
    list_names,
    locate,
    make_arrays,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    publish,
    publish_each_kind,
    publish_family,
    read_tree,
)
from tests.registry.faulty_disk import write_on_failing_disk

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
    family = publish_each_kind(registry)
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
