"""The cells of an experiment: trainings, attacks, certificates and surfaces of its plan, with their recipes and ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from advae.datasets.table import DATASETS, is_npz
from advae.errors import NotFoundError, UsageError, unknown
from advae.experiments import NONE, AttackPlan, Experiment, cell_costs, plan_entries
from advae.experiments.own_options import parse_own_options
from advae.experiments.plan import PlannedPipelines
from advae.models import classifiers, purifiers
from advae.records import (
    AutoencoderRecipe,
    ClassifierRecipe,
    Dataset,
    Recipe,
    entry_id,
)
from advae.records.pipeline_names import name_defence, name_purifier
from advae.registry import Registry
from advae.requests import (
    AttackRequest,
    CertificateRequest,
    ClassifierRequest,
    EntryRequest,
    PlacementRequest,
    note_zero,
)
from advae.threats import ALL, THREATS, list_threats
from advae.workflows.attack_selection import apply_threat_models
from advae.workflows.certifying import prepare_certificate
from advae.workflows.counterparts import PipelineRecipes
from advae.workflows.drawing_surfaces import prepare_surface
from advae.workflows.run_recipes import PreparedRun, prepare_run
from advae.workflows.training import describe_companion
from advae.workflows.workspace import Workspace, load_named

Level = Literal[
    "autoencoders", "classifiers", "defences", "behind defences", "surrogates", "attacks", "certificates", "surfaces"
]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels in the order of computation: a cell needs cells of earlier levels only. Defences are autoencoders that are
trained with a classifier, some of them in front of a classifier that is trained before. Surrogates are trained on
the answers of an added classifier."""


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
    dataset: Dataset
    """The dataset, in memory."""
    place: str
    """Name or path of the dataset."""
    seed: int
    """Seed of all trainings and attacks."""
    cells: dict[str, ExperimentCell] = field(default_factory=dict)
    """Id -> cell."""
    purifiers: dict[str, AutoencoderRecipe] = field(default_factory=dict)
    """Name in the plan -> recipe."""
    protected: dict[str, ClassifierRecipe] = field(default_factory=dict)
    """Id -> recipe of the classifiers that purifiers are trained in front of, or whose weights are used."""


def list_cells(workspace: Workspace, experiment: Experiment) -> tuple[ExperimentCell, ...]:
    """Return every cell of an experiment, each after the cells that it needs.

    Raises UsageError for a plan that cannot be run, NotFoundError for an entry that it names and the registry does not
    have, DatasetError where a dataset is missing.
    """
    found: dict[str, ExperimentCell] = {}
    _refuse_unknown_threats(experiment)
    plans = (*experiment.attacks, *experiment.certificates)
    for note in dict.fromkeys(filter(None, (note_zero(plan.eps) for plan in plans))):
        workspace.tell(note)
    for place in experiment.datasets:
        resize = None if place in DATASETS or is_npz(place) else experiment.resize
        dataset = load_named(workspace, place, resize)
        for seed in experiment.seeds:
            found |= _list_grid_cells(CellGrid(workspace.registry, experiment, dataset, place, seed))
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
            for request in _list_requests(plan, grid.seed, recipes):
                _add_run(grid, recipes, request)
    for certified in grid.experiment.certificates:
        for recipes in _list_pipelines(grid, certified):
            _add_classifier(grid, recipes)
            for wanted in certified.list_requests(grid.seed):
                _add_certificate(grid, recipes, wanted)
    _add_surfaces(grid)
    # An autoencoder that no attack names is trained, too.
    for protected in tuple(grid.protected.values()):
        _add_classifier(grid, PipelineRecipes(protected))
    return grid.cells


def _describe_autoencoder(grid: CellGrid, name: str) -> tuple[AutoencoderRecipe, ClassifierRecipe | None]:
    """Return the recipes of an autoencoder of the plan and of the classifier that it protects, None without one."""
    wanted, source = grid.experiment.request_autoencoder(name, grid.seed), grid.experiment.find_protected(name)
    protected = _describe_undefended(grid, source) if source else None
    with _locate(f"autoencoders.{name}"):
        if isinstance(wanted, EntryRequest):
            return plan_entries.find_planned_autoencoder(grid.registry, wanted.ref, grid.dataset.ref)
        if protected:
            classifiers.require_protectable(protected)
        id_ = entry_id(protected) if protected else None
        return purifiers.make_autoencoder_recipe(parse_own_options(wanted), grid.dataset, id_), protected


def _list_pipelines(grid: CellGrid, plan: PlannedPipelines) -> Iterator[PipelineRecipes]:
    """Yield the pipelines that a part of a plan is about, by their recipes."""
    for model in plan.classifiers:
        request = grid.experiment.request_classifier(model, grid.seed)
        for name in plan.behind:
            purifier = None if name == NONE else grid.purifiers[name]
            with _locate(f"classifiers.{model}"):
                recipe, sources = _describe_classifier(grid, request, purifier)
            protects = purifier.protects if purifier else None
            needed = ({protects: grid.protected[protects]} if protects else {}) | sources
            yield PipelineRecipes(recipe, purifier, tuple(needed.values()))


def _describe_undefended(grid: CellGrid, name: str) -> ClassifierRecipe:
    """Return the recipe of a classifier that the plan trains, or takes from the registry, without an autoencoder."""
    with _locate(f"classifiers.{name}"):
        request = grid.experiment.request_classifier(name, grid.seed)
        if isinstance(request, PlacementRequest):
            raise UsageError("it is not trained by itself")
        return _describe_classifier(grid, request, None)[0]


def _describe_classifier(
    grid: CellGrid, request: ClassifierRequest | PlacementRequest | EntryRequest, purifier: AutoencoderRecipe | None
) -> tuple[ClassifierRecipe, dict[str, ClassifierRecipe]]:
    """Return the recipe of a classifier behind a purifier, and the recipe, by id, of the one whose weights it uses."""
    parent = entry_id(purifier) if purifier else None
    if isinstance(request, ClassifierRequest):
        return classifiers.make_classifier_recipe(request, grid.dataset, parent), {}
    if isinstance(request, EntryRequest):
        source = plan_entries.find_planned_classifier(grid.registry, request.ref, grid.dataset.ref)
        return (classifiers.put_behind(source, parent), {entry_id(source): source}) if parent else (source, {})
    if purifier is None or parent is None:
        raise UsageError(f"it belongs behind an autoencoder, and cannot be attacked behind {NONE!r}")
    if request.source is None:
        return describe_companion(purifier, grid.protected.__getitem__), {}
    source = _describe_undefended(grid, request.source)
    return classifiers.put_behind(source, parent), {entry_id(source): source}


def _list_requests(plan: AttackPlan, seed: int, recipes: PipelineRecipes) -> list[AttackRequest]:
    """Return the attacks of a part of a plan on one pipeline; threat models that need a purifier become adaptive."""
    purified, scores_only = recipes.autoencoder is not None, not classifiers.gives_gradients(recipes.classifier)
    random = recipes.autoencoder is not None and purifiers.samples(recipes.autoencoder)
    unfit = set(THREATS) - set(list_threats(purified=purified, samples=random))
    requests = (
        request.model_copy(update={"threat": "adaptive"}) if request.threat in unfit else request
        for request in plan.list_requests(seed)
    )
    return apply_threat_models(
        requests, purified=purified, tell=lambda line: None, scores_only=scores_only, samples=random
    )


# ---------------------------------------------------------------- errors of a plan


@contextmanager
def _locate(place: str) -> Iterator[None]:
    """Add to an error the place in the plan where its cause is."""
    try:
        yield
    except (UsageError, NotFoundError) as error:
        raise type(error)(f"the plan's {place}: {error}") from None


def _refuse_unknown_threats(experiment: Experiment) -> None:
    """Raise UsageError for an unknown threat model, also for attacks that have only one threat model."""
    for index, plan in enumerate(experiment.attacks):
        with _locate(f"attacks[{index}].threats"):
            for threat in plan.threats:
                if threat not in (*THREATS, ALL):
                    raise UsageError(unknown("threat", threat, (*THREATS, ALL)))


# ---------------------------------------------------------------- cells


def _add_autoencoder(grid: CellGrid, recipe: AutoencoderRecipe) -> None:
    with_classifier = purifiers.needs_classifier(recipe)
    cost = cell_costs.estimate_autoencoder(recipe, len(grid.dataset.x_train))
    hidden = f", {'-'.join(recipe.network.activations[:3])}" if recipe.network else ""
    protected = grid.protected.get(recipe.protects or "")
    name = name_purifier(recipe, raw=_is_raw(recipe), protects=protected.model if protected else None)
    level: Level = "defences" if with_classifier else "autoencoders"
    _add(grid, ExperimentCell(level, recipe, grid.place, name if with_classifier else f"{name}{hidden}", cost))


def _add_classifier(grid: CellGrid, recipes: PipelineRecipes) -> None:
    recipe = recipes.classifier
    for needed in recipes.needed:
        grid.protected.setdefault(entry_id(needed), needed)
        _add_classifier(grid, PipelineRecipes(needed))
    if recipes.autoencoder:
        _add_autoencoder(grid, recipes.autoencoder)
    late = recipes.autoencoder and purifiers.needs_classifier(recipes.autoencoder)
    cost = cell_costs.estimate_classifier(recipe, len(grid.dataset.x_train))
    level: Level = "surrogates" if recipe.distilled else "behind defences" if late or recipe.origin else "classifiers"
    _add(grid, ExperimentCell(level, recipe, grid.place, _name_pipeline(recipes), cost))


def _add_run(grid: CellGrid, recipes: PipelineRecipes, request: AttackRequest) -> None:
    try:
        prepared = prepare_run(
            recipes, request, n_test=len(grid.dataset.x_test), find_counterpart=lambda undefended: undefended.id
        )
    except UsageError as error:
        raise UsageError(f"the plan asks for {request.method} on {_name_pipeline(recipes)}: {error}") from None
    # The pipelines that the attacker needs are cells, too, so that two parallel runs do not wait for the same training.
    for dependency in prepared.dependencies:
        _add_classifier(grid, dependency)
    recipe = prepared.recipe
    name = f"{recipe.method}, {recipe.threat}, {_name_pipeline(recipes)}"
    cost = cell_costs.estimate_run(recipes, recipe, recipe.limit or len(grid.dataset.x_test))
    _add(grid, ExperimentCell("attacks", recipe, grid.place, name, cost, prepared))


def _add_certificate(grid: CellGrid, recipes: PipelineRecipes, request: CertificateRequest) -> None:
    try:
        recipe = prepare_certificate(recipes, request, n_test=len(grid.dataset.x_test))
    except UsageError as error:
        raise UsageError(f"the plan asks for a certificate of {_name_pipeline(recipes)}: {error}") from None
    name = f"{recipe.method}, {recipe.norm}, {_name_pipeline(recipes)}"
    cost = cell_costs.estimate_proof(recipes, recipe, recipe.limit or len(grid.dataset.x_test))
    _add(grid, ExperimentCell("certificates", recipe, grid.place, name, cost))


def _add_surfaces(grid: CellGrid) -> None:
    """Add the decision surfaces; those that share their images name each other."""
    found = [(plan, recipes) for plan in grid.experiment.surfaces for recipes in _list_pipelines(grid, plan)]
    together = [recipes.id for plan, recipes in found if plan.shared]
    for plan, recipes in found:
        _add_classifier(grid, recipes)
        name = _name_pipeline(recipes)
        try:
            recipe = prepare_surface(recipes, plan.make_request(grid.seed), together if plan.shared else ())
        except UsageError as error:
            raise UsageError(f"the plan asks for a decision surface of {name}: {error}") from None
        cost = cell_costs.estimate_surface(recipes, recipe)
        _add(grid, ExperimentCell("surfaces", recipe, grid.place, f"surface, {name}", cost))


def _add(grid: CellGrid, cell: ExperimentCell) -> None:
    grid.cells.setdefault(cell.id, replace(cell, name=f"{grid.dataset.ref.name}: {cell.name}{_name_seed(grid.seed)}"))


def _name_seed(seed: int) -> str:
    return f", seed {seed}" if seed else ""


def _name_pipeline(recipes: PipelineRecipes) -> str:
    purifier = recipes.autoencoder
    protected = next((one for one in recipes.needed if purifier and entry_id(one) == purifier.protects), None)
    raw, protects = purifier is not None and _is_raw(purifier), protected.model if protected else None
    baseline = purifier is not None and purifier.is_baseline
    classifier = recipes.classifier
    name = name_defence(classifier, purifier, baseline=baseline, raw=raw, protects=protects)
    if classifier.distilled:
        return f"{name}, trained on the answers of {classifier.distilled}"
    # Two models of one library would have one name.
    return f"{name}, {classifier.origin or recipes.id}" if classifier.added else name


def _is_raw(purifier: AutoencoderRecipe) -> bool:
    """Return whether an autoencoder's output may be outside [0, 1]; a robust one's is in [0, 1] without rescaling."""
    return bool(purifier.network) and purifier.rescale == "none" and not purifiers.needs_classifier(purifier)
