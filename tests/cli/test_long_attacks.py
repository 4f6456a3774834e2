"""Attacks that take long: what a dry run says, the line before them, and what an interrupt leaves to be continued."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from advae import batching
from advae.cli import work_progress
from advae.evaluation import attack_costs
from advae.evaluation.attacker import Attacker
from advae.registry import Registry
from advae.workflows import computing_runs
from tests.calls import Outcome, call, succeed
from tests.conftest import Trained


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("long") / "home"))


def attack(home: Path, *arguments: object) -> Outcome:
    return call("attack", "--home", home, "--limit", 60, *arguments)


def test_a_dry_run_says_how_long_and_stores_nothing(home: Path, trained: Trained) -> None:
    before = Registry(home).ids()
    command = ("--clf", trained.lr, "--method", "pgd,non-targeted", "--eps", "0.1,0.2", "--threat", "adaptive")
    planned = attack(home, *command, "--dry-run", "--json").json
    assert [run["method"] for run in planned["runs"]] == ["pgd", "non-targeted"]
    times = [run["estimated_seconds"] for run in planned["runs"]]
    assert min(times) > 0
    assert planned["estimated_seconds"] == pytest.approx(sum(times), abs=0.2)
    assert Registry(home).ids() == before
    assert not list((home / "checkpoints").glob("*"))
    made = attack(home, *command, "--json").json["runs"]
    assert [run["id"] for run in planned["runs"]] == [run["id"] for run in made]
    line = attack(home, *command, "--dry-run").out.splitlines()[0]
    assert line.startswith(f"{made[0]['id']}  pgd, adaptive, linf, eps 0.1, 0.2, 60 images of {trained.lr}: already")


def test_a_dry_run_names_what_is_trained_first(home: Path, trained: Trained) -> None:
    options = ("--clf", trained.lr, "--method", "non-targeted", "--threat", "transfer", "--eps", 0.1, "--dry-run")
    (run,) = [attack(home, *options, "--json").json]
    assert len(run["missing"]) == 1
    assert run["estimated_seconds"] > 0
    seeds = attack(home, *options, "--seeds", 3).out.splitlines()
    assert seeds[0].endswith(f", after {run['missing'][0]} is trained")
    assert seeds[1].startswith("all together for 3 seeds, without their training: about ")


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Interrupt an attack after so many of its batches."""
    whole, made = Attacker._propose_best, 0

    def count(self: Attacker, *parts: Any) -> Any:
        nonlocal made
        made += 1
        if made > after:
            raise KeyboardInterrupt
        return whole(self, *parts)

    monkeypatch.setattr(Attacker, "_propose_best", count)


def test_an_interrupted_attack_continues_and_force_starts_again(
    home: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BATCH", 20)
    monkeypatch.setattr(computing_runs, "WORTH_SAVING", 0.0)
    command = ("--clf", trained.nn, "--method", "pgd", "--steps", 3, "--eps", "0.05,0.1")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, after=4)
        stopped = attack(home, *command)
    assert (stopped.code, stopped.out) == (130, "")
    (checkpoint,) = (home / "checkpoints").iterdir()
    id_ = checkpoint.stem
    assert stopped.err.splitlines() == [
        f"what is finished of {id_} is kept: the same command continues",
        "advae: interrupted; no partial result was stored",
    ]
    assert " 0 left-over files" in succeed("registry", "gc", "--home", home, "--dry-run", "--no-grace").err
    kept = checkpoint.read_bytes()
    # A long attack says how long it takes: only what was not finished.
    monkeypatch.setattr(attack_costs, "MEASURED_FROM", 0.0)
    monkeypatch.setattr(work_progress, "LONG", 0.0)
    resumed = attack(home, *command, "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.err.startswith(f"{id_} continues where it was interrupted; --force starts again\n")
    assert f"{id_} will take about " in resumed.err
    assert not checkpoint.exists()
    found = Registry(home).manifest(id_)
    checkpoint.write_bytes(kept)
    again = attack(home, *command, "--json", "--force")
    assert "continues" not in again.err
    assert Registry(home).manifest(id_).metrics == found.metrics
    assert Registry(home).manifest(id_).artifacts == found.artifacts
    assert not checkpoint.exists()


def test_a_damaged_state_is_told_and_the_attack_begins_at_the_beginning(
    home: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--clf", trained.lr, "--method", "noise", "--eps", "0.3")
    id_ = attack(home, *command, "--dry-run", "--json").json["id"]
    checkpoint = home / "checkpoints" / f"{id_}.npz"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.write_bytes(b"PK\x03\x04 no archive")
    outcome = attack(home, *command)
    assert outcome.id == id_
    assert f"{checkpoint} is damaged (" in outcome.err
    assert not checkpoint.exists()
