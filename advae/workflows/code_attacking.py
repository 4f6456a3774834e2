"""``advae attack-code``: perturb images until an autoencoder gives them the code of other images."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from advae.attacks.code_steering import CODE_OPTIMIZERS
from advae.errors import UsageError, unknown
from advae.evaluation.pipelines import list_weights, load_purifier
from advae.models.purifiers import explain_no_code
from advae.records import AutoencoderRecipe, CodeAttackRecipe, Dataset, Manifest, entry_id
from advae.requests import CodeAttackRequest
from advae.workflows.attacked_pairs import AttackedPairs, choose_code_pairs
from advae.workflows.workspace import Content, Made, Workspace, load_dataset_of, make_entry, resolve_model

REVISION = 1
"""Raised when the same recipe gives other numbers."""

MOST_ATTACKED = 200_000_000
"""Most values of all adversarial examples of one attack, which are in memory together: 0.8 GB."""


def steer_codes(workspace: Workspace, ae_ref: str, dataset_name: str | None, request: CodeAttackRequest) -> Made:
    """Return the attack on the code of an autoencoder.

    Raises UsageError where it has no code or the options do not fit, NotFoundError, DatasetError.
    """
    autoencoder = resolve_model(workspace, ae_ref, "ae")
    recipe = prepare_code_attack(autoencoder.as_autoencoder()[0], request)
    load = functools.cache(lambda: load_dataset_of(workspace, autoencoder, dataset_name))
    if dataset_name:
        load()
    with workspace.registry.lease([entry_id(recipe), *recipe.parents]):
        return make_code_attack(workspace, recipe, autoencoder, load)


def prepare_code_attack(autoencoder: AutoencoderRecipe, request: CodeAttackRequest) -> CodeAttackRecipe:
    """Return the recipe of a request, with every default filled in; the autoencoder need not be trained yet.

    Raises UsageError where it has no code, or a value does not fit; CorruptError for an impossible stored recipe.
    """
    # Before all else, because what has no code is read from the recipe.
    list_weights(autoencoder)
    id_, classes = entry_id(autoencoder), autoencoder.dataset.classes
    if why := explain_no_code(autoencoder):
        raise UsageError(f"attack-code takes autoencoders with a code, not {id_}: {why}")
    if request.optimizer not in CODE_OPTIMIZERS:
        raise UsageError(unknown("optimizer", request.optimizer, CODE_OPTIMIZERS))
    if request.target is not None and request.target >= len(classes):
        raise UsageError(
            f"bad --target {request.target}: a class from 0 to {len(classes) - 1} of {autoencoder.dataset.title}"
        )
    if request.pairs * request.points * autoencoder.dataset.shape.size > MOST_ATTACKED:
        most = MOST_ATTACKED // (request.points * autoencoder.dataset.shape.size)
        raise UsageError(
            f"bad --pairs {request.pairs}: at most {most} at {request.points} points and images of "
            f"{autoencoder.dataset.shape}; give fewer --pairs or --points"
        )
    return CodeAttackRecipe(
        autoencoder=id_,
        dataset=autoencoder.dataset,
        pairs=request.pairs,
        target=request.target,
        limit=request.limit,
        points=request.points,
        optimizer=request.optimizer,
        steps=request.steps or CODE_OPTIMIZERS[request.optimizer].steps,
        seed=request.seed,
        recipe_rev=REVISION,
    )


def make_code_attack(
    workspace: Workspace,
    recipe: CodeAttackRecipe,
    autoencoder: Manifest,
    load: Callable[[], Dataset],
    *,
    latest: bool = True,
) -> Made:
    """Return the attack of a recipe, computed where it is missing. latest: whether ``latest`` names it afterwards."""

    def compute() -> Content:
        start = time.monotonic()
        pairs = choose_code_pairs(load(), recipe)
        purifier = load_purifier(workspace.registry, autoencoder)
        if purifier.encode is None:
            raise UsageError(f"attack-code takes autoencoders with a code, and {autoencoder.id} has none")
        attacked = AttackedPairs.make(purifier, pairs, recipe, workspace.on_batch)
        return attacked.measure(time.monotonic() - start), attacked.collect()

    return make_entry(workspace, recipe, compute, autoencoder.source, latest=latest)
