"""The command line, called in this process, as tests see it."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from advae.cli import main


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


def call(*arguments: object) -> Outcome:
    """Run a command line and return its exit code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
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
