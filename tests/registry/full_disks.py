"""Disks that really refuse: a limit on the size of files, a home mounted read-only, a small disk that fills up."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from advae.errors import DiskError
from advae.records import AutoencoderRecipe, entry_id
from advae.registry import Registry
from tests.calls import call
from tests.entries import WEIGHTS, make_arrays, make_autoencoder_recipe, make_metrics, publish
from tests.registry.faulty_disk import Hook, Step, watch
from tests.registry.publisher import OPERATIONS, Operation, Shelf
from tests.registry.trials import Outcome, find_unsound, list_drafts, read_entries, run_forked, see

WRITING = (
    *("publish", "publish, replace", "tag", "tag, moved", "latest", "remove", "remove, recursive"),
    *("import", "import, replace", "check", "obtain", "obtain, forced", "train"),
)
"""Operations that cannot succeed where nothing can be written."""


def _refuses(home: Path, operation: Operation, code: int, *, harmless: bool = False) -> list[str]:
    """Return what is wrong with how an operation meets a disk that refuses; harmless: it may also succeed."""
    before, entries = see(home), read_entries(home)
    try:
        operation.act(Registry(home))
    except DiskError as error:
        lines = [] if os.strerror(code) in str(error) else [f"it says {error}"]
        lines += [] if see(home) == before and read_entries(home) == entries else ["what is visible has changed"]
    else:
        lines = [] if harmless else ["no DiskError"]
    lines += [f"{name} is left in tmp/" for name in list_drafts(home)]
    return lines + find_unsound(home)


def _report(act: Callable[[], Outcome]) -> Outcome:
    """Return the outcome of something that is done in a child, whose limits and mounts end with it."""
    reader, writer = os.pipe()

    def act_and_write() -> None:
        with os.fdopen(writer, "w") as stream:
            stream.write(json.dumps(vars(act())))

    # The pipe holds 64 KiB, more than an outcome that is worth reading.
    status, text = run_forked(act_and_write)
    os.close(writer)
    with os.fdopen(reader) as stream:
        content = stream.read()
    return Outcome(**json.loads(content)) if status == 0 else Outcome(0, [f"the child ended with {status}: {text}"])


# ---------------------------------------------------------------- a limit on the size of files


def limit_file_size(folder: Path, *, step: int = 1) -> Outcome:
    """Let no file grow beyond each size from 0 to more than the largest that is written."""
    return _report(lambda: _limit_file_size(folder, step))


def _limit_file_size(folder: Path, step: int) -> Outcome:
    outcome, shelf, hard = Outcome(), Shelf(folder), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for name in ("publish", "publish, replace", "tag, moved", "import", "obtain"):
        operation = OPERATIONS[name]
        full, home = shelf.take(operation), shelf.take(operation)
        operation.act(Registry(full))
        new = see(full).ids - see(home).ids
        written = {id_: files for id_, files in read_entries(full).items() if files != read_entries(home).get(id_)}
        largest = max((len(c) for files in written.values() for c in files.values()), default=len("ae-") + 13)
        succeeded = None
        for size in sorted({*range(0, largest + 20, step), largest - 1, largest, 1, 2}):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            try:
                lines = _refuses(home, operation, errno.EFBIG, harmless=size >= largest)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            outcome.count += 1
            outcome.violations += [f"{name}, files of at most {size} bytes: {line}" for line in lines]
            if size >= largest and see(home) == see(full):
                succeeded = size
                break
        if succeeded is None:
            outcome.violations.append(f"{name}: never succeeded, though nothing is larger than {largest} bytes")
        outcome.figures[name] = {"largest": largest, "new": len(new), "succeeded_at": succeeded}
    return outcome


# ---------------------------------------------------------------- mounts

NEW_NAMESPACE, NEW_USER = 0x20000, 0x10000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18


def _mount(source: str, target: Path | str, kind: str | None, flags: int, data: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    if libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _leave_namespace() -> None:
    """Let this process have mounts of its own, which end with it. Raises OSError or AttributeError where it may not."""
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.geteuid(), os.getegid()
    if libc.unshare(NEW_NAMESPACE | (NEW_USER if user else 0)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount("none", "/", None, RECURSIVE | PRIVATE)


def _can_mount() -> str:
    """Return why this process may not mount, nothing where it may."""
    status, text = run_forked(_leave_namespace)
    return text.strip().splitlines()[-1] if status else ""


# ---------------------------------------------------------------- a home that can only be read


def read_only_home(folder: Path) -> Outcome:
    """Let every operation that writes meet a read-only home, and everything that reads find what is there."""
    why = _can_mount()
    ways = {"mounted read-only": _mount_read_only} if not why else {"mode bits": _forbid} if os.geteuid() else {}
    outcome = Outcome(figures={"ways": [*ways, "injected"], "no_mount": why})
    for way, protect in {**ways, "injected": _inject_read_only}.items():
        home = Shelf(folder / way).take(OPERATIONS["publish"])
        found = _report(partial(_try_read_only, home, protect))
        outcome.count += found.count
        outcome.violations += [f"{way}: {line}" for line in found.violations]
    return outcome


@contextmanager
def _mount_read_only(home: Path) -> Iterator[int]:
    _leave_namespace()
    _mount(str(home), home, None, BIND)
    _mount("none", home, None, BIND | REMOUNT | READ_ONLY)
    yield errno.EROFS


@contextmanager
def _forbid(home: Path) -> Iterator[int]:
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    yield errno.EACCES
    for path in folders:
        path.chmod(0o755)


@contextmanager
def _inject_read_only(home: Path) -> Iterator[int]:
    with watch(home, _refuse_all(errno.EROFS)):
        yield errno.EROFS


def _refuse_all(code: int) -> Hook:
    def hook(number: int, step: Step, moment: str) -> None:
        raise OSError(code, os.strerror(code))

    return hook


def _try_read_only(home: Path, protect: Callable[[Path], Any]) -> Outcome:
    outcome, entry = Outcome(), Registry(home).resolve("old")
    with protect(home) as code:
        for name in WRITING:
            outcome.violations += [f"{name}: {line}" for line in _refuses(home, OPERATIONS[name], code)]
        computed: list[int] = []
        recipe = make_autoencoder_recipe(seed=99)
        try:
            Registry(home).obtain(recipe, lambda: computed.append(1))
            outcome.violations.append("obtain did not fail")
        except DiskError:
            outcome.violations += ["hours were spent before it failed"] * len(computed)
        registry = Registry(home)
        reads = [
            registry.resolve("old") == entry,
            registry.latest("ae") == entry,
            WEIGHTS in entry.artifacts and len(registry.read_arrays(entry, WEIGHTS)) == 2,
            registry.obtain(entry.recipe, lambda: computed.append(1)) == (entry, True),
            len(registry.scan()[0]) == 4,
        ]
        outcome.violations += [f"read {number} failed" for number, right in enumerate(reads) if not right]
        expected = {
            ("ls",): 0,
            ("show", "old"): 0,
            ("verify",): 0,
            ("tag", "old", "newer"): 5,
            ("untag", "old"): 5,
            ("rm", "third"): 5,
        }
        for arguments, code in expected.items():
            done = call("registry", *arguments, "--home", home)
            if done.code != code or (code and len(done.err.splitlines()) != 1):
                outcome.violations.append(f"registry {' '.join(arguments)} ended with {done.code}: {done.err}")
    outcome.count = len(WRITING) + 1 + len(reads) + len(expected)
    return outcome


# ---------------------------------------------------------------- a disk that fills up

PAGE = 4096
EMPTYING = "when it was emptied again:"


def fill_disk(folder: Path) -> Outcome:
    """Fill small disks of many sizes, by bytes and by number of files, until they refuse; then empty them again."""
    why = _can_mount()
    if why:
        # What fails there is then only injected, in ``stops.fail_everywhere``.
        return Outcome(figures={"no_mount": why})
    outcome = Outcome()
    sizes = [f"size={pages * PAGE}" for pages in range(4, 40)] + [f"nr_inodes={number}" for number in range(8, 40)]
    for limit in sizes:
        home = folder / limit
        home.mkdir(parents=True)
        found = _report(partial(_fill, home, limit))
        outcome.count += found.count
        outcome.violations += [f"{limit}: {line}" for line in found.violations]
        shutil.rmtree(home)
    outcome.figures["disks"] = len(sizes)
    return outcome


def _publish_tagged(registry: Registry, *, recipe: AutoencoderRecipe, arrays: dict[str, Any], tag: str) -> None:
    registry.tag(registry.publish(recipe, make_metrics(recipe), arrays), tag)


def _fill(home: Path, limit: str) -> Outcome:
    _leave_namespace()
    _mount("none", home, "tmpfs", 0, limit)
    outcome, registry, made = Outcome(), Registry(home), 0
    big = {WEIGHTS: {"0.0": np.zeros(PAGE // 2, np.float32)}}
    while True:
        recipe = make_autoencoder_recipe(seed=made)
        arrays = big if made % 2 else make_arrays()
        operation = Operation(partial(_publish_tagged, recipe=recipe, arrays=arrays, tag=f"t{made}"))
        ids, names = see(home).ids, dict(see(home).names)
        try:
            operation.act(registry)
        except DiskError as error:
            if os.strerror(errno.ENOSPC) not in str(error):
                outcome.violations.append(str(error))
            break
        made += 1
    outcome.count = 1
    found = see(home)
    outcome.violations += [f"entry {id_} is lost" for id_ in ids - found.ids]
    outcome.violations += [] if dict(found.names) == names else ["a name has changed"]
    outcome.violations += [f"{name} is left in tmp/" for name in list_drafts(home)] + find_unsound(home)
    if made > 1:
        try:
            for seed in range(made):
                registry.remove(entry_id(make_autoencoder_recipe(seed=seed)))
            publish(registry)
        except DiskError as error:
            outcome.violations.append(f"{EMPTYING} {error}")
        outcome.violations += find_unsound(home)
    return outcome
