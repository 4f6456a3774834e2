"""Atomic writing: a file is replaced whole or not at all, whatever fails, and for every reader."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from advae.atomic_files import make_folder, write_aside
from advae.errors import DatasetError, DiskError


def write(target: Path, text: str = "new") -> None:
    with write_aside(target) as draft:
        draft.write_text(text)


def read_all(folder: Path) -> dict[str, str]:
    """Return the content of every file below a folder, hidden ones included, by its path in it."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["absent", "old"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A target, absent or holding something, that must be as it was after the test, with nothing beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    before = {"out.txt": "old"} if request.param == "old" else {}
    for name, text in before.items():
        (folder / name).write_text(text)
    yield folder / "out.txt"
    assert [path.name for path in folder.iterdir()] == list(before)
    assert read_all(folder) == before


# ---------------------------------------------------------------- written


@pytest.mark.parametrize("before", [None, "old"])
def test_the_target_is_the_draft_once_all_is_written(tmp_path: Path, before: str | None) -> None:
    target = tmp_path / "out.keras"
    if before:
        target.write_text(before)
    with write_aside(target) as draft:
        assert draft.name == target.name
        assert draft.parent.parent == target.parent
        assert draft.parent.name.startswith(".")
        draft.write_text("ne")
        assert (target.read_text() if target.exists() else None) == before
        with draft.open("a") as stream:
            stream.write("w")
    assert read_all(tmp_path) == {"out.keras": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["out.keras"]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with write_aside(target) as one, write_aside(target) as other:
        one.write_text("one")
        other.write_text("other")
    assert read_all(tmp_path) == {"out": "one"}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o666 & ~umask


def test_the_longest_name_and_a_bare_one_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("x" * 255))
    assert read_all(tmp_path) == {"x" * 255: "new"}


def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that reached the disk before what it names would be an empty file after a power cut."""
    target, seen = tmp_path / "out", []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_replace(source: Any, to: Any) -> None:
        seen.append("rename")
        replace(source, to)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write(target)
    assert seen == ["file", "rename", "folder"]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def fail_on_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    write(tmp_path / "out")
    assert read_all(tmp_path) == {"out": "new"}


# ---------------------------------------------------------------- not written


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit, DatasetError])
def test_an_error_inside_is_raised_and_no_file_remains(target: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with write_aside(target) as draft:
            draft.write_text("half")
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fail()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "fsync", "replace"])
def test_a_failing_disk_is_one_line_and_no_file_remains(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DiskError) as caught:
        write(target)
    monkeypatch.undo()
    assert str(caught.value) == f"cannot write {target}: {os.strerror(code)}"


def test_of_a_file_that_grows_too_large_nothing_remains(target: Path) -> None:
    """The system's own refusal, halfway through the content."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DiskError, match=r"^cannot write .*: File too large$"):
            write(target, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_error_without_a_reason_of_the_system_is_shown_with_its_own_text(target: Path) -> None:
    def fail() -> None:
        with write_aside(target):
            raise OSError("unable to extend the file")

    with pytest.raises(DiskError, match=f"^cannot write {target}: unable to extend the file$"):
        fail()


def test_a_draft_that_was_never_written_is_a_disk_error(target: Path) -> None:
    with pytest.raises(DiskError, match="cannot write"), write_aside(target):
        pass


OBSTACLES: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link to a folder": lambda path: path.symlink_to(path.parent),
    "link to a device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("make", OBSTACLES.values(), ids=list(OBSTACLES))
def test_what_is_no_file_is_refused_and_stays(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "out")
    before = (tmp_path / "out").lstat()
    with pytest.raises(DiskError, match="a folder or a device, not a file"):
        write(tmp_path / "out")
    assert (tmp_path / "out").lstat().st_ino == before.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_device_is_refused() -> None:
    with pytest.raises(DiskError, match=r"^cannot write /dev/null: it is a folder or a device"):
        write(Path("/dev/null"))


@pytest.mark.parametrize("place", ["nowhere/out", "file/out", "x" * 256], ids=lambda place: place[:12])
def test_a_place_that_cannot_be_is_a_disk_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DiskError, match="cannot write"):
        write(tmp_path / place)
    assert read_all(tmp_path) == {"file": "mine"}


# ---------------------------------------------------------------- folders


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=f"^cannot write to {tmp_path / place}: .+$"):
        make_folder(tmp_path / place)
