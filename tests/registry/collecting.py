"""What gc and other commands do to folders of others, through links, and beside running commands."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from advae.errors import AdvaeError, DiskError, NotFoundError
from advae.records import AutoencoderRecipe, entry_id
from advae.registry import Registry
from advae.registry.collection import find_garbage, remove_garbage
from tests.entries import make_autoencoder_recipe, make_run_recipe, publish, read_tree
from tests.registry.faulty_disk import BEFORE, Step, watch
from tests.registry.publisher import NEW, NEW_CLF, OPERATIONS, furnish
from tests.registry.trials import Outcome, await_all, find_unsound, fork, see


def collect(registry: Registry) -> None:
    """Do what ``advae registry gc --no-grace`` does."""
    remove_garbage(registry, find_garbage(registry, grace=False))


# ---------------------------------------------------------------- files of others


def write(path: Path, *, age: float = 1e9) -> None:
    """Write a file that has lain there for long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    os.utime(path, (time.time() - age,) * 2)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a file of one's own": lambda home: write(home / "thesis.tex"),
    "a folder of one's own": lambda home: write(home / "src" / "main.c"),
    "both": lambda home: (write(home / "thesis.tex"), (home / "entries").mkdir()),
    "VERSION of another program": lambda home: write(home / "VERSION"),
    "VERSION of another program, a number": lambda home: (
        write(home / "src" / "main.c"),
        (home / "VERSION").write_text("1\n"),
    ),
    "VERSION is a folder": lambda home: write(home / "VERSION" / "x"),
    "tmp of one's own": lambda home: write(home / "tmp" / "notes.txt"),
    "tmp with random names of one's own": lambda home: write(home / "tmp" / "old-0123456789abcdef" / "thesis.tex"),
    "tmp is a link": lambda home: (write(home.parent / "far" / "x"), home.mkdir(), (home / "tmp").symlink_to("../far")),
    "tmp is a file": lambda home: write(home / "tmp"),
    "checkpoints of one's own": lambda home: write(home / "checkpoints" / "epoch7.npz"),
    "refs of one's own": lambda home: write(home / "refs" / "heads" / "main"),
    "entries of one's own": lambda home: write(home / "entries" / "monday.txt"),
}
"""Folders that are no homes."""

BESIDE = (
    *("notes.txt", "tmp/notes.txt", "tmp/publish", "tmp/publish-0", "locks/my.lock", "locks/lease-1.lock"),
    *("tmp/old-0123456789abcdef", "tmp/notes-0123456789abcdef-thesis"),
    *("checkpoints/epoch7.npz", "checkpoints/notes.txt", "entries/monday.txt", "entries/check-0000000000000000"),
    *("refs/heads", "refs/ae/.hidden"),
)
"""What people may keep in a home, old enough to be taken for left behind."""


def meet_strangers(folder: Path) -> Outcome:
    """Let every operation meet folders that are no homes, and gc what lies beside the store and behind links."""
    outcome = Outcome()
    for what, make in FOREIGN.items():
        home = folder / f"foreign{outcome.count}" / "home"
        home.parent.mkdir()
        make(home)
        before = read_tree(home.parent)
        for name, operation in {**OPERATIONS, "gc": None}.items():
            outcome.count += 1
            try:
                operation.act(Registry(home)) if operation else collect(Registry(home))
                outcome.violations.append(f"{what}, {name}: no DiskError")
            except DiskError:
                pass
            except AdvaeError as error:
                outcome.violations.append(f"{what}, {name}: {type(error).__name__} instead of a DiskError")
            if read_tree(home.parent) != before:
                outcome.violations.append(f"{what}, {name}: the folder was written into")
                break
    return outcome + _keep_beside(folder / "beside") + _follow_no_link(folder / "linked")


def _keep_beside(home: Path) -> Outcome:
    furnish(home)
    for name in BESIDE:
        write(home / name)
    collect(Registry(home))
    gone = [name for name in BESIDE if not (home / name).exists()]
    return Outcome(len(BESIDE), [f"{name}, beside the store, was removed" for name in gone])


def _follow_no_link(folder: Path) -> Outcome:
    outcome = Outcome()
    for name in ("tmp", "locks", "checkpoints", "entries", "refs"):
        home, far = folder / name / "home", folder / name / "far"
        furnish(home)
        (home / name).rename(far) if (home / name).exists() else far.mkdir()
        (home / name).symlink_to(far)
        for inner in ("publish-0000000000000000", "ae-000000000000.lock", f"{entry_id(NEW)}.npz", ".check-" + "0" * 16):
            write(far / inner)
        before = read_tree(far)
        with suppress(DiskError):
            collect(Registry(home))
        outcome.count += 1
        outcome.violations += [] if read_tree(far) == before else [f"{name}: something is gone through a link"]
    return outcome


# ---------------------------------------------------------------- beside others


def _publish_under_lease(home: Path, recipes: list[AutoencoderRecipe], made: Path) -> None:
    """Publish recipes one after the other under one lease, touch a file for each of them, and wait to be killed."""
    own = Registry(home)
    with own.lease(entry_id(recipe) for recipe in recipes):
        for recipe in recipes:
            publish(own, recipe)
            (made / entry_id(recipe)).touch()
        time.sleep(600)


def collect_beside_commands(folder: Path, *, rounds: int = 20, cells: int = 8) -> Outcome:
    """Collect again and again beside a command that makes one entry after the other, and kill it half-way."""
    outcome = Outcome(rounds)
    for number in range(rounds):
        home, registry = folder / f"leased{number}", Registry(folder / f"leased{number}")
        recipes = [make_autoencoder_recipe(seed=seed) for seed in range(cells)]
        made = folder / f"made{number}"
        made.mkdir()

        pid, end = fork(partial(_publish_under_lease, home, recipes, made), report=2), time.monotonic() + 300
        while len(list(made.iterdir())) < (number % cells) + 1 and time.monotonic() < end:
            collect(registry)
        collect(registry)
        lost = {path.name for path in made.iterdir()} - set(registry.ids())
        os.kill(pid, signal.SIGKILL)
        await_all([pid])
        lost |= {path.name for path in made.iterdir()} - set(registry.ids())
        outcome.violations += [f"round {number}: {id_} was leased and is lost" for id_ in sorted(lost)]
        collect(registry)
        left = [*registry.ids(), *find_unsound(home)]
        outcome.violations += [f"round {number}: {line} is left when the command is dead" for line in left]
    return outcome


def meet_collection(folder: Path) -> Outcome:
    """Name, use or lease what gc has found, before each of its steps."""
    outcome = Outcome()
    pair = entry_id(NEW), entry_id(NEW_CLF)
    run = make_run_recipe(classifier=pair[1])
    others: dict[str, Callable[[Registry], object]] = {
        "tag": lambda registry: registry.tag(registry.manifest(pair[1]), "mine"),
        "latest": lambda registry: registry.mark_latest(registry.manifest(pair[1])),
        "attack": lambda registry: registry.manifest(pair[1]) and publish(registry, run),
        "lease": lambda registry: held.enter_context(registry.lease(pair)) or registry.manifest(pair[1]),
    }
    for name, other in others.items():
        at, more = 0, True
        while more:
            with ExitStack() as held:
                more = _meet_collection(folder / f"{name}{at}", other, pair, at, outcome, name)
            at += 1
    return outcome


def _meet_collection(
    home: Path, other: Callable[[Registry], object], pair: tuple[str, str], at: int, outcome: Outcome, name: str
) -> bool:
    """Return whether gc had so many steps."""
    furnish(home)
    registry, met, won = Registry(home), list[Step](), list[bool]()
    for recipe in (NEW, NEW_CLF):
        publish(registry, recipe)

    def hook(number: int, step: Step, moment: str) -> None:
        if (number, moment) == (at, BEFORE):
            met.append(step)
            try:
                other(Registry(home))
                won.append(True)
            except NotFoundError:
                won.append(False)

    with watch(home, hook):
        collect(registry)
    outcome.count += len(met)
    lost = set(pair) - see(home).ids if won == [True] else set()
    lines = [f"{id_} is lost though it was needed" for id_ in sorted(lost)] + find_unsound(home)
    outcome.violations += [f"{name} at {at} {met[0].name if met else ''}: {line}" for line in lines]
    return bool(met)
