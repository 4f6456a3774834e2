"""Names with unprintable characters: they reach a terminal escaped only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from advae.backend import start_tensorflow
from advae.registry import Registry
from tests.calls import Outcome, call, succeed
from tests.cli.registry_calls import call_at_terminal
from tests.hostile.members import change_members, encode_bundle, rename_family, take_apart
from tests.hostile.scene import Scene, copy_scene

NAMES = {
    "colour": "\x1b[31;5;7mred",
    "title": "\x1b]0;title\x07",
    "clear": "\x1b[2J\x1b[H",
    "one byte": "\x9b31m",
    "right to left": "\u202egnp.exe",
    "isolate": "\u2066x",
    "line feed": "a\nadvae: all is well",
    "return": "a\rb",
    "tab and back": "a\tb\b\b",
    "nul": "a\0b",
    "surrogate": "a\udcffb",
    "line separator": "a\u2028b",
    "markup": "[red]x[/red]",
    "closing markup": "[/x]",
    "link": "[link=file:///etc/passwd]x[/link]",
    "escape of markup": "\\[red]",
    "emoji": ":warning:",
}
RAW = {char for name in NAMES.values() for char in name if not char.isprintable()} - {*"\n\r\x1b\udcff"}
"""What is never shown. Rich itself shows the first three at a terminal, and stderr turns the last into plain text."""


@pytest.fixture(params=NAMES, scope="module")
def named(request: pytest.FixtureRequest, good: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, str]:
    """A scene whose dataset has a name chosen by another person, and the name."""
    start_tensorflow()
    folder, name = tmp_path_factory.mktemp("named"), NAMES[request.param]
    scene = copy_scene(good, folder)

    def rename(stored: dict[str, Any]) -> None:
        stored["recipe"]["dataset"]["name"] = name
        stored["versions"] = {name: name}
        stored["created"] = f"9{name}"

    members = rename_family(take_apart(good.bundle), dict.fromkeys(("ae", "clf", "run"), rename))
    shutil.rmtree(scene.home)
    bundle = folder / "bundle.tar"
    bundle.write_bytes(encode_bundle(members))
    assert call("registry", "import", bundle, "--home", scene.home).code == 0
    ids = {id_.partition("-")[0]: id_ for id_ in Registry(scene.home).ids()}
    return Scene(**(vars(scene) | ids)), name


def assert_tame(outcome: Outcome, name: str) -> None:
    """Hold that nothing in what was shown moves a cursor; at a terminal, Rich's own sequences apart."""
    assert outcome.code == 0, outcome.err
    for text in (outcome.out, outcome.err):
        assert not RAW & set(text), repr(text[-600:])
        assert not [begun for begun in ("\x1b[31;5;7m", "\x1b]", "\x1b[2J", "\nadvae: all is well") if begun in text]


SHOWING = [("ls",), ("ls", "--json"), ("show", "{run}"), ("show", "{ae}", "--json")]


@pytest.mark.parametrize("run", [call, call_at_terminal], ids=["file", "terminal"])
def test_no_name_reaches_the_terminal_raw(named: tuple[Scene, str], run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, name = named
    monkeypatch.setenv("COLUMNS", "200")
    for command in SHOWING:
        words = [word.format(run=scene.run, ae=scene.ae) for word in command]
        assert_tame(run("registry", *words, "--home", scene.home), name)
    if name.isprintable():
        shown = run("registry", "ls", "--home", scene.home)
        assert run is call or name in shown.out, "what is harmless is shown as it is"
        assert f"dataset.name: {name}" in run("registry", "show", scene.ae, "--home", scene.home).err


@pytest.mark.parametrize("named", ["title", "markup", "closing markup"], indirect=True)
@pytest.mark.parametrize("run", [call, call_at_terminal], ids=["file", "terminal"])
def test_no_name_reaches_the_terminal_raw_by_an_attack(named: tuple[Scene, str], run: Any) -> None:
    scene, name = named
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--clf", scene.clf, "--home", scene.home)
    attacked = run(*attack)
    assert_tame(attacked, name)
    if name.isprintable():
        assert name in attacked.err
    assert_tame(run("predict", "--clf", scene.clf, scene.images, "--home", scene.home), name)
    assert_tame(run("purify", "--ae", scene.ae, scene.images, scene.folder / "out.npy", "--home", scene.home), name)


@pytest.mark.parametrize("run", [call, call_at_terminal], ids=["file", "terminal"])
@pytest.mark.parametrize("case", [case for case, name in NAMES.items() if "\0" not in name and "/" not in name])
def test_no_error_shows_a_file_name_raw(case: str, run: Any, scene: Scene) -> None:
    """A file with a name chosen by another person, as after a download."""
    file = scene.folder / f"{NAMES[case]}.npz"
    file.write_bytes(b"hello")
    for command in (
        ("registry", "import", file),
        ("registry", "import", f"{file}x"),
        ("predict", "--clf", scene.clf, file),
        ("train-ae", "--type", "vanilla", "--dataset", file),
    ):
        refused = run(*command)
        assert refused.code in (2, 4, 6), refused.err
        assert not RAW & set(refused.err), repr(refused.err[-300:])
        *_, last = refused.err.removesuffix("\n").split("\n")
        assert "advae: " in last
        assert run is call_at_terminal or refused.err.count("\n") == 1


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "\u202e", "\x9b31m"])
def test_no_error_shows_a_source_raw(scene: Scene, name: str, tmp_path: Path) -> None:
    """Where a dataset was is what the bundle says."""
    members = take_apart(scene.bundle)
    for kind in ("ae", "clf", "run"):
        members = change_members(members, lambda stored: stored.update(source=f"/tmp/{name}.npz"), of=kind)
    scene.file.write_bytes(encode_bundle(members))
    new = ("--home", tmp_path / "new")
    succeed("registry", "import", scene.file, *new)
    refused = call("attack", "--method", "fgsm", "--eps", "0.1", "--clf", scene.clf, *new)
    assert refused.code == 6
    assert refused.err.replace("\n", "").isprintable(), repr(refused.err)
