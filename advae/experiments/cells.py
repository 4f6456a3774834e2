"""The cells of an experiment: trainings, attacks, certificates and surfaces of its plan, with their recipes and ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from advae.errors import UsageError
from advae.experiments import NONE, AttackPlan, Experiment, cell_costs, plan_entries
from advae.experiments.calibration import choose_result
from advae.experiments.cell_names import is_raw, name_recipes, name_seed
from advae.experiments.own_options import parse_own_options
from advae.experiments.plan import PlannedPipelines
from advae.experiments.planned_datasets import PlannedDatasets, require_same
from advae.experiments.planned_requests import list_pipeline_attacks, refuse_unknown_threats, say_where
from advae.models import classifiers, purifiers
from advae.records import (
    AutoencoderRecipe,
    ClassifierRecipe,
    Recipe,
    RunRecipe,
    entry_id,
)
from advae.records.pipeline_names import name_purifier
from advae.registry import Registry
from advae.requests import (
    AttackRequest,
    CertificateRequest,
    ClassifierRequest,
    EntryRequest,
    PlacementRequest,
    note_zero,
)
from advae.workflows.certifying import prepare_certificate
from advae.workflows.code_attacking import prepare_code_attack
from advae.workflows.counterparts import PipelineRecipes, describe_undefended
from advae.workflows.drawing_surfaces import prepare_surface
from advae.workflows.retraining import describe_classifier
from advae.workflows.run_recipes import PreparedRun, prepare_run
from advae.workflows.training import describe_companion
from advae.workflows.workspace import Workspace

Level = Literal[
    "autoencoders",
    "classifiers",
    "defences",
    "cascades",
    "behind defences",
    "surrogates",
    "attacks",
    "certificates",
    "surfaces",
    "code attacks",
]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels in the order of computation: a cell needs cells of earlier levels only. Defences are autoencoders that are
trained with a classifier, some of them in front of a classifier that is trained before. Cascades consist of
autoencoders and defences. Surrogates are trained on the answers of an added classifier."""


@dataclass(frozen=True)
class ExperimentCell:
    """One entry of an experiment: a training, an attack, a certificate, a surface, or an added model."""

    level: Level
    """Level of computation."""
    recipe: Recipe
    """Recipe of the entry."""
    place: str
    """Name or path of its dataset."""
    name: str
    """Name for progress and errors."""
    cost: float
    """Estimated floating-point operations."""
    prepared: PreparedRun | None = None
    """The checked recipe of an attack and the pipelines that it needs; None for another cell."""

    @property
    def id(self) -> str:
        return entry_id(self.recipe)


@dataclass
class CellGrid:
    """The cells of one dataset and seed; a cell that several parts of a plan need is listed once."""

    registry: Registry
    """The registry, whose entries a plan may name."""
    experiment: Experiment
    """The plan."""
    datasets: PlannedDatasets
    """The dataset, whole and restricted to classes."""
    seed: int
    """Seed of all trainings and attacks."""
    wait: Callable[[str], None]
    """Takes the name of each attack whose eps is not calibrated yet."""
    cells: dict[str, ExperimentCell] = field(default_factory=dict)
    """Id -> cell."""
    purifiers: dict[str, AutoencoderRecipe] = field(default_factory=dict)
    """Name in the plan -> recipe."""
    protected: dict[str, ClassifierRecipe] = field(default_factory=dict)
    """Id -> recipe of the classifiers that purifiers are trained in front of, or whose weights are used."""


def list_cells(
    workspace: Workspace, experiment: Experiment, wait: Callable[[str], None] = lambda name: None
) -> tuple[ExperimentCell, ...]:
    """Return every cell of an experiment, each after the cells that it needs.

    wait: takes the name of each attack that is not listed yet, because the sweep by which its eps is calibrated is not
    in the registry; that sweep is listed.
    Raises UsageError for a plan that cannot be run, NotFoundError for an entry that it names and the registry does not
    have, DatasetError where a dataset is missing.
    """
    found: dict[str, ExperimentCell] = {}
    refuse_unknown_threats(experiment)
    plans = (*experiment.attacks, *experiment.certificates)
    for note in dict.fromkeys(filter(None, (note_zero(plan.eps) for plan in plans))):
        workspace.tell(note)
    for place in experiment.datasets:
        datasets = PlannedDatasets(workspace, place, experiment.resize)
        for seed in experiment.seeds:
            found |= _list_grid_cells(CellGrid(workspace.registry, experiment, datasets, seed, wait))
    return tuple(sorted(found.values(), key=lambda cell: LEVELS.index(cell.level)))


def _list_grid_cells(grid: CellGrid) -> dict[str, ExperimentCell]:
    for name in grid.experiment.autoencoders:
        grid.purifiers[name], protected = _describe_autoencoder(grid, name)
        if protected:
            grid.protected[entry_id(protected)] = protected
        _add_autoencoder(grid, grid.purifiers[name])
    for plan in grid.experiment.attacks:
        for recipes in _list_pipelines(grid, plan):
            _add_classifier(grid, recipes)
            fitted = _calibrate(grid, plan, recipes) if plan.calibrate else plan
            for request in list_pipeline_attacks(fitted, grid.seed, recipes):
                if request.eps:
                    _add_run(grid, recipes, request)
                else:
                    grid.wait(f"{request.method}, {request.threat}, {name_recipes(recipes)}")
    for certified in grid.experiment.certificates:
        for recipes in _list_pipelines(grid, certified):
            _add_classifier(grid, recipes)
            for wanted in certified.list_requests(grid.seed):
                _add_certificate(grid, recipes, wanted)
    _add_surfaces(grid)
    _add_code_attacks(grid)
    # An autoencoder that no attack names is trained, too.
    for protected in tuple(grid.protected.values()):
        _add_classifier(grid, PipelineRecipes(protected))
    return grid.cells


def _calibrate(grid: CellGrid, plan: AttackPlan, recipes: PipelineRecipes) -> AttackPlan:
    """Return attacks at the calibrated eps; without eps where the sweep, which is listed, is still to be computed."""
    if plan.calibrate is None:
        return plan
    undefended = describe_undefended(recipes)
    _add_classifier(grid, undefended)
    sweep = _add_run(grid, undefended, plan.calibrate.make_request(grid.seed, plan.norm))
    found = grid.registry.find_made(sweep)
    if not found:
        return plan
    _, metrics = found.as_run()
    return plan.model_copy(update={"eps": (choose_result(metrics.results, plan.calibrate.accuracy).eps,)})


def _describe_autoencoder(grid: CellGrid, name: str) -> tuple[AutoencoderRecipe, ClassifierRecipe | None]:
    """Return the recipes of an autoencoder of the plan and of the classifier that it protects, None without one."""
    wanted, source = grid.experiment.request_autoencoder(name, grid.seed), grid.experiment.find_protected(name)
    protected = _describe_undefended(grid, source) if source else None
    with say_where(f"autoencoders.{name}"):
        if isinstance(wanted, EntryRequest):
            return plan_entries.find_planned_autoencoder(grid.registry, wanted.ref, grid.datasets)
        dataset = grid.datasets.load(grid.experiment.list_classes(grid.experiment.autoencoders[name]))
        if protected:
            classifiers.require_protectable(protected)
            require_same(dataset.ref, protected.dataset, f"{source!r}, which it protects,")
        id_ = entry_id(protected) if protected else None
        return purifiers.make_autoencoder_recipe(parse_own_options(wanted), dataset, id_), protected


def _list_pipelines(grid: CellGrid, plan: PlannedPipelines) -> Iterator[PipelineRecipes]:
    """Yield the pipelines that a part of a plan is about, by their recipes."""
    for model in plan.classifiers:
        request = grid.experiment.request_classifier(model, grid.seed)
        for name in plan.behind:
            purifier = None if name == NONE else grid.purifiers[name]
            with say_where(f"classifiers.{model}"):
                recipe, sources = _describe_classifier(grid, model, request, purifier)
                if purifier:
                    require_same(recipe.dataset, purifier.dataset, f"autoencoder {name!r}")
            protects = purifier.protects if purifier else None
            needed = ({protects: grid.protected[protects]} if protects else {}) | sources
            yield PipelineRecipes(recipe, purifier, tuple(needed.values()))


def _describe_undefended(grid: CellGrid, name: str) -> ClassifierRecipe:
    """Return the recipe of a classifier that the plan trains, or takes from the registry, without an autoencoder."""
    with say_where(f"classifiers.{name}"):
        request = grid.experiment.request_classifier(name, grid.seed)
        if isinstance(request, PlacementRequest):
            raise UsageError("it is not trained by itself")
        return _describe_classifier(grid, name, request, None)[0]


def _describe_classifier(
    grid: CellGrid,
    name: str,
    request: ClassifierRequest | PlacementRequest | EntryRequest,
    purifier: AutoencoderRecipe | None,
) -> tuple[ClassifierRecipe, dict[str, ClassifierRecipe]]:
    """Return the recipe of a classifier behind a purifier, and the recipe, by id, of the one whose weights it uses."""
    parent = entry_id(purifier) if purifier else None
    if isinstance(request, ClassifierRequest):
        dataset = grid.datasets.load(grid.experiment.list_classes(grid.experiment.classifiers[name]))
        return describe_classifier(request, dataset, purifier), {}
    if isinstance(request, EntryRequest):
        source = plan_entries.find_planned_classifier(grid.registry, request.ref, grid.datasets)
        return (classifiers.put_behind(source, parent), {entry_id(source): source}) if parent else (source, {})
    if purifier is None or parent is None:
        raise UsageError(f"it belongs behind an autoencoder, and cannot be attacked behind {NONE!r}")
    if request.source is None:
        return describe_companion(purifier, grid.protected.__getitem__), {}
    source = _describe_undefended(grid, request.source)
    return classifiers.put_behind(source, parent), {entry_id(source): source}


# ---------------------------------------------------------------- cells


def _add_autoencoder(grid: CellGrid, recipe: AutoencoderRecipe) -> None:
    stages = purifiers.list_stages(recipe)
    for stage in stages:
        _add_autoencoder(grid, stage)
    with_classifier = purifiers.needs_classifier(recipe)
    cost = cell_costs.estimate_autoencoder(recipe, len(grid.datasets.find(recipe.dataset).x_train))
    hidden = f", {'-'.join(recipe.network.activations[:3])}" if recipe.network else ""
    protected = grid.protected.get(recipe.protects or "")
    name = name_purifier(recipe, raw=is_raw(recipe), protects=protected.model if protected else None)
    level: Level = "cascades" if stages else "defences" if with_classifier else "autoencoders"
    _add(grid, ExperimentCell(level, recipe, grid.datasets.place, name if with_classifier else f"{name}{hidden}", cost))


def _add_classifier(grid: CellGrid, recipes: PipelineRecipes) -> None:
    recipe = recipes.classifier
    for needed in recipes.needed:
        grid.protected.setdefault(entry_id(needed), needed)
        _add_classifier(grid, PipelineRecipes(needed))
    if recipes.autoencoder:
        _add_autoencoder(grid, recipes.autoencoder)
    late = recipes.autoencoder and purifiers.needs_classifier(recipes.autoencoder)
    cost = cell_costs.estimate_classifier(recipe, len(grid.datasets.find(recipe.dataset).x_train))
    level: Level = "surrogates" if recipe.distilled else "behind defences" if late or recipe.origin else "classifiers"
    _add(grid, ExperimentCell(level, recipe, grid.datasets.place, name_recipes(recipes), cost))


def _add_run(grid: CellGrid, recipes: PipelineRecipes, request: AttackRequest) -> RunRecipe:
    """Add an attack and the pipelines that its attacker needs; return its recipe."""
    n_test = len(grid.datasets.find(recipes.classifier.dataset).x_test)
    try:
        prepared = prepare_run(recipes, request, n_test=n_test, find_counterpart=lambda undefended: undefended.id)
    except UsageError as error:
        raise UsageError(f"the plan asks for {request.method} on {name_recipes(recipes)}: {error}") from None
    # The pipelines that the attacker needs are cells, too, so that two parallel runs do not wait for the same training.
    for dependency in prepared.dependencies:
        _add_classifier(grid, dependency)
    recipe = prepared.recipe
    name = f"{recipe.method}, {recipe.threat}, {name_recipes(recipes)}"
    cost = cell_costs.estimate_run(recipes, recipe, recipe.limit or n_test)
    _add(grid, ExperimentCell("attacks", recipe, grid.datasets.place, name, cost, prepared))
    return recipe


def _add_certificate(grid: CellGrid, recipes: PipelineRecipes, request: CertificateRequest) -> None:
    n_test = len(grid.datasets.find(recipes.classifier.dataset).x_test)
    try:
        recipe = prepare_certificate(recipes, request, n_test=n_test)
    except UsageError as error:
        raise UsageError(f"the plan asks for a certificate of {name_recipes(recipes)}: {error}") from None
    name = f"{recipe.method}, {recipe.norm}, {name_recipes(recipes)}"
    cost = cell_costs.estimate_proof(recipes, recipe, recipe.limit or n_test)
    _add(grid, ExperimentCell("certificates", recipe, grid.datasets.place, name, cost))


def _add_surfaces(grid: CellGrid) -> None:
    """Add the decision surfaces; those that share their images name each other."""
    found = [(plan, recipes) for plan in grid.experiment.surfaces for recipes in _list_pipelines(grid, plan)]
    shared = [recipes for plan, recipes in found if plan.shared]
    for plan, recipes in found:
        _add_classifier(grid, recipes)
        name, key = name_recipes(recipes), recipes.classifier.dataset.key
        together = [one.id for one in shared if one.classifier.dataset.key == key]
        try:
            recipe = prepare_surface(recipes, plan.make_request(grid.seed), together if plan.shared else ())
        except UsageError as error:
            raise UsageError(f"the plan asks for a decision surface of {name}: {error}") from None
        cost = cell_costs.estimate_surface(recipes, recipe)
        _add(grid, ExperimentCell("surfaces", recipe, grid.datasets.place, f"surface, {name}", cost))


def _add_code_attacks(grid: CellGrid) -> None:
    """Add the attacks on codes; their autoencoders are cells already."""
    for plan in grid.experiment.code_attacks:
        for name in plan.autoencoders:
            autoencoder = grid.purifiers[name]
            try:
                recipe = prepare_code_attack(autoencoder, plan.make_request(grid.seed))
            except UsageError as error:
                raise UsageError(f"the plan asks for an attack on the code of {name}: {error}") from None
            cost = cell_costs.estimate_code_attack(autoencoder, recipe)
            title = f"attack on the code of {name}, {recipe.optimizer}"
            _add(grid, ExperimentCell("code attacks", recipe, grid.datasets.place, title, cost))


def _add(grid: CellGrid, cell: ExperimentCell) -> None:
    grid.cells.setdefault(
        cell.id, replace(cell, name=f"{cell.recipe.dataset.title}: {cell.name}{name_seed(grid.seed)}")
    )
