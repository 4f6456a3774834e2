"""A disk that is watched: each call that writes under one home is a step with a name, at which things can go wrong."""

from __future__ import annotations

import builtins
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from advae.errors import DiskError
from advae.registry import synced_files

STOPPED = 86
"""Exit status of a process that was stopped at a step."""

BEFORE, HALF, AFTER, REFUSED = ("before", "half", "after", "refused")
"""When a step is met: before it, with half of what it writes on the disk, after it; or where the system refuses it."""

REVEALS = ("rename", "replace", "link", "exchange")
TAKES_ROOM = ("mkdir", "open", "write", "savez", "ftruncate", "pwrite", "fsync")
"""What a full disk refuses; names can still be moved and removed there."""


@dataclass(frozen=True)
class Step:
    """One call and the paths that it touches, relative to the home; ``name`` leaves out what is random in them."""

    call: str
    path: str
    target: str = ""

    @property
    def name(self) -> str:
        arrow = " <-> " if self.call == "exchange" else " -> "
        text = f"{self.call} {self.path}{arrow if self.target else ''}{self.target}"
        return re.sub(r"-[0-9a-f]{12,16}\b", "-*", text)

    @property
    def shows(self) -> bool:
        """Whether it changes which entries and references there are."""
        paths = (self.path, self.target) if self.call in (*REVEALS, "unlink", "rmdir") else ()
        return any(path.startswith(("entries/", "refs/")) and "/." not in path for path in paths)

    @property
    def cleans(self) -> bool:
        """Whether it removes what was left in tmp/."""
        return self.call in ("unlink", "rmdir") and self.path.startswith("tmp/")


Hook = Callable[[int, Step, str], None]
"""Called with a step's number, the step, and the moment; may raise, or never return."""


class _WatchedFile:
    """An open file that reaches the disk with each write, halfway too."""

    def __init__(self, stream: Any, disk: _Disk, path: str) -> None:
        self._stream, self._disk, self._path = stream, disk, path

    def write(self, content: Any) -> int:
        half = len(content) // 2
        with self._disk.step("write", self._path) as meet:
            self._stream.write(content[:half])
            self._stream.flush()
            meet(HALF)
            self._stream.write(content[half:])
            self._stream.flush()
        return len(content)

    def __enter__(self) -> _WatchedFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Disk:
    """What stands in the place of the calls that write, and knows which file a descriptor stands for."""

    def __init__(self, home: Path | None, hook: Hook) -> None:
        self.home, self.hook, self.count = home, hook, 0
        self.opened: dict[int, str] = {}
        self.now: dict[str, Any] = {name: getattr(os, name) for name in _ON_PATHS + _ON_HANDLES + ("open",)}
        self.now |= {"io": io.open, "savez": np.savez, "exchange": synced_files.exchange}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in _ON_PATHS:
            patch.setattr(os, name, self._watch_paths(name))
        for name in _ON_HANDLES:
            patch.setattr(os, name, self._watch_handle(name))
        patch.setattr(os, "open", self._open_handle)
        for module in (io, builtins):
            patch.setattr(module, "open", self._open)
        patch.setattr(np, "savez", self._savez)
        replace_everywhere(patch, synced_files, "exchange", self._exchange)

    @contextmanager
    def step(self, call: str, path: str, target: str = "") -> Iterator[Callable[[str], None]]:
        number, step = self.count, Step(call, path, target)
        self.count += 1
        self.hook(number, step, BEFORE)
        try:
            yield lambda moment: self.hook(number, step, moment)
        except OSError:
            self.hook(number, step, REFUSED)
            raise
        self.hook(number, step, AFTER)

    def place(self, path: Any, dir_fd: int | None = None) -> str | None:
        """Return a path relative to the home, None for one that is not under it."""
        if not isinstance(path, str | os.PathLike):
            return None
        text = os.fspath(path)
        if dir_fd is not None:
            text = f"{self.opened.get(dir_fd, '')}/{text}"
        if self.home is None:
            return text
        home = str(self.home)
        return text[len(home) + 1 :] or "." if text == home or text.startswith(f"{home}/") else None

    def _watch_paths(self, name: str) -> Callable[..., Any]:
        def watched(path: Any, *rest: Any, **options: Any) -> Any:
            place = self.place(path, options.get("dir_fd"))
            made = name == "mkdir" and Path(os.fsdecode(path)).is_dir()
            if place is None or made:
                return self.now[name](path, *rest, **options)
            with self.step(name, place, (self.place(rest[0]) or "") if name in REVEALS else ""):
                return self.now[name](path, *rest, **options)

        return watched

    def _watch_handle(self, name: str) -> Callable[..., Any]:
        def watched(handle: int, *rest: Any) -> Any:
            place = self.place(self.opened.get(handle))
            if place is None:
                return self.now[name](handle, *rest)
            with self.step(name, place):
                return self.now[name](handle, *rest)

        return watched

    def _open_handle(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        place = self.place(path, dir_fd)

        def open_now() -> int:
            handle: int = self.now["open"](path, flags, mode, dir_fd=dir_fd)
            self.opened[handle] = os.fspath(path) if dir_fd is None else f"{self.opened.get(dir_fd, '')}/{path}"
            return handle

        if place is None or not flags & (os.O_CREAT | os.O_TRUNC):
            return open_now()
        with self.step("open", place):
            return open_now()

    def _open(self, path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        place = self.place(path) if set(mode) & set("wax+") else None
        if place is None:
            return self.now["io"](path, mode, *rest, **options)
        with self.step("open", place):
            stream = self.now["io"](path, mode, *rest, **options)
            self.opened[stream.fileno()] = os.fspath(path)
            return _WatchedFile(stream, self, place)

    def _savez(self, stream: Any, *rest: Any, **options: Any) -> None:
        with self.step("savez", getattr(stream, "_path", "?")):
            self.now["savez"](stream, *rest, **options)

    def _exchange(self, one: Path, other: Path) -> bool:
        with self.step("exchange", self.place(one) or "", self.place(other) or ""):
            return bool(self.now["exchange"](one, other))


_ON_PATHS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir")
_ON_HANDLES = ("fsync", "ftruncate", "pwrite")


def replace_everywhere(patch: pytest.MonkeyPatch, owner: ModuleType, name: str, new: Any) -> None:
    """Put something in the place of a module's function, also where the registry's other modules took it by name."""
    old = getattr(owner, name)
    for module in [module for path, module in sys.modules.items() if path.startswith("advae.registry")]:
        if getattr(module, name, None) is old:
            patch.setattr(module, name, new)


@contextmanager
def watch(home: Path | None, hook: Hook) -> Iterator[None]:
    """Let ``hook`` meet every step under a home, everywhere where it is None."""
    with pytest.MonkeyPatch.context() as patch:
        _Disk(home, hook).install(patch)
        yield


def record(steps: list[Step], done: set[int]) -> Hook:
    """Return a hook that appends each step as it is met, and adds the numbers of those that were not refused."""

    def hook(number: int, step: Step, moment: str) -> None:
        if moment == BEFORE:
            steps.append(step)
        elif moment == AFTER:
            done.add(number)

    return hook


def stop_at(at: int, when: str) -> Hook:
    """Return a hook that ends the process at a moment of a step, with all that is not done left undone."""

    def hook(number: int, step: Step, moment: str) -> None:
        if (number, moment) == (at, when):
            os._exit(STOPPED)

    return hook


def fail_at(at: int, when: str, code: int, *, lasting: bool = False) -> Hook:
    """Return a hook that fails one step; lasting: like a full disk, every later one too that takes room."""

    def hook(number: int, step: Step, moment: str) -> None:
        later = lasting and number > at and moment == BEFORE and step.call in TAKES_ROOM
        if (number, moment) == (at, when) or later:
            raise OSError(code, os.strerror(code))

    return hook


# ---------------------------------------------------------------- for tests of one operation


class FailingDisk:
    """Fails the n-th step that creates, fills or renames; what removes, and so cleans up, goes on."""

    def __init__(self, at: int, code: int) -> None:
        self.at, self.code, self.count, self.failed = at, code, 0, ""

    def __call__(self, number: int, step: Step, moment: str) -> None:
        if moment != BEFORE or step.call in ("unlink", "rmdir", "write", "exchange"):
            return
        self.count += 1
        if self.count - 1 == self.at:
            self.failed = step.call
            raise OSError(self.code, os.strerror(self.code))


def write_on_failing_disk(write: Callable[[], Any], at: int, code: int) -> tuple[FailingDisk, DiskError | None]:
    """Write while the ``at``-th write fails; return the disk, and the error, None where all went well."""
    disk = FailingDisk(at, code)
    with watch(None, disk):
        try:
            write()
        except DiskError as error:
            return disk, error
    return disk, None
