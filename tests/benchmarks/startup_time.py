"""Startup time of commands: whole processes, in turns with one that only imports their libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.contenders import compare
from tests.benchmarks.measurements import Measured, Section, Target
from tests.registry.thousands import make_many

BOUND = 1.5
"""Largest allowed ratio to the bare imports."""

BARE_IMPORTS = "import typer, rich, pydantic"


@dataclass(frozen=True)
class Call:
    """One process that is timed."""

    arguments: tuple[str, ...] = ()
    """Of the command line."""

    typed: str | None = None
    """What a shell completes, in place of arguments; None for a plain command."""

    bound: bool = True
    """Whether it is held to BOUND."""


CALLS = {
    "--help": Call(("--help",)),
    "completion of a command": Call(typed="advae "),
    "completion of an option": Call(typed="advae attack --"),
    "completion of a REF": Call(typed="advae attack --clf "),
    "registry ls": Call(("registry", "ls")),
    "--version": Call(("--version",), bound=False),
    "attack --help": Call(("attack", "--help"), bound=False),
    "report --help": Call(("report", "--help"), bound=False),
}


def measure(*, rounds: int = 15, entries: int = 200, only: Collection[str] = tuple(CALLS)) -> Section:
    """Return the times of ``advae`` as its users call it, each beside the bare imports of the same round."""
    calls = {name: call for name, call in CALLS.items() if name in only}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_many(home, entries)
        bare = [sys.executable, "-c", BARE_IMPORTS]
        advae = str(Path(sysconfig.get_path("scripts")) / "advae")
        commands = {"bare imports": (bare, {}), **{name: _prepare(advae, call) for name, call in calls.items()}}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        # The first round, which fills the caches, does not count.
        for number in range(rounds + 1):
            for name, (command, environment) in commands.items():
                taken = _time(command, {**os.environ, "ADVAE_HOME": str(home), **environment})
                if number:
                    seconds[name].append(taken)
    measured = {name: Measured(name, tuple(times)) for name, times in seconds.items()}
    ratios = {name: compare(measured[name], measured["bare imports"]) for name in calls}
    return Section(
        name="start",
        work=f"whole processes beside `python -c '{BARE_IMPORTS}'`, a registry of {entries} entries",
        measured=tuple(measured.values()),
        targets=tuple(
            Target(f"{name}, times the bare imports", ratios[name], "at most", BOUND)
            for name, call in calls.items()
            if call.bound
        ),
        numbers={"times_the_bare_imports": ratios},
    )


def _prepare(advae: str, call: Call) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of a call; a completion is asked for as completions/advae.bash does."""
    if call.typed is None:
        return [advae, *call.arguments], {}
    last = str(call.typed.count(" "))
    return [advae], {"_ADVAE_COMPLETE": "complete_bash", "COMP_WORDS": call.typed, "COMP_CWORD": last}


def _time(command: list[str], environment: dict[str, str]) -> float:
    """Return the seconds that a process took. Raises CalledProcessError where it failed."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
    return time.perf_counter() - start
