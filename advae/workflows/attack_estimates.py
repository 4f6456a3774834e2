"""``advae attack --dry-run``: what would be computed, and about how long it takes; nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advae.backend import start_tensorflow
from advae.evaluation.evaluate import estimate_attack
from advae.models.classifiers import gives_gradients
from advae.records import Manifest, RunRecipe, entry_id
from advae.sampling import choose_samples
from advae.workflows.attacking import AttackCommand, plan_attacks
from advae.workflows.classifier_choice import Target
from advae.workflows.computing_runs import load_surface, require_gain
from advae.workflows.workspace import Workspace

DRY_RUN_PATIENCE = 15.0
"""Processor seconds for which it is counted how many images leave an attack."""


@dataclass(frozen=True)
class AttackEstimate:
    """The cost of one run."""

    recipe: RunRecipe
    """The recipe, with every default filled in."""
    n: int
    """Number of images."""
    seconds: float | None
    """About how long it takes; 0 where it is in the registry already, None where it cannot be measured yet."""
    made: bool
    """Whether the run is in the registry already."""
    missing: tuple[str, ...]
    """Ids of the pipelines that are trained first; their training is not in ``seconds``."""

    @property
    def id(self) -> str:
        return entry_id(self.recipe)


def estimate_attacks(
    workspace: Workspace, clf_ref: str | None, dataset_name: str | None, command: AttackCommand
) -> list[AttackEstimate]:
    """Return what ``run_attacks`` would compute, and about how long that takes, measured on a few images and steps.

    Of several seeds those of the first. Raises as ``run_attacks`` does for what does not fit.
    """
    planned = plan_attacks(workspace, clf_ref, dataset_name, command)
    return [
        _estimate(workspace, target, prepared.recipe, [one.id for one in prepared.dependencies])
        for target, prepared in planned
    ]


def _estimate(workspace: Workspace, target: Target, recipe: RunRecipe, needed: Sequence[str]) -> AttackEstimate:
    registry = workspace.registry
    n = recipe.limit or target.classifier.as_classifier()[1].n_test
    if not workspace.force and registry.find(entry_id(recipe)):
        return AttackEstimate(recipe, n, 0.0, made=True, missing=())
    missing = tuple(id_ for id_ in needed if not registry.find(id_))
    if missing and not gives_gradients(target.classifier.as_classifier()[0]):
        return AttackEstimate(recipe, n, None, made=False, missing=missing)
    return AttackEstimate(recipe, n, _measure(workspace, target, recipe), made=False, missing=missing)


def _measure(workspace: Workspace, target: Target, recipe: RunRecipe) -> float:
    registry = workspace.registry
    start_tensorflow(registry.folders.tmp)
    if recipe.precision:
        require_gain()

    def open_entry(id_: str) -> Manifest:
        # A pipeline that is not trained yet takes as long as the one that is attacked.
        return registry.find(id_) or target.classifier

    dataset = target.load()
    ids = choose_samples(dataset.y_test, recipe.limit, recipe.sample)
    surface = load_surface(registry, recipe, target.classifier, open_entry)
    return estimate_attack(surface, recipe, dataset.x_test[ids], dataset.y_test[ids], DRY_RUN_PATIENCE)
