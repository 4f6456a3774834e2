"""Make every cell of an experiment that is not there yet, level by level, one after the other or side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median

from advae.datasets import load_dataset
from advae.errors import DivergedError, KilledError
from advae.records import AutoencoderMetrics, AutoencoderRecipe, ClassifierMetrics, ClassifierRecipe, Dataset
from advae.registry import Registry
from advae.workflows.attacking import make_run
from advae.workflows.layout import LEVELS, Cell, Level, estimate_seconds
from advae.workflows.training import make_autoencoder, make_classifier
from advae.workflows.workspace import Workspace

DEFAULT_SPEED = 1.3e11
"""Operations a second of the networks of this project, measured on two cores of a server."""

LARGE_ENOUGH = 1e12
"""Operations of a training that says how fast a machine is; a smaller one's time is all overhead."""


@dataclass(frozen=True)
class Finished:
    """What became of a cell.

    lines: for people, where they have not been told yet; diverged: why its training came to nothing, else None.
    """

    cell: Cell
    seconds: float
    lines: tuple[str, ...] = ()
    diverged: str | None = None


Watch = Callable[[Finished], None]


@dataclass(frozen=True)
class Survey:
    """The cells of an experiment and which of them are there already. speed: operations a second, to foretell times."""

    cells: tuple[Cell, ...]
    cached: frozenset[str]
    speed: float

    def list_level(self, level: Level) -> list[Cell]:
        """Return the cells of a level."""
        return [cell for cell in self.cells if cell.level == level]

    def list_missing(self, level: Level) -> list[Cell]:
        """Return the cells of a level that have to be made."""
        return [cell for cell in self.list_level(level) if cell.id not in self.cached]

    def estimate_seconds(self, level: Level) -> float:
        """Return about how long what is missing of a level takes, one after the other."""
        return estimate_seconds(self.list_missing(level), self.speed)


def survey(registry: Registry, cells: Sequence[Cell]) -> Survey:
    """Return which cells of an experiment are in the registry, and how fast this machine is."""
    there = set(registry.ids())
    cached = frozenset(cell.id for cell in cells if cell.id in there)
    return Survey(tuple(cells), cached, _measure_speed(registry, [cell for cell in cells if cell.id in cached]))


def _measure_speed(registry: Registry, cells: Iterable[Cell]) -> float:
    """Return how many operations a second this machine did when it trained the cells that are there.

    The default where none of them says.
    """
    speeds = []
    for cell in cells:
        manifest = registry.find(cell.id) if cell.level != "attacks" else None
        metrics = manifest.metrics if manifest else None
        history = metrics.history if isinstance(metrics, AutoencoderMetrics | ClassifierMetrics) else None
        if history and cell.cost >= LARGE_ENOUGH:
            speeds.append(cell.cost / history.seconds)
    return median(speeds) if speeds else DEFAULT_SPEED


def make_cells(workspace: Workspace, survey: Survey, *, jobs: int, watch: Watch) -> list[Finished]:
    """Make the cells that are not there yet, and return those whose training diverged.

    jobs: how many at a time, each in a process of its own from 2 on. What rests on a cell that diverged is left out.
    watch: called for each as it is finished, in the order in which they are. What is finished stays, whatever ends the
    others. Raises what training and attacking raise, KilledError where the system ended a process.
    """
    missing, diverged = set[str](), list[Finished]()
    # A process of its own can tell only once it is done; here whoever waits for another's cell is told why at once.
    make = partial(_make, tell=workspace.tell) if jobs == 1 else _make
    with _open_pool(jobs, make) as run:
        for level in LEVELS:
            todo = survey.list_missing(level)
            missing |= {cell.id for cell in todo if missing & set(cell.recipe.parents)}
            ready = [Task(workspace.registry.home, workspace.data_dir, cell) for cell in todo if cell.id not in missing]
            for finished in run(ready):
                if finished.diverged:
                    diverged.append(finished)
                    missing.add(finished.cell.id)
                watch(finished)
    return diverged


@dataclass(frozen=True)
class Task:
    """A cell to be made, and where: what a process of its own has to be told."""

    home: Path
    data_dir: Path | None
    cell: Cell


Run = Callable[[Sequence[Task]], Iterable[Finished]]


@contextmanager
def _open_pool(jobs: int, make: Callable[[Task], Finished]) -> Iterator[Run]:
    """Give what makes cells in any order, ``jobs`` at a time, and yields each as it is finished.

    Raises KilledError where a process ends before its cell does.
    """
    if jobs == 1:
        yield lambda tasks: map(make, tasks)
        return
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed, parallel_config

    try:
        # Else joblib gives each process a share of the threads, and a sum's last bits depend on how many there are.
        with (
            parallel_config(backend="loky", inner_max_num_threads=os.cpu_count()),
            Parallel(n_jobs=jobs, return_as="generator_unordered") as parallel,
        ):
            yield lambda tasks: parallel(delayed(make)(task) for task in tasks)
    except BrokenProcessPool:
        raise KilledError(
            "a process was killed, probably for want of memory; try a smaller --jobs; what is finished stays"
        ) from None


def _make(task: Task, tell: Callable[[str], None] | None = None) -> Finished:
    """Make one cell, here or in a process of its own. tell: takes its lines at once; None keeps them for the answer."""
    cell, lines, started = task.cell, list[str](), time.monotonic()
    workspace = Workspace(Registry(task.home), task.data_dir, tell=tell or lines.append)
    diverged = None
    try:
        _make_entry(workspace, cell)
    except DivergedError as error:
        diverged = str(error)
    return Finished(cell, time.monotonic() - started, tuple(lines), diverged)


def _make_entry(workspace: Workspace, cell: Cell) -> None:
    def load() -> Dataset:
        return _load(cell.place, workspace.data_dir)

    if isinstance(cell.recipe, AutoencoderRecipe):
        make_autoencoder(workspace, cell.recipe, load(), latest=False)
    elif isinstance(cell.recipe, ClassifierRecipe):
        make_classifier(workspace, cell.recipe, load(), latest=False)
    elif cell.prepared:
        classifier = workspace.registry.manifest(cell.prepared.recipe.classifier)
        make_run(workspace, cell.prepared, classifier, load, latest=False)


@cache
def _load(place: str, data_dir: Path | None) -> Dataset:
    return load_dataset(place, data_dir=data_dir)
