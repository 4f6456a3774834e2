"""``advae registry`` in a shell, and on a home that can only be read."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from advae.registry import Registry
from tests.calls import call, succeed
from tests.cli.registry_calls import refuse
from tests.entries import (
    WEIGHTS,
    read_tree,
    read_unmarked,
)
from tests.hostile.scene import Scene

# ---------------------------------------------------------------- whole processes

SHELL = {
    "a pipe": ("advae registry export {run} - -q | advae registry import - -q --home new", 0, "{run}\n", ""),
    "gzip in a pipe": (
        "advae registry export {run} - -q | gzip | advae registry import - -q --home new",
        0,
        "{run}\n",
        "",
    ),
    "what bash puts in the place of a file": ("advae registry import <(cat it.tar) -q --home new", 0, "{run}\n", ""),
    "stdout to a file": ("advae registry export {run} - > out.tar; cmp out.tar it.tar", 0, "", "contains"),
    "the reader is gone": ("advae registry export {run} - -q | true", 5, "", "its reader closed it before the end"),
    "a full disk": ("advae registry export {run} - -q > /dev/full", 5, "", "No space left on device"),
    "nothing to write to": ("advae registry export {run} - -q >&-", 5, "", "it is closed"),
    "nothing to read from": ("advae registry import - --home new <&-", 4, "", "the bundle is refused"),
    "nothing to read": ("advae registry import - --home new < /dev/null", 4, "", "the bundle is refused"),
    "a bundle cut short": ("head -c 3000 it.tar | advae registry import - --home new", 4, "", "it ends early"),
    "a damaged entry in a pipe": (
        "advae registry export {clf} - --home broken | advae registry import - --home new",
        4,
        "",
        "the bundle is refused",
    ),
}


@pytest.mark.parametrize("case", SHELL)
def test_in_a_shell(case: str, scene: Scene, tmp_path: Path) -> None:
    command, code, out, words = SHELL[case]
    ids = {"run": scene.run, "clf": scene.clf}
    folder = tmp_path / "shell"
    folder.mkdir()
    (folder / "it.tar").write_bytes(scene.bundle)
    if "broken" in command:
        shutil.copytree(scene.home, folder / "broken")
        (folder / "broken" / "entries" / scene.clf / WEIGHTS).write_bytes(b"x")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ADVAE_HOME": str(scene.home), "PYTHONUNBUFFERED": ""}
    run = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.format(**ids)}"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == code, run.stderr
    assert run.stdout == out.format(**ids)
    assert words in run.stderr
    assert words or run.stderr == ""
    for trouble in ("Traceback", "defect", "Exception ignored"):
        assert trouble not in run.stderr
    new = Registry(folder / "new")
    assert bool(new.ids()) == (out != "")
    if out:
        assert read_unmarked(new.home) == read_unmarked(scene.home)


def test_a_reader_that_closes_stdout_early_is_an_error(scene: Scene) -> None:
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)  # so that the bundle cannot wait whole in the pipe
    assert len(scene.bundle) > 2 * 4096
    command = [Path(sys.executable).parent / "advae", "registry", "export", scene.run, "-", "-q", "--home", scene.home]
    with subprocess.Popen(command, stdout=into, stderr=subprocess.PIPE, text=True) as export:
        os.close(into)
        assert len(os.read(out, 100)) == 100
        os.close(out)
        said = export.communicate(timeout=240)[1]
    assert export.returncode == 5
    assert "its reader closed it before the end" in said


# ---------------------------------------------------------------- a home that can only be read


@pytest.fixture
def read_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A home on a disk that refuses every write, as one that is mounted read-only does."""

    def is_inside(path: object) -> bool:
        return not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(scene.home)

    def refuse_writing(name: str, writes: Any) -> None:
        call = getattr(io if name == "io.open" else os, name.removeprefix("io."))

        def refusing(path: Any, *args: Any, **options: Any) -> Any:
            if is_inside(path) and writes(*args, **options):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return call(path, *args, **options)

        monkeypatch.setattr(io if name == "io.open" else os, name.removeprefix("io."), refusing)

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "utime", "chmod", "symlink", "link", "truncate"):
        refuse_writing(name, lambda *args, **options: True)
    refuse_writing("open", lambda flags, *args, **options: flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    refuse_writing("io.open", lambda mode="r", *args, **options: bool(set(mode) & set("wax+")))
    return scene


def test_commands_that_read_work_on_a_read_only_home(read_only: Scene) -> None:
    before = read_tree(read_only.home)
    for command in (
        ("ls",),
        ("ls", "--json", "--kind", "ae", "--dataset", read_only.dataset),
        ("show", "latest"),
        ("show", read_only.run),
        ("verify",),
        ("gc", "--dry-run"),
        ("gc",),
        ("export", read_only.run, read_only.folder / "it.tar"),
    ):
        command = ("show", read_only.clf) if command == ("show", "latest") else command
        succeed("registry", *command)
    assert read_tree(read_only.home) == before


def test_an_existing_name_can_be_given_again_on_a_read_only_home(read_only: Scene) -> None:
    before = read_tree(read_only.home)
    assert succeed("registry", "tag", read_only.ae, "best").id == read_only.ae
    assert read_tree(read_only.home) == before


def test_commands_that_write_fail_on_a_read_only_home(read_only: Scene, good: Scene) -> None:
    file = read_only.folder / "it.tar"
    file.write_bytes(good.bundle)
    for command in (("tag", read_only.ae, "x"), ("rm", read_only.run), ("import", file)):
        line = refuse(5, *command)
        assert f"cannot write to {read_only.home}: Read-only file system" in line


def test_existing_entries_are_printed_on_a_read_only_home(
    scene: Scene, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ("train-clf", "--model", "lr", "--dataset", scene.dataset)
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--clf")
    first, second = (succeed(*train, *options, "-q").id for options in ((), ("--C", "2")))
    runs = [succeed(*attack, clf, "-q").id for clf in (first, second)]
    request.getfixturevalue("read_only")
    before = read_tree(scene.home)
    for command, id_ in (((*train,), first), ((*attack, first), runs[0])):
        again = succeed(*command)
        assert again.out == f"{id_}\n"
        assert "`latest` is not changed: cannot write to" in again.err
        assert succeed(*command, "--json").json["cached"] is True
        assert succeed(*command, "-q").err == ""
    assert "is not changed" not in succeed(*train, "--C", "2").err
    assert read_tree(scene.home) == before
    missing = call(*train, "--C", "3")
    assert (missing.code, missing.out) == (5, "")
    assert missing.err.startswith(f"advae: cannot write to {scene.home}: Read-only file system")
