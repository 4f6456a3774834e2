"""Retraining on adversarial examples (RAD): how a classifier is retrained, and what each round found."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from advae.records.base import Interval, Name, Natural, Positive, Record, Share, absent_unless_given
from advae.run_options import MOST_RETRAINED_EPS, MOST_RETRAINED_STEPS, MOST_ROUNDS


class RetrainOptions(Record):
    """How a classifier is retrained on adversarial examples of its training images.

    Li and Vorobeychik 2018, Evasion-robust classification on binary domains, algorithm RAD.
    """

    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)]
    """Most times that it is fitted again; fewer where an attack finds nothing new."""
    method: Name
    """The attack on the training images, a name of ATTACKS."""
    eps: Annotated[float, Field(gt=0, le=MOST_RETRAINED_EPS)]
    """Radius of the attack's ball, in units of x."""
    norm: Literal["linf"] = "linf"
    """Norm of the ball."""
    steps: Annotated[int, Field(ge=1, le=MOST_RETRAINED_STEPS)] | None
    """Iterations of the attack; None for an attack of a single step."""
    limit: Positive | None = absent_unless_given()
    """How many training images are attacked in each round, drawn at random by the seed; None for all."""
    attack_rev: Natural
    """Revision of the attack: raised when it would make other adversarial examples."""


class RetrainingRound(Record):
    """What was found in one round: a classifier was fitted, and the images were attacked."""

    examples: Natural
    """Adversarial examples that the classifier was fitted on, beside the training images; 0 in the first round."""
    evading: Natural
    """Number of attacked training images whose adversarial example the classifier gets wrong."""
    new: Natural
    """Number of these adversarial examples that the set did not have; the next round's classifier is fitted on them,
    too."""
    clean_accuracy: Share
    """Clean accuracy of the round's classifier on the test images, 0 to 1."""
    clean_accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""
    robust_accuracy: Share
    """Its robust accuracy on all test images under the same attack at the same eps, 0 to 1."""
    robust_accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""

    @model_validator(mode="after")
    def _check_intervals(self) -> Self:
        for name in ("clean_accuracy", "robust_accuracy"):
            lower, upper = getattr(self, f"{name}_interval")
            # An end of the interval at 0 or 1 may have a rounding error.
            if not lower - 1e-9 <= getattr(self, name) <= upper + 1e-9:
                raise ValueError(f"its {name} is outside its confidence interval")
        return self


class Retraining(Record):
    """The rounds of a retraining. The first one is the classifier that is not retrained, the last one is stored."""

    attacked: Positive
    """Number of training images that were attacked in each round."""
    rounds: Annotated[tuple[RetrainingRound, ...], Field(fail_fast=True, min_length=1, max_length=MOST_ROUNDS + 1)]
    """What each round found, in their order."""

    @property
    def finished(self) -> bool:
        """Whether the last round found nothing new, so that further rounds would change nothing."""
        return self.rounds[-1].new == 0
