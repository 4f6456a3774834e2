"""The experiment runner: it computes every cell that the registry does not have, level by level, also in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import median

from advae.backend import offer_scratch
from advae.datasets.load import load_dataset
from advae.datasets.table import DATASETS
from advae.errors import DatasetError, DivergedError
from advae.experiments.cell_costs import FIXED_SECONDS
from advae.experiments.cells import LEVELS, ExperimentCell, Level
from advae.experiments.dask_cluster import open_cluster
from advae.experiments.processes import Pool, open_pool
from advae.paths import to_path
from advae.records import (
    AutoencoderMetrics,
    AutoencoderRecipe,
    CertificateRecipe,
    ClassifierMetrics,
    ClassifierRecipe,
    CodeAttackRecipe,
    Dataset,
    SurfaceRecipe,
)
from advae.registry import Registry
from advae.workflows.certifying import make_certificate
from advae.workflows.classifier_choice import Target
from advae.workflows.code_attacking import make_code_attack
from advae.workflows.computing_runs import make_run
from advae.workflows.drawing_surfaces import make_surface
from advae.workflows.training import make_autoencoder, make_classifier
from advae.workflows.workspace import Workspace

DEFAULT_SPEED = 1.3e11
"""Default speed in operations a second, measured with the networks of this project on two cores of a server."""

LARGE_ENOUGH = 1e12
"""Fewest operations of a training from which a machine's speed is measured; smaller ones are mostly overhead."""


@dataclass(frozen=True)
class Finished:
    """A cell that was computed, or whose training diverged."""

    cell: ExperimentCell
    """The cell."""
    seconds: float
    """Wall-clock time, in seconds."""
    lines: tuple[str, ...] = ()
    """Messages for the user that were not shown yet."""
    diverged: str | None = None
    """Message of a training that diverged; None where it did not."""


Watch = Callable[[Finished], None]


@dataclass(frozen=True)
class Survey:
    """The cells of an experiment, and which of them the registry has."""

    cells: tuple[ExperimentCell, ...]
    """All cells, each after those that it needs."""
    cached: frozenset[str]
    """Ids of the cells that the registry has."""
    speed: float
    """Speed of this machine in operations a second, to estimate times."""

    def list_level(self, level: Level) -> list[ExperimentCell]:
        """Return the cells of a level."""
        return [cell for cell in self.cells if cell.level == level]

    def list_missing(self, level: Level) -> list[ExperimentCell]:
        """Return the cells of a level that have to be computed."""
        return [cell for cell in self.list_level(level) if cell.id not in self.cached]

    def list_needed(self) -> set[str]:
        """Return the ids of all cells and of the entries that their attackers need; empty where no cell is missing."""
        if len(self.cached) == len(self.cells):
            return set()
        dependencies = (one for cell in self.cells if cell.prepared for one in cell.prepared.dependencies)
        needed = {id_ for cell in self.cells for id_ in (cell.id, *cell.recipe.parents)}
        return needed.union(*(dependency.ids for dependency in dependencies))

    def estimate_cell(self, cell: ExperimentCell) -> float:
        """Return the estimated time of a cell, in seconds."""
        return cell.cost / self.speed + FIXED_SECONDS[cell.level]

    def estimate_seconds(self, level: Level) -> float:
        """Return the estimated time of the missing cells of a level, one after the other, in seconds."""
        return sum(map(self.estimate_cell, self.list_missing(level)))


def survey(registry: Registry, cells: Sequence[ExperimentCell]) -> Survey:
    """Return which cells of an experiment are in the registry, and how fast this machine is."""
    there = set(registry.ids())
    cached = frozenset(cell.id for cell in cells if cell.id in there)
    return Survey(tuple(cells), cached, _measure_speed(registry, [cell for cell in cells if cell.id in cached]))


def _measure_speed(registry: Registry, cells: Iterable[ExperimentCell]) -> float:
    """Return the speed of this machine in operations a second: measured in stored trainings, else the default."""
    speeds = []
    for cell in cells:
        manifest = (
            registry.find(cell.id)
            if cell.level not in ("attacks", "certificates", "surfaces", "code attacks")
            else None
        )
        metrics = manifest.metrics if manifest else None
        history = metrics.history if isinstance(metrics, AutoencoderMetrics | ClassifierMetrics) else None
        if history and history.seconds > 0 and cell.cost >= LARGE_ENOUGH:
            speeds.append(cell.cost / history.seconds)
    return median(speeds) if speeds else DEFAULT_SPEED


def make_cells(
    workspace: Workspace,
    survey: Survey,
    *,
    jobs: int,
    scheduler: str | None = None,
    watch: Watch,
    lost: Iterable[str] = (),
) -> list[Finished]:
    """Compute the cells that the registry does not have, and return those whose training diverged.

    jobs: number of cells in parallel, from 2 on each in a process of its own; scheduler: address of a dask scheduler
    whose workers compute instead. Cells that need a diverged one are skipped. watch: called for each finished cell, in
    the order of finishing. lost: ids of cells whose training diverged before. Finished cells stay in the registry when
    another one fails. Raises the errors of training and attacking, KilledError where the system ended a process, and
    the errors of ``open_cluster``.
    """
    missing, diverged = set(lost), list[Finished]()
    # With one process, messages such as waiting for another process are shown at once.
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
    # Child processes inherit the folder of temporary files.
    offer_scratch(workspace.registry.folders.tmp)
    if not scheduler:
        return open_pool(jobs)
    tasks = [_describe(workspace, cell) for level in LEVELS for cell in survey.list_missing(level)]
    return open_cluster(
        scheduler, workspace.registry, {path for task in tasks for path in task.list_files()}, workspace.tell
    )


@dataclass(frozen=True)
class Task:
    """A cell to compute, with the paths that another process or machine needs; all paths are absolute."""

    home: Path
    """Folder of the registry."""
    data_dir: Path | None
    """Folder with the files of datasets; None where the user names none."""
    cell: ExperimentCell
    """The cell."""

    def __str__(self) -> str:
        return self.cell.name

    def list_files(self) -> list[Path]:
        """Return the files and folders outside the registry that the task reads."""
        named = [] if self.cell.place in DATASETS else [Path(self.cell.place)]
        return [*named, self.data_dir] if self.data_dir else named


def _describe(workspace: Workspace, cell: ExperimentCell) -> Task:
    place = cell.place if cell.place in DATASETS else str(to_path(cell.place).absolute())
    data_dir = workspace.data_dir and workspace.data_dir.absolute()
    return Task(workspace.registry.home.absolute(), data_dir, replace(cell, place=place))


def _make(task: Task, tell: Callable[[str], None] | None = None) -> Finished:
    """Compute one cell, in this or another process. tell: shows messages at once; None: they are returned."""
    cell, lines, started = task.cell, list[str](), time.monotonic()
    workspace = Workspace(Registry(task.home), task.data_dir, tell=tell or lines.append)
    diverged = None
    try:
        _make_entry(workspace, cell)
    except DivergedError as error:
        diverged = str(error)
    return Finished(cell, time.monotonic() - started, tuple(lines), diverged)


def _make_entry(workspace: Workspace, cell: ExperimentCell) -> None:
    ref = cell.recipe.dataset

    def load() -> Dataset:
        dataset = _load(cell.place, workspace.data_dir, ref.resize, ref.kept)
        if dataset.ref.digest != ref.digest:
            raise DatasetError(
                f"{dataset.source or cell.place} no longer contains the images that the plan was made for"
            )
        return dataset

    if isinstance(cell.recipe, AutoencoderRecipe):
        make_autoencoder(workspace, cell.recipe, load(), latest=False)
    elif isinstance(cell.recipe, ClassifierRecipe):
        make_classifier(workspace, cell.recipe, load(), latest=False)
    elif isinstance(cell.recipe, CertificateRecipe):
        classifier = workspace.registry.manifest(cell.recipe.classifier)
        make_certificate(workspace, cell.recipe, Target(classifier, load), latest=False)
    elif isinstance(cell.recipe, SurfaceRecipe):
        classifier = workspace.registry.manifest(cell.recipe.classifier)
        make_surface(workspace, cell.recipe, Target(classifier, load), latest=False)
    elif isinstance(cell.recipe, CodeAttackRecipe):
        autoencoder = workspace.registry.manifest(cell.recipe.autoencoder)
        make_code_attack(workspace, cell.recipe, autoencoder, load, latest=False)
    elif cell.prepared:
        classifier = workspace.registry.manifest(cell.prepared.recipe.classifier)
        make_run(workspace, cell.prepared, classifier, load, latest=False)


@cache
def _load(place: str, data_dir: Path | None, resize: tuple[int, int] | None, kept: tuple[int, ...] | None) -> Dataset:
    return load_dataset(place, data_dir=data_dir, resize=resize, classes=kept)
