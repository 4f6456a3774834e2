"""Defects planted on purpose: an experiment that does not notice its defect proves nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae import atomic_files as drafts_module
from advae.identity import kind_of
from advae.registry import LATEST, Registry, collection, locks, manifest_files, synced_files
from advae.registry.folders import Folders
from advae.registry.references import References
from tests.registry.collecting import collect_beside_commands, meet_collection, meet_strangers
from tests.registry.crowds import obtain_together
from tests.registry.damages import damage_often
from tests.registry.faulty_disk import replace_everywhere
from tests.registry.full_disks import limit_file_size, read_only_home
from tests.registry.kills import kill_often
from tests.registry.stops import fail_everywhere, meet_everywhere, stop_everywhere, trace_syncs
from tests.registry.trials import Outcome

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Planted:
    """plant: makes the registry wrong. experiment: what must notice. word: what one of its lines then says."""

    plant: Plant
    experiment: Callable[[Path], Outcome]
    word: str

    def run(self, folder: Path) -> Outcome:
        """Return what the experiment finds in the registry with the defect."""
        with pytest.MonkeyPatch.context() as patch:
            self.plant(patch)
            return self.experiment(folder)


# ---------------------------------------------------------------- what is wrong


def _in_place_of(owner: Any, name: str, new: Any) -> Plant:
    return lambda patch: replace_everywhere(patch, owner, name, new)


def _method(owner: type, name: str, new: Any) -> Plant:
    return lambda patch: patch.setattr(owner, name, new)


def _write_unsynced(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)


def _write_arrays_unsynced(path: Path, arrays: Mapping[str, Any]) -> None:
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def _sync_only(drafts: bool) -> Plant:
    sync = drafts_module.sync

    def sync_some(folder: Path) -> None:
        if (folder.parent.parent.name == "tmp") is drafts:
            sync(folder)

    return _in_place_of(drafts_module, "sync", sync_some)


def _copy_into_place(patch: pytest.MonkeyPatch, pause: float = 0) -> None:
    rename = os.rename

    def copy_slowly(source: str, target: str) -> None:
        shutil.copyfile(source, target)
        time.sleep(pause)

    def copy(source: Any, target: Any) -> None:
        if Path(target).parent.name != "entries" or "replaced" in str(source):
            return rename(source, target)
        if Path(target).exists():
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        shutil.copytree(source, target, copy_function=copy_slowly)
        return shutil.rmtree(source)

    patch.setattr(os, "rename", copy)


def _write_name_in_place(self: References, kind: str, alias: str, id_: str) -> None:
    folder = self.folders.refs / kind
    folder.mkdir(parents=True, exist_ok=True)
    synced_files.write_synced(folder / alias, f"{id_}\n".encode())


def _name_first(patch: pytest.MonkeyPatch) -> None:
    reveal = Registry.reveal

    def name_and_reveal(self: Registry, folder: Path, id_: str, **options: Any) -> Any:
        self.references.write(kind_of(id_), LATEST, id_)
        return reveal(self, folder, id_, **options)

    patch.setattr(Registry, "reveal", name_and_reveal)


def _remove_names_last(self: Registry, id_: str, names: Any, spare: Any) -> bool:
    (self.folders.entries / id_).rename(spare(id_))
    for name in self.references.list_tags().get(id_, []):
        self.references.remove(name)
    return True


@contextmanager
def _draft_for_ever(self: Folders, what: str) -> Iterator[Path]:
    self.prepare()
    folder = self.tmp / f"{what}-{time.monotonic_ns()}"
    folder.mkdir()
    yield folder


def _replace_always(patch: pytest.MonkeyPatch) -> None:
    reveal = Registry.reveal
    patch.setattr(Registry, "reveal", lambda self, folder, manifest, **_: reveal(self, folder, manifest, replace=True))


def _locate_unchecked(self: Registry, manifest: Any, name: str) -> Path:
    return self.folders.entries / manifest.id / name


def _open_unsealed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("deep") from None


def _on(experiment: Callable[..., Outcome], *names: str, **options: Any) -> Callable[[Path], Outcome]:
    return lambda folder: experiment(folder, *names, **options)


def _remove_unseen(patch: pytest.MonkeyPatch) -> None:
    remove = Registry.remove_unless
    patch.setattr(Registry, "remove_unless", lambda self, ids, _, told: remove(self, ids, set, told))


UNSYNCED = _in_place_of(synced_files, "write_synced", _write_unsynced)
HOLD_NOTHING = _in_place_of(locks, "hold", lambda *_: nullcontext())

PLANTED: dict[str, Planted] = {
    "manifest not synced": Planted(UNSYNCED, _on(trace_syncs, "publish"), "manifest.json is not synced"),
    "name not synced": Planted(UNSYNCED, _on(trace_syncs, "tag"), "is not synced before replace tmp/ref-*"),
    "import not synced": Planted(UNSYNCED, _on(trace_syncs, "import"), "is not synced before rename tmp/import-*"),
    "arrays not synced": Planted(
        _in_place_of(synced_files, "write_npz", _write_arrays_unsynced),
        _on(trace_syncs, "publish"),
        "weights.npz is not synced",
    ),
    "folder not synced": Planted(_sync_only(drafts=False), _on(trace_syncs, "publish"), "entry is not synced before"),
    "parent not synced": Planted(_sync_only(drafts=True), _on(trace_syncs, "publish"), "nothing syncs what rename"),
    "copied, stopped": Planted(_copy_into_place, _on(stop_everywhere, "publish"), "cannot be read"),
    "copied, failed": Planted(_copy_into_place, _on(fail_everywhere, "publish"), "is missing"),
    "copied, killed": Planted(
        lambda patch: _copy_into_place(patch, pause=0.01), _on(kill_often, kills=40), "cannot be read"
    ),
    "name written in place": Planted(
        _method(References, "write", _write_name_in_place), _on(stop_everywhere, "tag, moved"), "stands for"
    ),
    "entry away before the new one is there": Planted(
        _in_place_of(synced_files, "exchange", lambda *_: False), _on(stop_everywhere, "publish, replace"), "is lost"
    ),
    "named before it is published": Planted(_name_first, _on(stop_everywhere, "train"), "which is not there"),
    "names removed last": Planted(
        _method(Registry, "_hide", _remove_names_last), _on(stop_everywhere, "remove"), "which is not there"
    ),
    "draft not removed": Planted(
        _method(Folders, "draft", _draft_for_ever), _on(fail_everywhere, "tag"), "left in tmp/"
    ),
    "draft not removed, full": Planted(
        _method(Folders, "draft", _draft_for_ever), _on(limit_file_size, step=400), "left in tmp/"
    ),
    "error of the system": Planted(
        _method(Folders, "writing", lambda self: nullcontext()), _on(fail_everywhere, "tag"), "instead of a DiskError"
    ),
    "computed without looking": Planted(
        _method(Registry, "check_writable", lambda *_: None), read_only_home, "no DiskError"
    ),
    "named without looking again": Planted(
        _method(Registry, "_name", lambda self, entry, alias: self.references.write(entry.kind, alias, entry.id)),
        _on(meet_everywhere, "tag"),
        "which is not there",
    ),
    "no lock": Planted(HOLD_NOTHING, _on(obtain_together, each=20, recipes=10), "was computed"),
    "the loser replaces": Planted(
        _replace_always, _on(obtain_together, each=20, recipes=10, locked=False), "different manifests"
    ),
    "foreign home taken": Planted(_method(Folders, "check", lambda self: None), meet_strangers, "was written into"),
    "gc goes through links": Planted(
        _in_place_of(collection, "_refuse_links", lambda registry: None), meet_strangers, "gone through a link"
    ),
    "gc removes by place": Planted(
        _in_place_of(collection, "_find_dead", lambda folder, name: [*folder.iterdir()] if folder.is_dir() else []),
        meet_strangers,
        "beside the store, was removed",
    ),
    "gc ignores leases": Planted(
        _in_place_of(locks, "lease", lambda *_: nullcontext()),
        _on(collect_beside_commands, rounds=3),
        "was leased and is lost",
    ),
    "gc looks once": Planted(_remove_unseen, meet_collection, "though it was needed"),
    "artifacts not hashed": Planted(
        _method(Registry, "locate", _locate_unchecked), _on(damage_often, count=200), "verify says"
    ),
    "manifest not hashed": Planted(
        lambda patch: patch.setattr(manifest_files, "_open_sealed", _open_unsealed),
        _on(damage_often, count=200),
        "took it",
    ),
}
"""Each with the experiment that must notice it."""
