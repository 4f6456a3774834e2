"""Make every cell of an experiment that is not there yet, level by level, one after the other or side by side."""

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
from advae.experiments.cells import LEVELS, ExperimentCell, Level, estimate_seconds
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
    """What became of a cell.

    lines: for people, where they have not been told yet; diverged: why its training came to nothing, else None.
    """

    cell: ExperimentCell
    seconds: float
    lines: tuple[str, ...] = ()
    diverged: str | None = None


Watch = Callable[[Finished], None]


@dataclass(frozen=True)
class Survey:
    """The cells of an experiment and which of them are there already. speed: operations a second, to foretell times."""

    cells: tuple[ExperimentCell, ...]
    cached: frozenset[str]
    speed: float

    def list_level(self, level: Level) -> list[ExperimentCell]:
        """Return the cells of a level."""
        return [cell for cell in self.cells if cell.level == level]

    def list_missing(self, level: Level) -> list[ExperimentCell]:
        """Return the cells of a level that have to be made."""
        return [cell for cell in self.list_level(level) if cell.id not in self.cached]

    def list_needed(self) -> set[str]:
        """Return the ids of all cells, and of what their attackers need; none where nothing is missing."""
        if len(self.cached) == len(self.cells):
            return set()
        dependencies = (one for cell in self.cells if cell.prepared for one in cell.prepared.dependencies)
        needed = {id_ for cell in self.cells for id_ in (cell.id, *cell.recipe.parents)}
        return needed.union(*(dependency.ids for dependency in dependencies))

    def estimate_seconds(self, level: Level) -> float:
        """Return about how long what is missing of a level takes, one after the other."""
        return estimate_seconds(self.list_missing(level), self.speed)


def survey(registry: Registry, cells: Sequence[ExperimentCell]) -> Survey:
    """Return which cells of an experiment are in the registry, and how fast this machine is."""
    there = set(registry.ids())
    cached = frozenset(cell.id for cell in cells if cell.id in there)
    return Survey(tuple(cells), cached, _measure_speed(registry, [cell for cell in cells if cell.id in cached]))


def _measure_speed(registry: Registry, cells: Iterable[ExperimentCell]) -> float:
    """Return how many operations a second this machine did when it trained the cells that are there.

    The default where none of them says.
    """
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
    """Make the cells that are not there yet, and return those whose training diverged.

    jobs: how many at a time, each in a process of its own from 2 on. scheduler: of dask, whose workers do it instead.
    What rests on a cell that diverged is left out. watch: called for each as it is finished, in the order in which they
    are. What is finished stays, whatever ends the others. Raises what training and attacking raise, KilledError where
    the system ended a process, and what ``open_cluster`` raises.
    """
    missing, diverged = set[str](), list[Finished]()
    # A process of its own can tell only once it is done; here whoever waits for another's cell is told why at once.
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
    """A cell to be made, and where: what another process, or machine, has to be told. All paths are absolute."""

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
    """Make one cell, here or in a process of its own. tell: takes its lines at once; None keeps them for the answer."""
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
