"""Garbage: what a name or a run reaches stays, and so does what is being made; the rest goes, dependants first."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError, DiskError, UsageError
from advae.records import Manifest, Recipe, entry_id
from advae.registry import Registry, collection, folders, locks
from advae.registry.collection import DEAD_AFTER, find_garbage, remove_garbage
from tests.entries import (
    list_names,
    locate,
    make_autoencoder_recipe,
    make_certificate_recipe,
    make_classifier_recipe,
    make_code_attack_recipe,
    make_run_recipe,
    publish,
    publish_each_kind,
    publish_family,
    read_tree,
    seal_first_schema,
)


def collect(registry: Registry) -> list[str]:
    """Collect and return what has gone."""
    before = registry.ids()
    remove_garbage(registry, find_garbage(registry, grace=False))
    return [id_ for id_ in before if id_ not in registry.ids()]


def publish_pair(registry: Registry, seed: int) -> tuple[Manifest, Manifest]:
    ae = publish(registry, make_autoencoder_recipe(seed=seed))
    return ae, publish(registry, make_classifier_recipe(autoencoder=ae.id, seed=seed))


# ---------------------------------------------------------------- what stays


def test_an_empty_home_has_no_garbage_and_is_not_made(registry: Registry) -> None:
    assert find_garbage(registry, grace=False).entries == ()
    remove_garbage(registry, find_garbage(registry, grace=False))
    assert not registry.home.exists()


def test_ancestors_of_a_run_are_kept(registry: Registry) -> None:
    family = publish_family(registry)
    undefended = publish(registry, make_classifier_recipe())
    run = publish(registry, make_run_recipe(classifier=family[1].id, twin=undefended.id))
    lonely = publish_pair(registry, 7)
    assert set(collect(registry)) == {entry.id for entry in lonely}
    assert set(registry.ids()) == {*(entry.id for entry in family), undefended.id, run.id}


@pytest.mark.parametrize("named", [0, 1])
@pytest.mark.parametrize("name", ["tag", "latest"])
def test_named_entries_and_their_ancestors_are_kept(named: int, name: str, registry: Registry) -> None:
    pair = publish_pair(registry, 1)
    others = publish_pair(registry, 2)
    if name == "tag":
        registry.tag(pair[named], "best")
    else:
        registry.mark_latest(pair[named])
    kept = {entry.id for entry in pair[: named + 1]}
    assert set(collect(registry)) == {entry.id for entry in (*pair, *others)} - kept
    assert set(registry.ids()) == kept
    assert set(registry.tags()) | {entry.id for entry in (registry.latest("ae"), registry.latest("clf")) if entry}


def test_a_name_without_an_entry_is_ignored(registry: Registry) -> None:
    entry = publish(registry)
    registry.tag(entry, "best")
    (registry.folders.refs / "ae" / "best").write_text("ae-000000000000\n")
    (registry.folders.refs / "ae" / "other").write_bytes(b"\xff")
    assert collect(registry) == [entry.id]


def test_an_entry_of_the_first_schema_reaches_its_parents(registry: Registry) -> None:
    import json

    ae, clf = publish_pair(registry, 1)
    registry.tag(clf, "best")
    path = locate(registry, clf)
    path.write_bytes(seal_first_schema(json.loads(path.read_bytes())))
    assert collect(registry) == []
    assert set(registry.ids()) == {ae.id, clf.id}


@pytest.mark.parametrize("make", [make_run_recipe, make_certificate_recipe])
def test_a_result_without_its_classifier_is_kept(registry: Registry, make: Callable[..., Recipe]) -> None:
    result = publish(registry, make(classifier="clf-0123456789ab"))
    assert collect(registry) == []
    assert registry.ids() == [result.id]


def test_an_attack_on_a_code_is_kept_and_keeps_its_autoencoder(registry: Registry) -> None:
    kept, alone = publish(registry), publish(registry, make_code_attack_recipe(autoencoder="ae-0123456789ab"))
    attack = publish(registry, make_code_attack_recipe(autoencoder=kept.id))
    assert collect(registry) == []
    assert set(registry.ids()) == {kept.id, alone.id, attack.id}


def test_a_certificate_keeps_its_pipeline(registry: Registry) -> None:
    kept = publish_each_kind(registry)
    registry.remove(kept[2].id)
    assert collect(registry) == []
    assert registry.ids() == sorted(entry.id for entry in kept if entry.kind != "run")


# ---------------------------------------------------------------- what is being made


@contextmanager
def make_in_thread(registry: Registry, id_: str, parents: tuple[str, ...]) -> Iterator[None]:
    """Hold the lock of an entry in another thread meanwhile, as a command that makes it does."""
    held, done = threading.Event(), threading.Event()

    def make() -> None:
        with locks.hold(registry.folders, id_, parents, lambda line: None):
            held.set()
            done.wait(30)

    worker = threading.Thread(target=make)
    worker.start()
    assert held.wait(30)
    try:
        yield
    finally:
        done.set()
        worker.join(30)


def _hold_for_ever(home: Path, id_: str, parents: tuple[str, ...], held: Any) -> None:
    with locks.hold(Registry(home).folders, id_, parents, lambda line: None):
        held.set()
        time.sleep(600)


@contextmanager
def make_in_process(registry: Registry, id_: str, parents: tuple[str, ...]) -> Iterator[None]:
    """Hold the lock of an entry in another process, and kill it at the end."""
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold_for_ever, args=(registry.home, id_, parents, held), daemon=True)
    process.start()
    try:
        assert held.wait(60)
        yield
    finally:
        process.kill()
        process.join(30)


@pytest.mark.parametrize("make", [make_in_thread, make_in_process], ids=["thread", "process"])
def test_entries_in_the_making_and_their_parents_are_kept(make: Any, registry: Registry) -> None:
    ae, _ = publish_pair(registry, 1)
    recipe = make_classifier_recipe(autoencoder=ae.id, seed=99)
    with make(registry, entry_id(recipe), recipe.parents):
        lock = registry.folders.locks / f"{entry_id(recipe)}.lock"
        signed, before = lock.read_bytes(), read_tree(registry.home / "entries")
        for _ in range(2):
            garbage = find_garbage(registry, grace=False)
            assert ae.id not in garbage.entries
            assert len(garbage.entries) == 1
        assert lock.read_bytes() == signed
        assert read_tree(registry.home / "entries") == before
        remove_garbage(registry, garbage)
        assert registry.ids() == [ae.id]
    # Who made it is gone, however it went.
    assert find_garbage(registry, grace=False).entries == (ae.id,)


def test_an_entry_that_is_computed_again_is_kept(registry: Registry) -> None:
    entry = publish(registry)
    with make_in_thread(registry, entry.id, ()):
        assert find_garbage(registry, grace=False).entries == ()
    assert find_garbage(registry, grace=False).entries == (entry.id,)


def test_a_lock_that_is_not_held_protects_nothing(registry: Registry) -> None:
    ae, _ = publish_pair(registry, 1)
    for content in (b"", b'{"pid": 1, "host": "x", "since": "x", "parents": ["%s"]}' % ae.id.encode(), b"\xff"):
        (registry.folders.locks / "clf-0123456789ab.lock").write_bytes(content)
        assert ae.id in find_garbage(registry, grace=False).entries


def test_entries_that_a_running_command_needs_are_kept_until_it_ends(registry: Registry) -> None:
    ae, clf = publish_pair(registry, 1)
    other = publish(registry)
    with registry.lease([clf.id, "run-000000000000"]):
        assert find_garbage(registry, grace=False).entries == (other.id,)
        for needed in (ae, clf):
            with pytest.raises(UsageError, match=rf"is needed by a running command \(process {os.getpid()} on .*\)$"):
                registry.remove(needed.id, recursive=True)
        with registry.lease([other.id]):
            assert collect(registry) == []
        # Made meanwhile, as a surrogate is.
        assert collect(registry) == [other.id]
    assert list_names(registry.folders.locks) == []
    assert collect(registry) == sorted((ae.id, clf.id))


def _lease_for_ever(home: Path, ids: list[str], held: Any) -> None:
    with Registry(home).lease(ids):
        held.set()
        time.sleep(600)


def test_a_lease_dies_with_its_process(registry: Registry) -> None:
    many = [publish(registry, make_autoencoder_recipe(seed=seed)).id for seed in range(3)]
    # More than fit into a lock.
    named = [*many, *(f"run-{number:012x}" for number in range(5000))]
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_lease_for_ever, args=(registry.home, named, held), daemon=True)
    process.start()
    try:
        assert held.wait(60)
        assert collect(registry) == []
    finally:
        process.kill()
        process.join(30)
    (lock,) = registry.folders.locks.iterdir()
    assert set(collect(registry)) == set(many)
    assert lock.exists()
    os.utime(lock, (0, 0))
    collect(registry)
    assert not lock.exists()


def test_where_nothing_can_be_written_a_lease_does_not_fail(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(registry)
    monkeypatch.setattr(locks, "hold", lambda *_: pytest.fail("held"))
    monkeypatch.setattr(folders, "make_synced_folder", lambda folder: os.open("/proc/none", os.O_CREAT | os.O_WRONLY))
    with registry.lease(["ae-000000000000"]):
        pass


# ---------------------------------------------------------------- what came a moment ago


@pytest.fixture
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gc look a day and an hour from now: the time at which a file came to a disk cannot be set."""
    now = time.time
    monkeypatch.setattr(collection.time, "time", lambda: now() + DEAD_AFTER + 3600)


def test_entries_younger_than_a_day_are_kept_with_their_ancestors(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ae, clf = publish_pair(registry, 1)
    old = publish(registry, make_autoencoder_recipe(seed=2))
    lstat = Path.lstat

    def age(path: Path) -> Any:
        found = lstat(path)
        return os.stat_result(found, {"st_ctime": 0.0}) if path.name in (ae.id, old.id) else found

    monkeypatch.setattr(Path, "lstat", age)
    # Whatever it says of itself: an import brings old dates.
    os.utime(registry.folders.entries / clf.id, (0, 0))
    garbage = find_garbage(registry)
    assert (garbage.entries, garbage.young) == ((old.id,), 2)
    remove_garbage(registry, garbage)
    assert registry.ids() == [ae.id, clf.id]


def test_entries_of_yesterday_are_removed_and_those_of_the_future_kept(
    registry: Registry, tomorrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ae, clf = publish_pair(registry, 1)
    assert (find_garbage(registry).entries, find_garbage(registry).young) == ((clf.id, ae.id), 0)
    monkeypatch.setattr(collection.time, "time", lambda: 0.0)
    assert (find_garbage(registry).entries, find_garbage(registry).young) == ((), 2)


def test_an_entry_replaced_after_it_was_found_is_kept(registry: Registry) -> None:
    ae, clf = publish_pair(registry, 1)
    garbage = find_garbage(registry, grace=False)
    time.sleep(0.01)
    publish(registry, make_autoencoder_recipe(seed=1), replace=True)
    remove_garbage(registry, garbage)
    assert registry.ids() == [ae.id]
    assert clf.id in garbage.entries


# ---------------------------------------------------------------- what goes


def test_dependants_go_first(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is stopped, nothing is left that rests on what has gone."""
    for seed in range(4):
        ae, _ = publish_pair(registry, seed)
        publish(registry, make_classifier_recipe(autoencoder=ae.id, seed=seed + 50))
    garbage = find_garbage(registry, grace=False)
    assert len(garbage.entries) == 12
    rename, seen = os.rename, []

    def watch(source: Any, target: Any) -> None:
        rename(source, target)
        if Path(source).parent == registry.folders.entries:
            there = set(registry.ids())
            seen.append(all(parent in there for entry in registry.entries() for parent in entry.parents))

    monkeypatch.setattr(os, "rename", watch)
    remove_garbage(registry, garbage)
    assert seen == [True] * 12
    assert registry.ids() == list_names(registry.folders.tmp) == []


def test_an_entry_named_after_it_was_found_is_kept(registry: Registry) -> None:
    """Between the look and the removal another command may have come to need it."""
    pairs = [publish_pair(registry, seed) for seed in range(4)]
    garbage = find_garbage(registry, grace=False)
    assert len(garbage.entries) == 8
    registry.tag(pairs[0][0], "best")
    registry.mark_latest(pairs[1][0])
    run = publish(registry, make_run_recipe(classifier=pairs[2][1].id))
    with make_in_thread(registry, "clf-0123456789ab", (pairs[3][0].id,)):
        remove_garbage(registry, garbage)
    kept = {pairs[0][0].id, pairs[1][0].id, pairs[2][1].id, pairs[2][0].id, pairs[3][0].id, run.id}
    assert set(registry.ids()) == kept
    assert registry.resolve("best") == pairs[0][0]


def test_an_entry_removed_meanwhile_is_no_error(registry: Registry) -> None:
    ae, clf = publish_pair(registry, 1)
    dead = registry.folders.tmp / "publish-0000000000000000"
    dead.mkdir()
    os.utime(dead, (0, 0))
    garbage = find_garbage(registry, grace=False)
    registry.remove(clf.id)
    dead.rmdir()
    remove_garbage(registry, garbage)
    assert registry.ids() == []
    assert ae.id in garbage.entries


def test_an_unreadable_entry_stops_it(registry: Registry) -> None:
    ae, clf = publish_pair(registry, 1)
    lonely = publish(registry)
    registry.tag(clf, "best")
    locate(registry, clf).write_bytes(b"{}")
    before = read_tree(registry.home)
    with pytest.raises(CorruptError, match=rf"{clf.id}.*still needed.*advae registry rm") as caught:
        find_garbage(registry, grace=False)
    assert caught.value.exit_code == 4
    assert read_tree(registry.home) == before
    registry.remove(clf.id)
    assert set(collect(registry)) == {ae.id, lonely.id}


def test_finding_garbage_changes_nothing(registry: Registry) -> None:
    publish_family(registry)
    publish_pair(registry, 3)
    for name in ("tmp/publish-0000000000000000", "locks/clf-0123456789ab.lock"):
        path = registry.home / name
        path.write_bytes(b"old")
        os.utime(path, (0, 0))
    before = {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in registry.home.rglob("*")}
    content = read_tree(registry.home)
    first = find_garbage(registry, grace=False)
    assert find_garbage(registry, grace=False) == first
    assert len(first.drafts) == len(first.locks) == 1
    assert read_tree(registry.home) == content
    assert {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in registry.home.rglob("*")} == before


# ---------------------------------------------------------------- drafts and locks

AGES = {"just now": 0.0, "an hour": 3600.0, "a minute less than a day": DEAD_AFTER - 60, "in the future": -1e6}


def put_draft(registry: Registry, name: str, age: float) -> Path:
    """Leave a draft as a killed process does, of an age in seconds."""
    registry.folders.tmp.mkdir(parents=True, exist_ok=True)
    path = registry.folders.tmp / name
    (path / "entry").mkdir(parents=True)
    (path / "entry" / "weights.npz").write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_young_draft_is_kept_and_an_old_one_removed(registry: Registry) -> None:
    young = [put_draft(registry, f"publish-{n:016x}", age) for n, age in enumerate(AGES.values())]
    old = [put_draft(registry, f"import-{n:016x}", age) for n, age in enumerate((DEAD_AFTER + 60, 1e9))]
    single = registry.folders.tmp / "version-0000000000000000"
    single.write_bytes(b"2\n")
    os.utime(single, (0, 0))
    garbage = find_garbage(registry, grace=False)
    assert set(garbage.drafts) == {*old, single}
    remove_garbage(registry, garbage)
    assert list_names(registry.folders.tmp) == sorted(path.name for path in young)


def test_foreign_files_in_the_registrys_folders_are_kept(registry: Registry) -> None:
    """As after ``--home .`` in a project, or ``--home /``, whose tmp/ is everybody's."""
    publish(registry)
    names = ["notes.txt", "publish", "publish-0", "ssh-XXXXabcd", "report-2024", "Publish-0123456789abcdef"]
    names += ["old-0123456789abcdef", "notes-0123456789abcdef-thesis"]
    for name in names:
        put_draft(registry, name, 1e9)
    assert find_garbage(registry, grace=False).drafts == ()
    collect(registry)
    assert list_names(registry.folders.tmp) == sorted(names)


def test_every_name_that_is_given_to_a_draft_is_known(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is made in tmp/ is left there for ever where its process is killed."""
    kept: list[str] = []
    monkeypatch.setattr(folders, "remove_tree", lambda path: kept.append(path.name))
    entry = publish(registry)
    registry.tag(entry, "best")
    registry.checkpoint(entry.id).save({"x": np.zeros(1)})
    registry.remove(entry.id)
    kept += list_names(registry.folders.tmp)
    assert len(kept) > 3
    assert [name for name in kept if not folders.DRAFT.fullmatch(name)] == []


def test_a_link_among_the_drafts_is_not_followed(registry: Registry, tmp_path: Path) -> None:
    outside = tmp_path / "mine"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "file").write_text("mine")
    publish(registry)
    link = registry.folders.tmp / "publish-0000000000000000"
    link.symlink_to(outside)
    os.utime(link, (0, 0), follow_symlinks=False)
    (put_draft(registry, "publish-0000000000000001", 1e9) / "out").symlink_to(outside)
    os.utime(registry.folders.tmp / "publish-0000000000000001", (0, 0))
    collect(registry)
    assert list_names(registry.folders.tmp) == []
    assert (outside / "deep" / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["tmp", "entries", "locks", "checkpoints", "refs", "refs/ae"])
def test_nothing_is_removed_through_a_link(name: str, registry: Registry, tmp_path: Path) -> None:
    entry = publish(registry)
    registry.tag(entry, "best")
    registry.checkpoint(entry.id).save({"x": np.zeros(1)})
    put_draft(registry, "publish-0000000000000000", 1e9)
    far = tmp_path / "far"
    (registry.home / name).rename(far)
    (registry.home / name).symlink_to(far)
    before = read_tree(tmp_path)
    with pytest.raises(DiskError, match=rf"^{registry.home / name} is a link, through which nothing is removed"):
        find_garbage(registry, grace=False)
    assert read_tree(tmp_path) == before


def test_an_abandoned_probe_is_removed_like_a_draft(registry: Registry) -> None:
    entry = publish(registry)
    registry.mark_latest(entry)
    places = [registry.folders.entries, registry.folders.refs, registry.folders.refs / "ae"]
    for place in places:
        for name in (".check-0000000000000000", ".check-mine", "check-0000000000000000"):
            (place / name).mkdir()
            os.utime(place / name, (0, 0))
    assert registry.ids() == [entry.id]
    assert registry.resolve("latest", "ae") == entry
    garbage = find_garbage(registry)
    assert garbage.drafts == tuple(place / ".check-0000000000000000" for place in places)
    told: list[Any] = []
    remove_garbage(registry, garbage, told.append)
    assert tuple(told) == garbage.drafts


@pytest.mark.parametrize("at", ["find", "rename"])
def test_an_interrupted_removal_puts_back_entries_that_were_not_checked(
    at: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [publish(registry, make_autoencoder_recipe(seed=seed)).id for seed in range(3)]
    rename = os.rename

    def fail() -> set[str]:
        raise KeyboardInterrupt

    def stop(source: Any, target: Any) -> None:
        if Path(source).name == ids[1] and "tmp" in str(target):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", stop if at == "rename" else rename)
    with pytest.raises((KeyboardInterrupt, DiskError)):
        registry.remove_unless(ids, fail, pytest.fail)
    assert registry.ids() == sorted(ids)
    assert list_names(registry.folders.tmp) == []


def test_old_locks_go_and_those_that_are_held_or_young_stay(registry: Registry) -> None:
    registry.check_writable()
    folder = registry.folders.locks
    for name in ("ae-000000000001.lock", "ae-000000000002.lock", "ae-000000000003.lock", "notes.lock"):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (0, 0))
    (folder / "ae-000000000004.lock").write_bytes(b"")
    with make_in_thread(registry, "ae-000000000002", ()):
        os.utime(folder / "ae-000000000002.lock", (0, 0))
        collect(registry)
        left = ["ae-000000000002.lock", "ae-000000000004.lock", "notes.lock"]
        assert list_names(folder) == left


def test_folders_that_are_not_there_are_no_error(registry: Registry) -> None:
    entry = publish(registry)
    for folder in (registry.folders.tmp, registry.folders.locks):
        shutil.rmtree(folder)
    assert collect(registry) == [entry.id]
