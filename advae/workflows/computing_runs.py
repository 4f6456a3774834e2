"""The run of a prepared request: looked up, or computed; what an interrupt stops continues."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from advae.backend import compare_precisions
from advae.checks import check_run
from advae.errors import UsageError
from advae.evaluation.attack_state import AttackState
from advae.evaluation.evaluate import evaluate
from advae.evaluation.pipelines import load_pipeline
from advae.interrupts import answer_interrupts
from advae.metrics import count_classes
from advae.records import Dataset, Manifest, RunRecipe, entry_id
from advae.registry import Checkpoint, Registry
from advae.sampling import choose_samples
from advae.settings import BFLOAT16, FLOAT32
from advae.threats import THREATS, Surface
from advae.workflows.counterparts import make_dependency
from advae.workflows.from_file import FittedExamples
from advae.workflows.run_recipes import PreparedRun
from advae.workflows.workspace import Content, Made, Workspace, make_entry


def make_run(
    workspace: Workspace,
    prepared: PreparedRun,
    classifier: Manifest,
    load: Callable[[], Dataset],
    *,
    latest: bool = True,
    examples: FittedExamples | None = None,
) -> Made:
    """Return the run of a prepared request; pipelines that its attacker needs are trained where they are missing.

    load: returns the classifier's dataset; called only if something has to be computed. examples: those of a run that
    scores examples from a file.
    """
    recipe = prepared.recipe
    checkpoint = workspace.registry.checkpoint(entry_id(recipe), workspace.tell)

    def prepare() -> None:
        if recipe.precision:
            require_gain()
        for dependency in prepared.dependencies:
            make_dependency(workspace, dependency, classifier, load)

    def compute() -> Content:
        dataset = load()
        ids = choose_samples(dataset.y_test, recipe.limit, recipe.sample)
        # A slice for the first images, which makes no copy of the test set.
        chosen = ids if recipe.sample else slice(recipe.limit)
        tell_time = workspace.on_time_left
        with _resume(workspace, recipe, checkpoint) as state:
            evaluated = evaluate(
                load_surface(workspace.registry, recipe, classifier),
                recipe,
                dataset.x_test[chosen],
                dataset.y_test[chosen],
                ids=ids,
                given=examples.x_adv if examples and recipe.examples else None,
                on_batch=workspace.on_batch,
                on_time_left=functools.partial(tell_time, entry_id(recipe)) if tell_time else None,
                state=state,
            )
        metrics = evaluated.metrics.model_copy(update=_describe_data(dataset, classifier))
        return metrics.model_copy(update={"verdicts": check_run(recipe, metrics)}), evaluated.arrays

    made = make_entry(workspace, recipe, compute, classifier.source, prepare=prepare, latest=latest)
    if not made.cached:
        checkpoint.clear()
    return made


WORTH_SAVING = 2.0
"""Seconds of work from which on an interrupt saves what is finished."""


@contextmanager
def _resume(workspace: Workspace, recipe: RunRecipe, checkpoint: Checkpoint) -> Iterator[AttackState]:
    """Give what an interrupted attack finished, nothing with ``force``; an interrupt in the context saves more."""
    state, start = AttackState(recipe, checkpoint, workspace.tell), time.monotonic()
    if workspace.force:
        checkpoint.clear()
    elif state.load():
        workspace.tell(f"{entry_id(recipe)} continues where it was interrupted; --force starts again")
    try:
        with answer_interrupts(lambda: workspace.tell("interrupted: the batch under attack is finished first")):
            yield state
    except KeyboardInterrupt:
        if time.monotonic() - start > WORTH_SAVING and not state.empty:
            state.save(now=True)
            workspace.tell(f"what is finished of {entry_id(recipe)} is kept: the same command continues")
        raise


def _describe_data(dataset: Dataset, classifier: Manifest) -> dict[str, object]:
    """Return the metrics of a run that describe the whole dataset, by the field names of ``RunMetrics``."""
    return {
        "test_counts": count_classes(dataset.y_test, len(dataset.ref.classes)),
        "classes_predicted": classifier.as_classifier()[1].classes_predicted,
        "image_ranges": dataset.ranges,
    }


LEAST_GAIN = 1.1
"""Smallest speed-up for which a lower precision is accepted, because it makes gradients less exact."""


def require_gain() -> None:
    """Raise UsageError where bfloat16 gains nothing on this machine."""
    gain = compare_precisions()
    if gain < LEAST_GAIN:
        raise UsageError(
            f"--precision {BFLOAT16} would gain nothing here: its matrix products run at {gain:.2f} times the speed "
            f"of {FLOAT32}'s; leave it out (it is for GPUs, and for processors with AMX)"
        )


def load_surface(
    registry: Registry, recipe: RunRecipe, classifier: Manifest, open_entry: Callable[[str], Manifest] | None = None
) -> Surface:
    """Return the attack surface of a run: its gradients in the run's precision, everything else in float32.

    open_entry: returns the entry of an id, of the undefended counterpart and the surrogate; None: the registry's.
    """
    find = open_entry or registry.manifest
    counterpart, surrogate = (find(id_) if id_ else None for id_ in (recipe.twin, recipe.surrogate))

    def view(precision: str) -> Surface:
        pipeline = load_pipeline(registry, classifier, undefended=counterpart, surrogate=surrogate, precision=precision)
        return THREATS[recipe.threat].view(pipeline)

    surface = view(FLOAT32)
    # In another precision an image may be a success for the attacker, and none for the scorer.
    return replace(surface, craft=view(recipe.precision).craft, asks_scored=False) if recipe.precision else surface
