"""Run an experiment: compute every cell that the registry lacks, level by level, one by one or in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import median

from advae.backend import offer_scratch
from advae.datasets import DATASETS, load_dataset
from advae.errors import DatasetError, DivergedError
from advae.experiments.cell_costs import FIXED_SECONDS
from advae.experiments.cells import LEVELS, ExperimentCell, Level
from advae.experiments.dask_cluster import open_cluster
from advae.experiments.processes import Pool, open_pool
from advae.paths import to_path
from advae.records import AutoencoderMetrics, AutoencoderRecipe, ClassifierMetrics, ClassifierRecipe, Dataset
from advae.registry import Registry
from advae.workflows.attacking import make_run
from advae.workflows.training import make_autoencoder, make_classifier
from advae.workflows.workspace import Workspace

DEFAULT_SPEED = 1.3e11
"""Operations a second of the networks of this project, measured on two cores of a server."""

LARGE_ENOUGH = 1e12
"""Operations of a training that says how fast a machine is; a smaller one's time is all overhead."""


@dataclass(frozen=True)
class Finished:
    """A cell that was computed, or whose training diverged."""

    cell: ExperimentCell
    seconds: float
    """Wall-clock time."""
    lines: tuple[str, ...] = ()
    """Lines for people that they have not been told yet."""
    diverged: str | None = None
    """Why its training diverged; None where it did not."""


Watch = Callable[[Finished], None]


@dataclass(frozen=True)
class Survey:
    """The cells of an experiment, and which of them the registry has."""

    cells: tuple[ExperimentCell, ...]
    cached: frozenset[str]
    """Ids of those that the registry has."""
    speed: float
    """Operations a second of this machine, to estimate times."""

    def list_level(self, level: Level) -> list[ExperimentCell]:
        """Return the cells of a level."""
        return [cell for cell in self.cells if cell.level == level]

    def list_missing(self, level: Level) -> list[ExperimentCell]:
        """Return the cells of a level that have to be made."""
        return [cell for cell in self.list_level(level) if cell.id not in self.cached]

    def list_needed(self) -> set[str]:
        """Return the ids of all cells and of what their attackers need; none where no cell is missing."""
        if len(self.cached) == len(self.cells):
            return set()
        dependencies = (one for cell in self.cells if cell.prepared for one in cell.prepared.dependencies)
        needed = {id_ for cell in self.cells for id_ in (cell.id, *cell.recipe.parents)}
        return needed.union(*(dependency.ids for dependency in dependencies))

    def estimate_seconds(self, level: Level) -> float:
        """Return about how long the missing cells of a level take, one after the other, in seconds."""
        return sum(cell.cost / self.speed + FIXED_SECONDS[level] for cell in self.list_missing(level))


def survey(registry: Registry, cells: Sequence[ExperimentCell]) -> Survey:
    """Return which cells of an experiment are in the registry, and how fast this machine is."""
    there = set(registry.ids())
    cached = frozenset(cell.id for cell in cells if cell.id in there)
    return Survey(tuple(cells), cached, _measure_speed(registry, [cell for cell in cells if cell.id in cached]))


def _measure_speed(registry: Registry, cells: Iterable[ExperimentCell]) -> float:
    """Return the operations a second of this machine, measured when it trained cells; the default without any."""
    speeds = []
    for cell in cells:
        manifest = registry.find(cell.id) if cell.level != "attacks" else None
        metrics = manifest.metrics if manifest else None
        history = metrics.history if isinstance(metrics, AutoencoderMetrics | ClassifierMetrics) else None
        if history and history.seconds > 0 and cell.cost >= LARGE_ENOUGH:
            speeds.append(cell.cost / history.seconds)
    return median(speeds) if speeds else DEFAULT_SPEED


def make_cells(
    workspace: Workspace, survey: Survey, *, jobs: int, scheduler: str | None = None, watch: Watch
) -> list[Finished]:
    """Compute the cells that the registry lacks, and return those whose training diverged.

    jobs: how many at a time, each in a process of its own from 2 on; scheduler: address of a dask scheduler whose
    workers do it instead. Cells that need a diverged one are left out. watch: called for each finished cell, in the
    order of finishing. Finished cells stay in the registry, whatever ends the others. Raises what training and
    attacking raise, KilledError where the system ended a process, and what ``open_cluster`` raises.
    """
    missing, diverged = set[str](), list[Finished]()
    # In this process the user is told at once why a cell waits for another process.
    make = partial(_make, tell=workspace.tell) if jobs == 1 and not scheduler else _make
    with workspace.registry.lease(survey.list_needed()), _open(workspace, survey, jobs, scheduler) as run:
        for level in LEVELS:
            todo = survey.list_missing(level)
            missing |= {cell.id for cell in todo if missing & set(cell.recipe.parents)}
            ready = [_describe(workspace, cell) for cell in todo if cell.id not in missing]
            for finished in run(make, ready):
                if finished.diverged:
                    diverged.append(finished)
                    missing.add(finished.cell.id)
                watch(finished)
    return diverged


def _open(workspace: Workspace, survey: Survey, jobs: int, scheduler: str | None) -> AbstractContextManager[Pool]:
    # Processes that are started take over where temporary files go.
    offer_scratch(workspace.registry.folders.tmp)
    if not scheduler:
        return open_pool(jobs)
    tasks = [_describe(workspace, cell) for level in LEVELS for cell in survey.list_missing(level)]
    return open_cluster(
        scheduler, workspace.registry, {path for task in tasks for path in task.list_files()}, workspace.tell
    )


@dataclass(frozen=True)
class Task:
    """A cell to compute, with all that another process or machine needs to know. All paths are absolute."""

    home: Path
    data_dir: Path | None
    cell: ExperimentCell

    def __str__(self) -> str:
        return self.cell.name

    def list_files(self) -> list[Path]:
        """Return what is read for it beside the registry."""
        named = [] if self.cell.place in DATASETS else [Path(self.cell.place)]
        return [*named, self.data_dir] if self.data_dir else named


def _describe(workspace: Workspace, cell: ExperimentCell) -> Task:
    place = cell.place if cell.place in DATASETS else str(to_path(cell.place).absolute())
    data_dir = workspace.data_dir and workspace.data_dir.absolute()
    return Task(workspace.registry.home.absolute(), data_dir, replace(cell, place=place))


def _make(task: Task, tell: Callable[[str], None] | None = None) -> Finished:
    """Compute one cell, here or in its own process. tell: takes lines for people at once; None: they are returned."""
    cell, lines, started = task.cell, list[str](), time.monotonic()
    workspace = Workspace(Registry(task.home), task.data_dir, tell=tell or lines.append)
    diverged = None
    try:
        _make_entry(workspace, cell)
    except DivergedError as error:
        diverged = str(error)
    return Finished(cell, time.monotonic() - started, tuple(lines), diverged)


def _make_entry(workspace: Workspace, cell: ExperimentCell) -> None:
    def load() -> Dataset:
        dataset = _load(cell.place, workspace.data_dir)
        if dataset.ref.digest != cell.recipe.dataset.digest:
            raise DatasetError(
                f"{dataset.source or cell.place} no longer holds the images that the plan was laid out for"
            )
        return dataset

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
