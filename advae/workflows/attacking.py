"""Attack a classifier: check every request first, then compute what is not there yet."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from advae.attacks import Attack, find_attack, find_loss
from advae.datasets import DATASETS
from advae.errors import BudgetError, NotFoundError, UsageError
from advae.evaluation import DRAWS_PER_BATCH, evaluate
from advae.pipelines import load_pipeline
from advae.records import ClassifierRecipe, Dataset, Manifest, RunRecipe, entry_id
from advae.registry import Registry
from advae.requests import AttackRequest
from advae.threats import THREATS, Threat, find_threat
from advae.workflows.workspace import Content, Made, Workspace, load_dataset_of, load_named, make_entry

RUN_REV = 1
"""Raised when the same attack recipe would give another result than before."""


def attack(
    workspace: Workspace, clf_ref: str | None, dataset_name: str | None, requests: Sequence[AttackRequest]
) -> list[Made]:
    """Return a run for each request, all on the same classifier and samples.

    clf_ref: None for the newest classifier (of the dataset, where one is named). Every request is checked before the
    first is computed. Raises UsageError, BudgetError, NotFoundError as the command-line contract says.
    """
    classifier, load = _choose_classifier(workspace, clf_ref, dataset_name)
    recipes = [_make_run_recipe(workspace.registry, classifier, request) for request in requests]
    return [_run(workspace, classifier, load, recipe) for recipe in recipes]


def _run(workspace: Workspace, classifier: Manifest, load: Callable[[], Dataset], recipe: RunRecipe) -> Made:
    def compute() -> Content:
        twin = workspace.registry.manifest(recipe.twin) if recipe.twin else None
        pipeline = load_pipeline(workspace.registry, classifier, twin)
        dataset = load()
        evaluated = evaluate(
            THREATS[recipe.threat].view(pipeline),
            recipe,
            dataset.x_test[: recipe.limit],
            dataset.y_test[: recipe.limit],
            on_batch=workspace.on_batch,
        )
        return evaluated.metrics, evaluated.arrays

    return make_entry(workspace, recipe, compute, classifier.source)


def _choose_classifier(
    workspace: Workspace, ref: str | None, dataset_name: str | None
) -> tuple[Manifest, Callable[[], Dataset]]:
    """Return the classifier to attack, and what gives its dataset, read once and only when it is needed.

    Where the user names a dataset it is read at once, to see whether it is the classifier's.
    """
    registry = workspace.registry
    newest = [entry for entry in (registry.latest("clf"), *registry.entries("clf")) if entry] if not ref else []
    if ref or (newest and not dataset_name):
        classifier = registry.resolve(ref, "clf") if ref else newest[0]
        load = functools.cache(lambda: load_dataset_of(workspace, classifier, dataset_name))
        if dataset_name:
            load()
        return classifier, load
    if dataset_name:
        dataset = load_named(workspace, dataset_name)
        for entry in newest:
            if entry.recipe.dataset.digest == dataset.ref.digest:
                return entry, lambda: dataset
    of = f" of dataset {dataset_name!r}" if dataset_name else ""
    option = f" --dataset {dataset_name}" if dataset_name else ""
    raise NotFoundError(f"no classifier{of} in {registry.home}; `advae train-clf --model nn{option}` makes one")


def _make_run_recipe(registry: Registry, classifier: Manifest, request: AttackRequest) -> RunRecipe:
    """Return the request with every default filled in, or raise what does not fit."""
    recipe, metrics = classifier.as_classifier()
    row = find_attack(request.method, model=recipe.model)
    threat = find_threat(request.threat, purified=recipe.autoencoder is not None)
    _check_options(request, row)
    _check_budget(request, row, side=recipe.dataset.side)
    return RunRecipe(
        method=request.method,
        threat=request.threat,
        classifier=classifier.id,
        twin=_find_twin(registry, classifier, recipe, threat),
        dataset=recipe.dataset,
        eps=request.eps,
        target=_choose_target(request, row, len(recipe.dataset.classes)),
        norm=request.norm,
        steps=request.steps or row.steps,
        step_size=request.step_size,
        restarts=request.restarts or row.restarts,
        loss=request.loss or row.loss,
        clip=request.clip,
        limit=request.limit if request.limit and request.limit < metrics.n_test else None,
        save_adversarial=request.save_adversarial,
        seed=request.seed,
        recipe_rev=RUN_REV,
    )


def _check_options(request: AttackRequest, row: Attack) -> None:
    """Raise UsageError for an option that the method does not have."""
    if request.loss:
        find_loss(request.loss)
    unfit = {
        "--steps": request.steps is not None and not row.iterative,
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


def _find_twin(registry: Registry, classifier: Manifest, recipe: ClassifierRecipe, threat: Threat) -> str | None:
    """Return the undefended classifier of the same recipe, else the newest of that kind and data."""
    if not threat.needs_twin:
        return None
    same = registry.find(entry_id(recipe.model_copy(update={"autoencoder": None})))
    if same:
        return same.id
    for entry in registry.entries("clf"):
        if _is_undefended(entry.as_classifier()[0], like=recipe):
            return entry.id
    dataset = recipe.dataset.name if recipe.dataset.name in DATASETS else classifier.source
    raise NotFoundError(
        f"{classifier.id} has no undefended twin; "
        f"`advae train-clf --model {recipe.model} --dataset {dataset}` makes one, the oblivious attacker needs it"
    )


def _is_undefended(other: ClassifierRecipe, *, like: ClassifierRecipe) -> bool:
    """Whether a classifier is undefended and of the same kind and data."""
    return other.autoencoder is None and other.model == like.model and other.dataset.digest == like.dataset.digest
