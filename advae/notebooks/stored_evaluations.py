"""Evaluations whose runs a registry stores, as ``advae attack`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from advae.errors import UsageError
from advae.notebooks.evaluation_result import EvaluatedRun, Evaluation
from advae.notebooks.homes import Home, open_registry
from advae.notebooks.loaded import LoadedPipeline

if TYPE_CHECKING:
    from pathlib import Path

    from advae.notebooks.image_arrays import GivenImages
    from advae.records import FloatArray, IntArray
    from advae.requests import AttackRequest


def count_stored_classes(model: Any) -> int:
    """Return how many classes a loaded pipeline has. Raises UsageError for another model."""
    if not isinstance(model, LoadedPipeline):
        raise UsageError(
            "home= stores runs of pipelines that are in the registry; add the model with `advae add-clf` and load it, "
            "or leave home= out"
        )
    model.require()
    return len(model.classes)


def refuse_unstored(**given: Any) -> None:
    """Raise UsageError for a model that no entry of the registry holds."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name}= does not fit home=: what is stored consists of entries of the registry")


def evaluate_stored(
    home: Home | str | Path,
    model: LoadedPipeline,
    images: GivenImages,
    labels: IntArray,
    requests: Sequence[AttackRequest],
    surrogate: Any,
    tell: Callable[[str], None],
) -> Evaluation:
    """Return the stored runs on the first test images of a pipeline's dataset, computed where they are missing."""
    from advae.records import OUTCOMES
    from advae.workflows import AttackCommand, Workspace, run_attacks
    from advae.workflows.workspace import load_dataset_of

    registry = (home if isinstance(home, Home) else open_registry(home)).registry
    if surrogate is not None and not isinstance(surrogate, LoadedPipeline):
        raise UsageError("surrogate= must be in the registry, too, where home= is given")
    workspace = Workspace(registry, tell=tell)
    manifest = registry.resolve(model.id, "clf")
    dataset = load_dataset_of(workspace, manifest, None)
    limit = _find_limit(images.x, labels, dataset.x_test, dataset.y_test, dataset.ref.title)
    if limit is not None:
        requests = [request.model_copy(update={"limit": min(limit, request.limit or limit)}) for request in requests]
    command = AttackCommand(requests, surrogate=surrogate.id if surrogate else None)
    made = run_attacks(workspace, model.id, None, command)
    runs = []
    for one in made.requested:
        recipe, metrics = one.manifest.as_run()
        arrays = registry.read_arrays(one.manifest, OUTCOMES)
        runs.append(EvaluatedRun(recipe, metrics, arrays, {}, one.manifest))
    return Evaluation(tuple(runs), registry=registry)


def _find_limit(x: FloatArray, y: IntArray, x_test: FloatArray, y_test: IntArray, name: str) -> int | None:
    """Return how many of the first test images x and y are, None for all. Raises UsageError where they are others."""
    import numpy as np

    n = len(x)
    same = n <= len(x_test) and np.array_equal(x, x_test[:n]) and np.array_equal(y, y_test[:n])
    if not same:
        raise UsageError(
            f"home= stores runs on the test images of the pipeline's dataset, and x, y are not the first {n} of "
            f"{name!r}; leave home= out"
        )
    return n if n < len(x_test) else None
