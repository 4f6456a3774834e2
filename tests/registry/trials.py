"""What every experiment on a registry shares: a forked process, what a reader sees of a home, and what it found."""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from advae.identity import KINDS
from advae.registry import Registry, publishing
from advae.registry.synced_files import list_folder
from advae.registry.verification import find_broken_references, find_problems
from tests.registry.faulty_disk import replace_everywhere

FAILED = 87
"""Exit status of a forked process that ended with an exception."""

PATIENCE = 300.0
"""Seconds after which a forked process is taken to hang, also on a busy machine."""


@dataclass
class Outcome:
    """What an experiment did and found: how many trials, each broken promise in a line, and figures of its own."""

    count: int = 0
    violations: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.count + other.count, self.violations + other.violations, self.figures | other.figures)


# ---------------------------------------------------------------- processes


def get_ready() -> None:
    """Make this process cheap to fork, and let it look up the versions once: that takes longer than a publish."""
    replace_everywhere(pytest.MonkeyPatch(), publishing, "library_versions", cache(publishing.library_versions))
    gc.freeze()


@contextmanager
def scratch(*, in_memory: bool = False) -> Iterator[Path]:
    """Give a folder that goes away; in_memory: where nothing waits for a disk, if this system has such a place."""
    memory = Path("/dev/shm")
    place = memory if in_memory and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="advae-torture-") as folder:
        yield Path(folder)


def fork(act: Callable[[], Any], *, report: int | None = None) -> int:
    """Return the process id of a child that does something and exits; why it failed goes to the handle ``report``."""
    pid = os.fork()
    if pid:
        return pid
    status = FAILED
    try:
        act()
        status = 0
    # Whatever ends the child process is reported to its parent.
    except BaseException:
        if report is not None:
            os.write(report, traceback.format_exc(limit=-3).encode())
    finally:
        os._exit(status)


def run_forked(act: Callable[[], Any]) -> tuple[int, str]:
    """Do something in a child; return its exit status, negative for a signal, and its traceback."""
    reader, writer = os.pipe()
    pid = fork(act, report=writer)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as stream:
        text = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def await_all(pids: list[int]) -> list[int]:
    """Return the exit statuses of children, killing those that hang."""
    statuses, end = dict[int, int](), time.monotonic() + PATIENCE
    while len(statuses) < len(pids):
        for pid in set(pids) - set(statuses):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                statuses[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    return [statuses[pid] for pid in pids]


# ---------------------------------------------------------------- what a reader sees


@dataclass(frozen=True)
class Visible:
    """Which entries there are, and what each name, ``ae/latest`` among them, stands for."""

    ids: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)


def see(home: Path) -> Visible:
    """Return what is visible in a home, whatever it is, but for what begins with a dot: nothing else is checked."""
    shown, refs = home / "entries", home / "refs"
    ids = frozenset(path.name for path in list_folder(shown))
    names = {f"{kind}/{path.name}": path.read_text().strip() for kind in KINDS for path in list_folder(refs / kind)}
    return Visible(ids, names)


def read_entries(home: Path) -> dict[str, dict[str, bytes]]:
    """Return id -> file name -> content; a file in an entry's place is a folder of nothing."""
    folders = [home / "entries" / id_ for id_ in see(home).ids]
    return {
        folder.name: {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        if folder.is_dir()
        else {}
        for folder in folders
    }


_KNOWN: dict[Any, list[str]] = {}


def find_unsound(home: Path) -> list[str]:
    """Return what is corrupt or dangling among all that is visible in a home, which the lines call HOME.

    An entry of the same bytes among the same others is looked at once: thousands of trials begin with equal homes.
    """
    registry, visible = Registry(home), see(home)
    ids, lines = registry.ids(), list[str]()
    for id_, files in sorted(read_entries(home).items()):
        key = id_, visible.ids, *((name, hashlib.sha256(content).digest()) for name, content in sorted(files.items()))
        if key not in _KNOWN:
            _KNOWN[key] = _name_home(find_problems(registry, id_) if id_ in ids else [f"{id_} is no entry"], home)
        lines += _KNOWN[key]
    broken = find_broken_references(registry)
    return lines + _name_home([f"{path}: {why}" for path, why in broken.items()], home)


def _name_home(lines: list[str], home: Path) -> list[str]:
    return [line.replace(str(home), "HOME") for line in lines]


def find_lost(found: Visible, before: Visible, after: Visible) -> list[str]:
    """Return what is neither as before nor as after, each entry and each name for itself."""
    lost = [f"{id_} is lost" for id_ in sorted((before.ids & after.ids) - found.ids)]
    lost += [f"{id_} came from nowhere" for id_ in sorted(found.ids - before.ids - after.ids)]
    for name in sorted({*found.names, *before.names, *after.names}):
        allowed = before.names.get(name), after.names.get(name)
        if found.names.get(name) not in allowed:
            lost.append(f"{name} stands for {found.names.get(name)}, expected one of {allowed}")
    return lost


def list_drafts(home: Path) -> set[str]:
    """Return what lies in tmp/."""
    return {path.name for path in (home / "tmp").iterdir()} if (home / "tmp").is_dir() else set()
