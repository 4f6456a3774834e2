"""Homes: what is ours is used, what is not is refused by every command and never written into."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from advae.errors import DiskError
from advae.registry import Registry
from advae.registry.collection import find_garbage
from tests.calls import call, succeed
from tests.entries import list_names, make_autoencoder_recipe, publish, read_tree
from tests.registry.collecting import FOREIGN, write

USES: dict[str, Callable[[Registry], object]] = {
    "list": lambda registry: registry.ids(),
    "resolve": lambda registry: registry.resolve("latest"),
    "read": lambda registry: registry.manifest("ae-000000000000"),
    "publish": publish,
    "check": lambda registry: registry.check_writable(),
    "untag": lambda registry: registry.untag("best"),
    "remove": lambda registry: registry.remove("ae-000000000000"),
    "gc": find_garbage,
}


INIT_TAKES = {"a file of one's own", "a folder of one's own", "both"}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_folder_is_refused_and_not_changed(what: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    FOREIGN[what](home)
    before = read_tree(tmp_path)
    for name, use in USES.items():
        with pytest.raises(DiskError, match=rf"^{home} (is not|cannot be) a registry: .*") as caught:
            use(Registry(home))
        assert caught.value.exit_code == 5, name
        assert "an empty folder" in str(caught.value) or "VERSION: it is not a regular" in str(caught.value)
        assert read_tree(tmp_path) == before, name
    found = call("registry", "init", home)
    if what in INIT_TAKES:
        assert (found.code, found.out) == (0, f"{home}\n")
        publish(Registry(home))
        assert read_tree(tmp_path).items() >= before.items()
    else:
        assert (found.code, found.out, found.err.count("\n")) == (5, "", 1)
        assert read_tree(tmp_path) == before


OURS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda home: None,
    "an empty folder": lambda home: home.mkdir(),
    "dot files": lambda home: write(home / ".DS_Store"),
    "a disk's own": lambda home: (home / "lost+found").mkdir(parents=True),
    "killed before the VERSION": lambda home: [
        (home / name).mkdir(parents=True) for name in ("entries", "locks", "tmp")
    ],
    "killed with a draft": lambda home: write(home / "tmp" / "version-0123456789abcdef"),
    "a temporary folder": lambda home: write(home / "tmp" / "temporary-0123456789abcdef" / "x"),
    "without VERSION": lambda home: (publish(Registry(home)), (home / "VERSION").unlink()),
    "of schema 1": lambda home: (home.mkdir(), (home / "VERSION").write_text("1\n")),
    "without its newline": lambda home: (
        (home / "entries").mkdir(parents=True),
        (home / "VERSION").write_text("1"),
        write(home / "mine"),
    ),
}


@pytest.mark.parametrize("what", OURS)
def test_a_folder_that_may_be_a_registry_is_accepted(what: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    OURS[what](home)
    Registry(home).ids()
    find_garbage(Registry(home))
    entry = publish(Registry(home), make_autoencoder_recipe(seed=1))
    assert entry.id in Registry(home).ids()
    assert succeed("registry", "init", home).out == f"{home}\n"


COMMANDS = [
    *(("registry", "ls"), ("registry", "show", "latest"), ("registry", "tag", "ae-0", "x"), ("registry", "untag", "x")),
    *(
        ("registry", "rm", "ae-0"),
        ("registry", "verify"),
        ("registry", "gc"),
        ("registry", "export", "latest", "it.tar"),
    ),
    *(("registry", "init", "."), ("report",), ("train-ae", "--type", "blur", "--dataset", "digits")),
    *(
        ("train-clf", "--model", "lr"),
        ("attack", "--method", "fgsm", "--eps", "0.1"),
        ("purify", "--ae", "x", "i", "o"),
    ),
    *(("predict", "--clf", "latest", "in.npy"), ("reproduce", "--dry-run"), ("registry", "import", "in.npy")),
]


@pytest.mark.parametrize("where", ["loop", "file/below"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_impossible_home_is_one_line_for_every_command(
    command: tuple[str, ...], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").touch()
    Path("i").touch()
    np.save("in.npy", np.zeros((1, 8, 8)))
    before = list_names(tmp_path)
    words = [str(tmp_path / where) if word == "." else word for word in command]
    found = call(*words, "--home", tmp_path / where)
    assert (found.code, found.out, found.err.count("\n")) == (5, "", 1), found.err
    assert os.fspath(tmp_path / where) in found.err
    assert list_names(tmp_path) == before


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("entries", errno.EXDEV, "it is on another disk than"),
        ("entries", errno.EACCES, "Permission denied"),
        ("refs", errno.EACCES, "Permission denied"),
    ],
)
def test_where_an_entry_cannot_be_published_nothing_is_computed(
    place: str, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, rename = Registry(tmp_path / "home"), os.rename
    (registry.home / "refs").mkdir(parents=True)

    def refuse(source: Path, target: Path) -> None:
        if Path(target).parent == registry.home / place:
            raise OSError(code, os.strerror(code), str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(DiskError, match=rf"^cannot write to {registry.home}: {said}.*: {registry.home / place}$"):
        registry.obtain(make_autoencoder_recipe(), lambda: pytest.fail("computed"))
    assert list_names(registry.folders.tmp) == []
