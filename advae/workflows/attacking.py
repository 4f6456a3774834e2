"""``advae attack``: check all requests first, then compute the runs that the registry does not have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from advae.errors import UsageError
from advae.models.classifiers import gives_gradients
from advae.requests import AttackRequest, note_zero
from advae.threats import ALL
from advae.workflows.attack_selection import apply_threat_models, list_comparisons, list_undefended
from advae.workflows.classifier_choice import Target, choose_classifier
from advae.workflows.computing_runs import make_run
from advae.workflows.counterparts import (
    PipelineRecipes,
    describe_reseeded,
    describe_undefended,
    find_counterpart_of,
    list_related,
    make_dependency,
    read_recipes,
)
from advae.workflows.from_file import FittedExamples, read_examples
from advae.workflows.run_recipes import PreparedRun, prepare_run
from advae.workflows.workspace import Made, Workspace, resolve_model


@dataclass(frozen=True)
class AttackCommand:
    """The request of one ``advae attack`` command."""

    requests: Sequence[AttackRequest]
    """A request for each method and threat model."""
    check: bool = False
    """Whether the runs that the checks compare with are made, too."""
    seeds: int = 1
    """Number of pipelines to attack, of the same recipe and successive seeds; at least 1."""
    surrogate: str | None = None
    """Reference to the classifier that a transfer attacker differentiates; None: one is made."""
    from_file: Path | None = None
    """A .npy file of adversarial examples to score, with one request; None: attacks are made."""

    @property
    def on_demand(self) -> bool:
        """Whether a missing undefended counterpart is trained; otherwise its absence is an error."""
        return self.check or any(request.threat == ALL for request in self.requests)


@dataclass(frozen=True)
class Attacks:
    """The runs of a command."""

    requested: tuple[Made, ...]
    """The runs that the user asked for."""
    checks: tuple[Made, ...]
    """The runs that the checks compare the requested runs with."""
    seeds: int
    """Number of pipelines that were attacked."""

    @property
    def all(self) -> tuple[Made, ...]:
        return self.requested + self.checks


Aimed = tuple[Target, PreparedRun]
"""A classifier, and the prepared run of an attack on it."""


def run_attacks(workspace: Workspace, clf_ref: str | None, dataset_name: str | None, command: AttackCommand) -> Attacks:
    """Return a run for each request of the command, all on the same samples.

    clf_ref: None for the newest classifier (of the dataset, where one is named). Every request is checked before the
    first is computed. Raises UsageError, BudgetError, NotFoundError as the command-line contract says.
    """
    first, command, examples = _choose_target(workspace, clf_ref, dataset_name, command)
    recipes = read_recipes(workspace.registry, first.recipe)
    again = [describe_reseeded(recipes, offset) for offset in range(1, command.seeds)]
    with workspace.registry.lease(id_ for one in (recipes, *again) for id_ in list_related(one)):
        return _run_attacks(workspace, first, again, command, examples)


def plan_attacks(
    workspace: Workspace, clf_ref: str | None, dataset_name: str | None, command: AttackCommand
) -> list[Aimed]:
    """Return the runs that ``run_attacks`` would make, with their classifier; of several seeds those of the first."""
    first, command, _ = _choose_target(workspace, clf_ref, dataset_name, command)
    requested, checks = _prepare(workspace, first, command, lambda note: None)
    return [*requested, *checks]


def _choose_target(
    workspace: Workspace, clf_ref: str | None, dataset_name: str | None, command: AttackCommand
) -> tuple[Target, AttackCommand, FittedExamples | None]:
    """Return the classifier of a command, the checked command, and the examples from its file."""
    first = choose_classifier(workspace, clf_ref, dataset_name)
    _check_command(workspace, first, command)
    if not command.from_file:
        return first, command, None
    (request,) = command.requests
    examples = read_examples(command.from_file, request, first.classifier, first.load)
    return first, replace(command, requests=[examples.request]), examples


def _run_attacks(
    workspace: Workspace,
    first: Target,
    again: Sequence[PipelineRecipes],
    command: AttackCommand,
    examples: FittedExamples | None,
) -> Attacks:
    """Return the runs of a command on a classifier, and on those of the same recipe and other seeds."""
    # Errors of the command are found on the first classifier, before others are trained for hours.
    notes = list(filter(None, {note_zero(request.eps) for request in command.requests}))
    requested, checks = _prepare(workspace, first, command, notes.append)
    for note in notes:
        workspace.tell(note)
    for dependency in again:
        like = Target(make_dependency(workspace, dependency, first.classifier, first.load), first.load)
        more = _prepare(workspace, like, command, lambda note: None)
        requested, checks = requested + more[0], checks + more[1]
    # The undefended counterpart may have another recipe than the one that ``list_related`` names.
    with workspace.registry.lease(id_ for _, one in (*requested, *checks) for id_ in one.recipe.parents):
        made = []
        for number, (target, one) in enumerate([*requested, *checks], 1):
            if len(requested) + len(checks) > 1:
                workspace.on_entry(f"attack {number} of {len(requested) + len(checks)}: {_name(one)}")
            made.append(make_run(workspace, one, target.classifier, target.load, examples=examples))
    return Attacks(tuple(made[: len(requested)]), tuple(made[len(requested) :]), command.seeds)


def _name(prepared: PreparedRun) -> str:
    """Return how the progress names a run."""
    return f"{prepared.recipe.method}, {prepared.recipe.threat}"


def _check_command(workspace: Workspace, target: Target, command: AttackCommand) -> None:
    """Raise UsageError for seeds of a model that has none, and for a surrogate that does not fit."""
    if command.seeds > 1 and target.recipe.added and not target.purified:
        raise UsageError(
            f"--seeds does not fit {target.classifier.id}: it was added from a file and cannot be trained again"
        )
    if command.surrogate is None:
        return
    if not any(request.threat in ("transfer", ALL) for request in command.requests) and not command.check:
        raise UsageError("--surrogate is for --threat transfer, whose attacker differentiates it")
    surrogate = resolve_model(workspace, command.surrogate, "clf")
    if surrogate.recipe.dataset.key != target.recipe.dataset.key:
        raise UsageError(f"{surrogate.id} is of another dataset than {target.classifier.id}")
    if not gives_gradients(surrogate.as_classifier()[0]):
        raise UsageError(f"{surrogate.id} gives scores only; a surrogate needs gradients")


def _prepare(
    workspace: Workspace, target: Target, command: AttackCommand, note: Callable[[str], None]
) -> tuple[list[Aimed], list[Aimed]]:
    """Return the runs of a command on one classifier, and those that the checks compare with. note: takes remarks."""
    purified, shape = target.purified, target.recipe.dataset.shape
    scores_only, retrained = target.scores_only, target.retrained
    recipes = read_recipes(workspace.registry, target.recipe)
    requests = apply_threat_models(
        command.requests,
        purified=purified,
        tell=note,
        scores_only=scores_only,
        samples=recipes.samples,
        retrained=retrained,
        on_code=recipes.on_code,
    )
    aim = functools.partial(_aim, workspace, target, surrogate=command.surrogate)
    requested = [aim(request, on_demand=command.on_demand) for request in requests]
    if not command.check:
        return requested, []
    wanted = list_comparisons(requests, purified=purified, shape=shape, scores_only=scores_only, retrained=retrained)
    checks = [aim(request, on_demand=True) for request in wanted]
    if purified or retrained:
        undefended = describe_undefended(PipelineRecipes(target.recipe))
        counterpart = Target(make_dependency(workspace, undefended, target.classifier, target.load), target.load)
        checks += [_aim(workspace, counterpart, one, on_demand=True) for one in list_undefended([*requests, *wanted])]
    return requested, checks


def _aim(
    workspace: Workspace, target: Target, request: AttackRequest, *, on_demand: bool, surrogate: str | None = None
) -> Aimed:
    """Return the checked recipe of a request, and the classifier that it attacks."""
    registry, (recipe, metrics) = workspace.registry, target.classifier.as_classifier()

    def find_counterpart(undefended: PipelineRecipes) -> str:
        return find_counterpart_of(registry, target.classifier, undefended, on_demand=on_demand)

    recipes = read_recipes(registry, recipe)
    surrogate_id = resolve_model(workspace, surrogate, "clf").id if surrogate else None
    return target, prepare_run(
        recipes, request, n_test=metrics.n_test, find_counterpart=find_counterpart, surrogate_id=surrogate_id
    )
