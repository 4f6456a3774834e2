"""Calls of ``advae registry`` in a scene, as a program and at a terminal."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from advae.cli import main
from tests.calls import Outcome, call
from tests.entries import (
    WEIGHTS,
    pack_bundle,
    read_tree,
)
from tests.hostile.scene import Scene


def registry(*arguments: object) -> Outcome:
    return call("registry", *arguments)


def refuse(code: int, *arguments: object) -> str:
    """Return the one line with which a command is refused; it prints no data and changes nothing."""
    before = read_tree(Path(os.environ["ADVAE_HOME"]))
    outcome = registry(*arguments)
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("advae: ")
    assert read_tree(Path(os.environ["ADVAE_HOME"])) == before
    return outcome.err


def spoil(scene: Scene, id_: str, name: str = WEIGHTS) -> Path:
    """Flip a bit of an entry's file and return its path."""
    path = scene.entry(id_) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


class Terminal(io.StringIO):
    """What looks like a terminal."""

    def isatty(self) -> bool:
        return True


def call_at_terminal(*arguments: object) -> Outcome:
    """Run a command line as at a terminal of 100 columns."""
    out, err = Terminal(), Terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def bundle_of(scene: Scene, id_: str) -> bytes:
    return pack_bundle(scene.registry, scene.registry.manifest(id_))


def snapshot(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def one_line(outcome: Outcome, code: int) -> str:
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    return outcome.err
