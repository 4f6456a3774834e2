"""Processes killed with -9 at random moments of what they do to one home, which is looked through after each."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError
from advae.identity import ID
from advae.records import AutoencoderRecipe, ClassifierRecipe, entry_id
from advae.registry import LATEST, Registry, collection
from tests.entries import WEIGHTS, make_autoencoder_recipe, make_classifier_recipe, make_metrics
from tests.registry.trials import Outcome, Visible, find_lost, find_unsound, fork, list_drafts, see

ENTRIES = 8
ALIASES = ("best", "old", "third")
ACTIONS_EACH = 3
SPARED_EVERY = 10

PUBLISH, REPLACE, TAG, MARK, UNTAG, REMOVE = ACTIONS = ("publish", "replace", "tag", "latest", "untag", "remove")


@dataclass(frozen=True)
class Action:
    """One thing that a process does, to an entry by its number, or to a name."""

    what: str
    number: int
    alias: str
    values: int

    @property
    def recipe(self) -> AutoencoderRecipe | ClassifierRecipe:
        return (make_classifier_recipe if self.number % 2 else make_autoencoder_recipe)(seed=self.number)

    def act(self, registry: Registry) -> None:
        """Do it."""
        recipe = self.recipe
        id_ = entry_id(recipe)
        if self.what in (PUBLISH, REPLACE):
            arrays = {WEIGHTS: {"0.0": np.full(self.values, self.number, np.float32)}}
            registry.publish(recipe, make_metrics(recipe), arrays, replace=self.what == REPLACE)
        elif self.what == TAG:
            registry.tag(registry.manifest(id_), self.alias)
        elif self.what == MARK:
            registry.mark_latest(registry.manifest(id_))
        elif self.what == UNTAG:
            registry.untag(self.alias)
        else:
            registry.remove(id_)

    def apply(self, visible: Visible) -> Visible:
        """Return what is visible once it is done."""
        id_ = entry_id(self.recipe)
        if self.what in (PUBLISH, REPLACE):
            return replace(visible, ids=visible.ids | {id_})
        if self.what == UNTAG:
            return replace(visible, names={n: v for n, v in visible.names.items() if n.split("/")[1] != self.alias})
        if self.what == REMOVE:
            return Visible(visible.ids - {id_}, {n: v for n, v in visible.names.items() if v != id_})
        alias = self.alias if self.what == TAG else LATEST
        return replace(visible, names={**visible.names, f"{self.recipe.kind}/{alias}": id_})


def plan(visible: Visible, rng: random.Random) -> list[Action]:
    """Return some actions that are possible one after the other."""
    actions: list[Action] = []
    while len(actions) < ACTIONS_EACH:
        action = Action(rng.choice(ACTIONS), rng.randrange(ENTRIES), rng.choice(ALIASES), rng.randrange(100, 60_000))
        there = entry_id(action.recipe) in visible.ids
        named = any(name.endswith(f"/{action.alias}") for name in visible.names)
        if named if action.what == UNTAG else there or action.what in (PUBLISH, REPLACE):
            actions.append(action)
            visible = action.apply(visible)
    return actions


def kill_often(folder: Path, kills: int, seed: int = 0) -> Outcome:
    """Start processes on one home until ``kills`` of them were killed before they had finished."""
    outcome, rng, home = Outcome(), random.Random(seed), folder / "killed"
    started, landed_in, alone, took, with_drafts, visible = 0, Counter[str](), list[float](), 0.0, 0, Visible()
    # Two bytes that the child writes and outlive it: how many actions it has begun, and how many it has done.
    progress = mmap.mmap(-1, 2)
    while outcome.count < kills:
        actions, drafts = plan(visible, rng), list_drafts(home)
        # Some are left alone, to learn how long they take; the moments are spread over all of it.
        spared = started % SPARED_EVERY == 0
        status, seconds = _run(home, actions, progress, None if spared else rng.uniform(0, took))
        started += 1
        begun, done = progress[:]
        if status not in (0, -signal.SIGKILL):
            outcome.violations.append(f"{seed=}, process {started}: {actions} ended with {status}")
        if spared:
            # The median, because a process that was slow once would let the next ones finish before their kill.
            alone.append(seconds)
            took = median(alone[-5:])
        elif status != 0:
            outcome.count += 1
            landed_in[actions[begun - 1].what if begun > done else "between"] += 1
            with_drafts += bool(list_drafts(home) - drafts)
        found = see(home)
        outcome.violations += [
            f"{seed=}, process {started}: {line}" for line in _find_violations(visible, actions, done, found)
        ]
        outcome.violations += [f"{seed=}, process {started}: {line}" for line in find_unsound(home)]
        visible = found
    outcome.violations += _collect(home)
    outcome.figures = {
        "processes": started,
        "spared": -(-started // SPARED_EVERY),
        "finished_before_the_kill": started + -started // SPARED_EVERY - outcome.count,
        "killed_in": dict(landed_in.most_common()),
        "left_a_draft": with_drafts,
        "entries_at_the_end": len(visible.ids),
    }
    return outcome


def _run(home: Path, actions: list[Action], progress: Any, delay: float | None) -> tuple[int, float]:
    """Let a process act and kill it after ``delay`` seconds, if any; return its exit code, or -9, and its seconds."""
    progress[:] = bytes(2)

    def act() -> None:
        registry = Registry(home)
        for number, action in enumerate(actions, start=1):
            progress[0] = number
            action.act(registry)
            progress[1] = number

    start = time.perf_counter()
    pid = fork(act, report=2)
    if delay is not None:
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, time.perf_counter() - start


def _find_violations(visible: Visible, actions: list[Action], done: int, found: Visible) -> list[str]:
    """Return what is neither as after all that was done, nor as after the action that was under way."""
    for action in actions[:done]:
        visible = action.apply(visible)
    return find_lost(found, visible, actions[done].apply(visible) if done < len(actions) else visible)


def _collect(home: Path) -> list[str]:
    """Return what of the killed processes ``registry gc`` would leave a day later."""
    registry = Registry(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "DEAD_AFTER", -1.0)
        try:
            collection.remove_garbage(registry, collection.find_garbage(registry))
        except CorruptError as error:
            # The last kill left an entry that gc refuses to remove or keep.
            return [str(error)]
    left = [f"{name} is left in tmp/" for name in sorted(list_drafts(home))]
    return left + find_unsound(home) + [f"{id_} is no id" for id_ in see(home).ids if not ID.fullmatch(id_)]
