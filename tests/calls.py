"""The command line, called in this process, as tests see it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from typer.main import get_command

from advae.cli import main
from advae.cli.app import build_app


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def id(self) -> str:
        return self.out.strip()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def build_once(words: Sequence[str]) -> Any:
    """Return the application for a line's words. Building it takes longer than most of what tests call."""
    return _build(next((word for word in words if not word.startswith("-")), ""))


@cache
def _build(named: str) -> Any:
    return get_command(build_app([named] if named else []))


def call(*arguments: object) -> Outcome:
    """Run a command line and return its exit code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), patch("advae.cli.build_app", build_once):
        code = main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def succeed(*arguments: object) -> Outcome:
    """Run a command line that must end with 0."""
    outcome = call(*arguments)
    assert outcome.code == 0, outcome.err
    return outcome


def list_commands(command: Any, *path: str) -> dict[tuple[str, ...], Any]:
    """Return every command of the command line by the words that name it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    return {words: found for name, one in inner.items() for words, found in list_commands(one, *path, name).items()}
