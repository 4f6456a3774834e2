"""Locks: who makes an entry is known, waited for and forgotten; nothing but work is lost where there are none."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from advae.errors import DiskError
from advae.registry import Registry, locks
from advae.registry.folders import Folders
from tests.entries import list_names, read_tree

ID = "clf-0123456789ab"
PARENTS = ("ae-0123456789ab", "ae-111111111111")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    registry = Registry(tmp_path / "home")
    registry.check_writable()
    return registry.folders


@contextmanager
def held(folders: Folders, id_: str = ID, parents: tuple[str, ...] = PARENTS) -> Iterator[None]:
    """Hold a lock in another thread meanwhile."""
    begun, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.hold(folders, id_, parents, lambda line: None):
            begun.set()
            done.wait(120)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(30)
    try:
        yield
    finally:
        done.set()
        thread.join(120)


def test_who_makes_it_is_written_into_the_lock(folders: Folders) -> None:
    told: list[str] = []
    with locks.hold(folders, ID, PARENTS, told.append):
        (path,) = folders.locks.iterdir()
        assert path.name == f"{ID}.lock"
        holder = json.loads(path.read_bytes())
        assert (holder["pid"], holder["host"]) == (os.getpid(), socket.gethostname())
        assert holder["since"].endswith("+00:00")
        assert tuple(holder["parents"]) == PARENTS
    assert told == []


def test_entries_in_the_making_are_listed(folders: Folders) -> None:
    assert locks.find_in_making(folders) == {}
    with held(folders), held(folders, "run-000000000000", ()):
        before = read_tree(folders.locks)
        for _ in range(2):
            assert locks.find_in_making(folders) == {ID: PARENTS, "run-000000000000": ()}
        assert read_tree(folders.locks) == before
    assert locks.find_in_making(folders) == {}


def test_a_second_process_waits_and_names_the_first(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "REMIND_AFTER", 0.1)
    told: list[str] = []
    done = threading.Event()

    def wait() -> None:
        with locks.hold(folders, ID, (), told.append):
            done.set()

    with held(folders):
        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + 120
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not done.is_set()
    assert done.wait(120)
    thread.join(120)
    assert len(told) >= 3, "a waiting command is told again"
    assert set(told) == {told[0]}
    assert told[0].startswith(f"waiting for process {os.getpid()} on {socket.gethostname()} (since ")
    assert told[0].endswith(f"), which is making {ID}")


def test_one_at_a_time(folders: Folders) -> None:
    inside, most = [0], [0]

    def make() -> None:
        for _ in range(5):
            with locks.hold(folders, ID, (), lambda line: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                inside[0] -= 1

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert most == [1]


def test_two_entries_are_made_at_once(folders: Folders) -> None:
    with held(folders), locks.hold(folders, "clf-111111111111", (), pytest.fail):
        pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_let_go_however_the_making_ends(folders: Folders, error: type[BaseException]) -> None:
    with pytest.raises(error), locks.hold(folders, ID, (), pytest.fail):
        raise error
    assert locks.find_in_making(folders) == {}
    with locks.hold(folders, ID, (), pytest.fail):
        pass


HOSTILE = {
    "nothing": b"",
    "text": b"hello",
    "binary": b"\xff\xfe\x00",
    "null": b"null",
    "a list": b"[1, 2]",
    "fields missing": b'{"pid": 1}',
    "no parents": b'{"pid": 1, "host": "x", "since": "x", "parents": 7}',
    "a number without end": b'{"pid": 1e999, "host": "x", "since": "x", "parents": []}',
    "deep": b"[" * 1000,
    "long": b'{"pid": ' + b"1" * 10_000,
    "control characters": b'{"pid": 1, "host": "\\u001b[2J\\u202e\\n", "since": "\\u0007", "parents": ["\\u001b"]}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_any_content_of_a_lock_is_read_or_ignored(
    folders: Folders, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "REMIND_AFTER", 0.02)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            raise TimeoutError

    with held(folders):
        (folders.locks / f"{ID}.lock").write_bytes(content)
        assert set(locks.find_in_making(folders)) == {ID}
        with pytest.raises(TimeoutError), locks.hold(folders, ID, (), tell):
            pass
    assert told[0].startswith("waiting for ")
    assert all(line.isprintable() for line in told)


def test_other_files_are_no_locks(folders: Folders) -> None:
    for name in ("notes.lock", "ae-123.lock", f"{ID}.txt", ".lock"):
        (folders.locks / name).write_bytes(b"")
    (folders.locks / f"{ID}.lock").mkdir()
    assert locks.find_in_making(folders) == {}


def test_in_a_home_without_locks_nothing_is_being_made(tmp_path: Path) -> None:
    assert locks.find_in_making(Folders(tmp_path / "nowhere")) == {}
    assert list_names(tmp_path) == []


def test_a_lock_that_is_not_held_is_removed_and_a_held_one_is_kept(folders: Folders) -> None:
    free = folders.locks / "ae-000000000000.lock"
    free.touch()
    locks.remove_unused(free)
    locks.remove_unused(free)
    assert not free.exists()
    with held(folders):
        locks.remove_unused(folders.locks / f"{ID}.lock")
        assert locks.find_in_making(folders) == {ID: PARENTS}


# ---------------------------------------------------------------- disks


def fail_with(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let the system's own call for a lock fail."""
    import fcntl

    def fail(*arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", fail)


@pytest.mark.parametrize("code", locks.NO_LOCKS, ids=lambda code: errno.errorcode[code])
def test_without_locks_the_work_is_done_twice_with_the_same_result(
    folders: Folders, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, code)
    told, done = [], []
    with locks.hold(folders, ID, PARENTS, told.append):
        done.append(locks.find_in_making(folders))
    assert done == [{ID: PARENTS}], "what it rests on is spoken for all the same"
    (line,) = told
    assert "another process may compute the same entry" in line
    assert str(folders.locks) in line
    monkeypatch.undo()
    assert locks.find_in_making(folders) == {}


@pytest.mark.parametrize("code", [errno.EIO, errno.EBADF])
def test_a_disk_that_fails_is_a_disk_error(folders: Folders, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, code)
    line = rf"^cannot lock {folders.locks / ID}\.lock: {os.strerror(code)}$"
    with pytest.raises(DiskError, match=line), locks.hold(folders, ID, PARENTS, pytest.fail):
        pytest.fail("went on")


def test_a_folder_in_the_place_of_a_lock_is_a_disk_error(folders: Folders) -> None:
    (folders.locks / f"{ID}.lock").mkdir()
    with pytest.raises(DiskError, match="cannot lock"), locks.hold(folders, ID, (), pytest.fail):
        pytest.fail("went on")


def test_on_a_full_disk_a_lock_is_held_without_its_holders_name(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fail)
    with held(folders):
        assert locks.find_in_making(folders) == {ID: ()}
