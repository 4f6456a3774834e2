"""Attack a classifier: check every request first, then compute what is not there yet."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from advae.attacks import Attack, find_attack, find_loss
from advae.autoencoders import samples
from advae.datasets import DATASETS
from advae.errors import BudgetError, NotFoundError, UsageError
from advae.evaluation import DRAWS_PER_BATCH, evaluate
from advae.pipelines import load_pipeline
from advae.records import ClassifierRecipe, Dataset, Manifest, RunRecipe
from advae.registry import Registry
from advae.requests import AttackRequest
from advae.threats import ALL, THREATS, Threat, find_threat
from advae.verdicts import judge_run
from advae.workflows.planning import climb, list_checks, list_undefended
from advae.workflows.siblings import (
    SURROGATE,
    Sibling,
    describe_reseeded,
    describe_undefended,
    make_sibling,
)
from advae.workflows.workspace import Content, Made, Workspace, load_dataset_of, load_named, make_entry

RUN_REV = 2
"""Raised when the same attack recipe would give another result than before."""

DRAWS = 16
"""Over how many draws of a purifier that samples a gradient is averaged, unless the user says otherwise."""

QUERIES = 1_000
"""How often a score-based attack may ask for each sample, unless the user says otherwise."""


@dataclass(frozen=True)
class Plan:
    """What one command attacks.

    check: also whatever a verdict compares with; seeds: on so many pipelines of the same make, of successive seeds.
    """

    requests: Sequence[AttackRequest]
    check: bool = False
    seeds: int = 1

    @property
    def on_demand(self) -> bool:
        """Whether an undefended twin that is missing is trained; otherwise its absence is an error."""
        return self.check or any(request.threat == ALL for request in self.requests)


@dataclass(frozen=True)
class Target:
    """A classifier under attack, and what gives its dataset, read once and only when it is needed."""

    classifier: Manifest
    load: Callable[[], Dataset]

    @property
    def recipe(self) -> ClassifierRecipe:
        return self.classifier.as_classifier()[0]

    @property
    def purified(self) -> bool:
        return self.recipe.autoencoder is not None


@dataclass(frozen=True)
class Prepared:
    """A run to be made, checked. siblings: what its attacker needs and may have to be trained first."""

    target: Target
    recipe: RunRecipe
    siblings: tuple[Sibling, ...]


@dataclass(frozen=True)
class Attacks:
    """The runs of a plan: those asked for, and those that its verdicts compare with."""

    requested: tuple[Made, ...]
    checks: tuple[Made, ...]
    seeds: int

    @property
    def all(self) -> tuple[Made, ...]:
        return self.requested + self.checks


def attack(workspace: Workspace, clf_ref: str | None, dataset_name: str | None, plan: Plan) -> Attacks:
    """Return a run for each request of the plan, all on the same samples.

    clf_ref: None for the newest classifier (of the dataset, where one is named). Every request is checked before the
    first is computed. Raises UsageError, BudgetError, NotFoundError as the command-line contract says.
    """
    first = _choose_classifier(workspace, clf_ref, dataset_name)
    # Whatever is wrong with the plan shows on the first classifier, before hours go into others.
    notes: list[str] = []
    requested, checks = _prepare(workspace, first, plan, notes.append)
    for note in notes:
        workspace.tell(note)
    for offset in range(1, plan.seeds):
        sibling = describe_reseeded(workspace.registry, first.recipe, offset)
        again = Target(make_sibling(workspace, sibling, first.load), first.load)
        more = _prepare(workspace, again, plan, lambda note: None)
        requested, checks = requested + more[0], checks + more[1]
    asked, compared = (tuple(_run(workspace, one) for one in prepared) for prepared in (requested, checks))
    return Attacks(asked, compared, plan.seeds)


def _prepare(
    workspace: Workspace, target: Target, plan: Plan, note: Callable[[str], None]
) -> tuple[list[Prepared], list[Prepared]]:
    """Return the runs of a plan on one classifier, and those that its verdicts compare with. note: takes remarks."""
    purified, side = target.purified, target.recipe.dataset.side
    requests = climb(plan.requests, purified=purified, tell=note)
    requested = [_prepare_run(workspace, target, request, on_demand=plan.on_demand) for request in requests]
    if not plan.check:
        return requested, []
    wanted = list_checks(requests, purified=purified, side=side)
    checks = [_prepare_run(workspace, target, request, on_demand=True) for request in wanted]
    if purified:
        twin = Target(make_sibling(workspace, describe_undefended(target.recipe), target.load), target.load)
        undefended = list_undefended([*requests, *wanted])
        checks += [_prepare_run(workspace, twin, request, on_demand=True) for request in undefended]
    return requested, checks


def _run(workspace: Workspace, prepared: Prepared) -> Made:
    target, recipe = prepared.target, prepared.recipe

    def compute() -> Content:
        for sibling in prepared.siblings:
            make_sibling(workspace, sibling, target.load)
        registry, dataset = workspace.registry, target.load()
        twin, surrogate = (registry.manifest(id_) if id_ else None for id_ in (recipe.twin, recipe.surrogate))
        evaluated = evaluate(
            THREATS[recipe.threat].view(load_pipeline(registry, target.classifier, twin=twin, surrogate=surrogate)),
            recipe,
            dataset.x_test[: recipe.limit],
            dataset.y_test[: recipe.limit],
            on_batch=workspace.on_batch,
        )
        verdicts = judge_run(recipe, evaluated.metrics)
        return evaluated.metrics.model_copy(update={"verdicts": verdicts}), evaluated.arrays

    return make_entry(workspace, recipe, compute, target.classifier.source)


def _choose_classifier(workspace: Workspace, ref: str | None, dataset_name: str | None) -> Target:
    """Return the classifier to attack; where the user names a dataset it is read at once, to see whether it is its."""
    registry = workspace.registry
    newest = [entry for entry in (registry.latest("clf"), *registry.entries("clf")) if entry] if not ref else []
    if ref or (newest and not dataset_name):
        classifier = registry.resolve(ref, "clf") if ref else newest[0]
        load = functools.cache(lambda: load_dataset_of(workspace, classifier, dataset_name))
        if dataset_name:
            load()
        return Target(classifier, load)
    if dataset_name:
        dataset = load_named(workspace, dataset_name)
        for entry in newest:
            if entry.recipe.dataset.digest == dataset.ref.digest:
                return Target(entry, lambda: dataset)
    of = f" of dataset {dataset_name!r}" if dataset_name else ""
    option = f" --dataset {dataset_name}" if dataset_name else ""
    raise NotFoundError(f"no classifier{of} in {registry.home}; `advae train-clf --model nn{option}` makes one")


def _prepare_run(workspace: Workspace, target: Target, request: AttackRequest, *, on_demand: bool) -> Prepared:
    """Return the request with every default filled in, or raise what does not fit."""
    registry, (recipe, metrics) = workspace.registry, target.classifier.as_classifier()
    row = find_attack(request.method, model=recipe.model)
    threat = find_threat(request.threat, purified=target.purified)
    _check_options(request, row)
    _check_budget(request, row, side=recipe.dataset.side)
    undefended, surrogate = describe_undefended(recipe), describe_reseeded(registry, recipe, SURROGATE)
    twin = _find_twin(registry, target.classifier, undefended, on_demand=on_demand) if threat.needs_twin else None
    needed = ((undefended, twin == undefended.id), (surrogate, threat.needs_surrogate))
    made = RunRecipe(
        method=request.method,
        threat=request.threat,
        classifier=target.classifier.id,
        twin=twin,
        surrogate=surrogate.id if threat.needs_surrogate else None,
        dataset=recipe.dataset,
        eps=request.eps,
        target=_choose_target(request, row, len(recipe.dataset.classes)),
        norm=request.norm,
        steps=None if row.queries else request.steps or row.steps,
        step_size=request.step_size,
        restarts=request.restarts or row.restarts,
        draws=_choose_draws(registry, recipe, request, threat),
        queries=request.queries or QUERIES if row.queries else None,
        loss=request.loss or row.loss,
        clip=request.clip,
        limit=request.limit if request.limit and request.limit < metrics.n_test else None,
        save_adversarial=request.save_adversarial,
        seed=request.seed,
        recipe_rev=RUN_REV,
    )
    return Prepared(target, made, tuple(sibling for sibling, wanted in needed if wanted))


def _choose_draws(registry: Registry, recipe: ClassifierRecipe, request: AttackRequest, threat: Threat) -> int | None:
    """Return over how many draws gradients are averaged; None where nothing on their way samples."""
    purifier = registry.manifest(recipe.autoencoder).as_autoencoder()[0] if recipe.autoencoder else None
    if threat.samples and purifier is not None and samples(purifier):
        return request.draws or DRAWS
    if request.draws is not None and request.threat == "adaptive":
        raise UsageError("--draws does not fit: nothing samples on the way of this attack's gradients")
    return None


def _check_options(request: AttackRequest, row: Attack) -> None:
    """Raise UsageError for an option that the method does not have."""
    if request.loss:
        find_loss(request.loss)
    unfit = {
        "--steps": request.steps is not None and (row.queries or not row.iterative),
        "--queries": request.queries is not None and not row.queries,
        "--step-size": request.step_size is not None and not (row.iterative and row.sized),
        "--restarts": request.restarts is not None and row.restarts is None,
        "--loss": request.loss is not None and row.loss is None,
        "--no-clip": not request.clip and row.unclipped is None,
        "--target": request.target is not None and row.target is None,
    }
    for option, wrong in unfit.items():
        if wrong:
            raise UsageError(f"{option} does not fit attack {request.method!r}")
    if request.steps is not None and request.steps >= DRAWS_PER_BATCH:
        raise UsageError(f"bad --steps {request.steps}: at most {DRAWS_PER_BATCH - 1}")


def _check_budget(request: AttackRequest, row: Attack, *, side: int) -> None:
    """Raise UsageError for a norm that the method does not have, BudgetError for an eps that is no budget in it."""
    if request.norm not in row.norms:
        raise UsageError(f"attack {request.method!r} has no --norm {request.norm}; it takes {', '.join(row.norms)}")
    # The longest way between two images: from black to white.
    most = 1 if request.norm == "linf" else side
    if not request.eps:
        raise BudgetError(f"no eps given; one or more numbers in [0, {most}], such as 0.1,0.2 or 50/255")
    for eps in request.eps:
        if not (math.isfinite(eps) and 0 <= eps <= most):
            raise BudgetError(
                f"bad eps {eps}: a number in [0, {most}], in units of a pixel's range (50/255 is accepted)"
            )
    if len(set(request.eps)) < len(request.eps):
        raise BudgetError(f"an eps is given twice: {', '.join(map(str, request.eps))}")


def _choose_target(request: AttackRequest, row: Attack, classes: int) -> int | None:
    target = row.target if request.target is None else request.target
    if target is None or 0 <= target < classes:
        return target
    default = " (the default)" if request.target is None else ""
    raise UsageError(f"bad --target {target}{default}: the classes of this dataset are 0 to {classes - 1}")


def _find_twin(registry: Registry, classifier: Manifest, undefended: Sibling, *, on_demand: bool) -> str:
    """Return the undefended classifier of the same recipe, else the newest of that kind and data.

    on_demand: where there is none, that of the same recipe will be made. Raises NotFoundError.
    """
    recipe = undefended.classifier
    if registry.find(undefended.id):
        return undefended.id
    for entry in registry.entries("clf"):
        if _is_undefended(entry.as_classifier()[0], like=recipe):
            return entry.id
    if on_demand:
        return undefended.id
    dataset = recipe.dataset.name if recipe.dataset.name in DATASETS else classifier.source
    raise NotFoundError(
        f"{classifier.id} has no undefended twin; "
        f"`advae train-clf --model {recipe.model} --dataset {dataset}` makes one, the oblivious attacker needs it"
    )


def _is_undefended(other: ClassifierRecipe, *, like: ClassifierRecipe) -> bool:
    """Whether a classifier is undefended and of the same kind and data."""
    return other.autoencoder is None and other.model == like.model and other.dataset.digest == like.dataset.digest
