"""The attacks that a plan asks for on one pipeline, and errors that say where in the plan their cause is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from advae.errors import NotFoundError, UsageError, unknown
from advae.experiments.plan import AttackPlan, Experiment
from advae.models import classifiers
from advae.requests import AttackRequest
from advae.threats import ALL, THREATS, list_threats
from advae.workflows.attack_selection import apply_threat_models
from advae.workflows.counterparts import PipelineRecipes


def list_pipeline_attacks(plan: AttackPlan, seed: int, recipes: PipelineRecipes) -> list[AttackRequest]:
    """Return the attacks of a part of a plan on one pipeline; threat models that need a purifier become adaptive."""
    purified, scores_only = recipes.autoencoder is not None, not classifiers.gives_gradients(recipes.classifier)
    random, on_code, retrained = recipes.samples, recipes.on_code, recipes.classifier.retrained is not None
    fit = list_threats(purified=purified, samples=random, retrained=retrained, on_code=on_code)
    unfit = set(THREATS) - set(fit)
    requests = (
        request.model_copy(update={"threat": "adaptive"}) if request.threat in unfit else request
        for request in plan.list_requests(seed)
    )
    return apply_threat_models(
        requests,
        purified=purified,
        tell=lambda line: None,
        scores_only=scores_only,
        samples=random,
        retrained=retrained,
        on_code=on_code,
    )


@contextmanager
def say_where(place: str) -> Iterator[None]:
    """Add to an error the place in the plan where its cause is."""
    try:
        yield
    except (UsageError, NotFoundError) as error:
        raise type(error)(f"the plan's {place}: {error}") from None


def refuse_unknown_threats(experiment: Experiment) -> None:
    """Raise UsageError for an unknown threat model, also for attacks that have only one threat model."""
    for index, plan in enumerate(experiment.attacks):
        with say_where(f"attacks[{index}].threats"):
            for threat in plan.threats:
                if threat not in (*THREATS, ALL):
                    raise UsageError(unknown("threat", threat, (*THREATS, ALL)))
