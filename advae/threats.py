"""What the attacker knows: which function is differentiated, where the perturbation is added; the table THREATS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from advae.batching import Tensor
from advae.errors import UsageError, unknown

Function = Callable[[Tensor, Tensor], Tensor]
"""(x, draw) -> y; ``draw``, an int32 scalar, tells apart the draws of a purifier that samples."""


@dataclass(frozen=True)
class Pipeline:
    """classifier(purifier(x)) and what surrounds it, as functions of float32 (n, d).

    purify: None for a classifier without purifier. differentiable: whether ``purify`` has a derivative worth following.
    clips: whether it cuts its output off at 0 and 1. twin: the undefended classifier that an oblivious attacker uses;
    surrogate: the pipeline that a transfer attacker uses, as its maker would differentiate it. unit_range: whether
    purified images lie in [0, 1]. linear: whether ``classify`` is affine, as logistic regression is. samples: whether
    ``purify`` draws, so that no two answers are the same.
    """

    classify: Callable[[Tensor], Tensor]
    purify: Function | None = None
    differentiable: bool = True
    clips: bool = False
    twin: Callable[[Tensor], Tensor] | None = None
    surrogate: Function | None = None
    unit_range: bool = True
    linear: bool = False
    samples: bool = False

    @property
    def affine(self) -> bool:
        """Whether the logits of the whole pipeline are affine in the image."""
        return self.linear and self.purify is None

    def purified(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return what the classifier is fed for x."""
        return x if self.purify is None else self.purify(x, draw)

    def defend(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return the logits of the whole pipeline."""
        return self.classify(self.purified(x, draw))

    def differentiate(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return the logits of the whole pipeline, for an attacker who knows of it to differentiate.

        Where the purifier has no derivative its backward pass is the identity's (BPDA; Athalye et al. 2018,
        arXiv:1802.00420, section 4.1).
        """
        purified = self.purified(x, draw)
        return self.classify(purified if self.differentiable else follow_identity(x, purified))


def follow_identity(x: Tensor, purified: Tensor) -> Tensor:
    """Return ``purified``, whose derivative in x is the identity's; both may be ``keras.Input``'s."""
    from keras import ops

    # Adds exactly 0, with derivative 1.
    return ops.stop_gradient(purified) + (x - ops.stop_gradient(x))


@dataclass(frozen=True)
class Surface:
    """Where an attack takes place.

    start: (x, draw) -> the point that the perturbation is added to; craft: the logits that the attacker
    differentiates; see: what the classifier is fed for an attacked point; classify: its logits, which decide;
    upper: the largest valid pixel at the point of attack, the smallest is 0. through: the pipeline, where ``craft``
    passes through its purifier; else None. affine: whether the logits that decide are affine in the attacked point.
    samples: whether ``see`` draws, so that one success is no success; craft_samples: whether ``craft`` does.
    """

    start: Function
    craft: Function
    see: Function
    classify: Callable[[Tensor], Tensor]
    upper: float = 1.0
    through: Pipeline | None = None
    affine: bool = False
    samples: bool = False
    craft_samples: bool = False

    def find_range(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest valid values of points that start there: scalars, or (n, d).

        Images lie in the range. What a purifier with a linear output makes of them may start outside, and moving it
        back would spend budget.
        """
        if self.start is _identity:
            return 0.0, self.upper
        import tensorflow as tf

        return tf.minimum(start, 0.0), tf.maximum(start, self.upper)


@dataclass(frozen=True)
class Threat:
    """A row of THREATS.

    explanation: what the attacker knows, for readers who have not met the threat model before; on_input: whether the
    perturbation is added to the image, as an attacker outside the pipeline must; needs_purifier, needs_twin,
    needs_surrogate: what there must be; samples: whether gradients pass through the purifier's draws, so that they are
    averaged over many; method: the only attack that such an attacker can make, None for any.
    """

    explanation: str
    view: Callable[[Pipeline], Surface]
    needs_purifier: bool = True
    needs_twin: bool = False
    needs_surrogate: bool = False
    on_input: bool = True
    samples: bool = False
    method: str | None = None


def _identity(x: Tensor, draw: Tensor) -> Tensor:
    return x


def view_adaptive(pipeline: Pipeline) -> Surface:
    """The whole pipeline is differentiated, the perturbation is added to the input."""
    return Surface(
        _identity,
        pipeline.differentiate,
        pipeline.purified,
        pipeline.classify,
        through=pipeline,
        affine=pipeline.affine,
        samples=pipeline.samples,
        craft_samples=pipeline.samples,
    )


def view_black_box(pipeline: Pipeline) -> Surface:
    """The whole pipeline is asked for its logits, never differentiated."""
    samples = pipeline.samples
    return Surface(
        _identity, pipeline.defend, pipeline.purified, pipeline.classify, samples=samples, craft_samples=samples
    )


def view_gray_box(pipeline: Pipeline) -> Surface:
    """The classifier alone is differentiated, on raw input; then the result is purified."""
    return Surface(
        _identity,
        lambda x, draw: pipeline.classify(x),
        pipeline.purified,
        pipeline.classify,
        samples=pipeline.samples,
    )


def view_transfer(pipeline: Pipeline) -> Surface:
    """A pipeline of the same make and another seed is differentiated."""
    if pipeline.surrogate is None:
        raise UsageError("threat 'transfer' needs a surrogate of the pipeline")
    return Surface(
        _identity,
        pipeline.surrogate,
        pipeline.purified,
        pipeline.classify,
        affine=pipeline.affine,
        samples=pipeline.samples,
        craft_samples=pipeline.samples,
    )


def view_oblivious(pipeline: Pipeline) -> Surface:
    """The undefended counterpart is differentiated; then the result is purified."""
    twin = pipeline.twin
    if twin is None:
        raise UsageError("threat 'oblivious' needs an undefended counterpart of the classifier")
    return Surface(_identity, lambda x, draw: twin(x), pipeline.purified, pipeline.classify, samples=pipeline.samples)


def view_encoded(pipeline: Pipeline) -> Surface:
    """The perturbation is added behind the purifier, to its output: the paper's own protocol.

    A raw output (``--rescale none``) has a range of its own, so only the lower end is a limit there.
    """
    upper = 1.0 if pipeline.unit_range else math.inf
    return Surface(
        pipeline.purified,
        lambda x, draw: pipeline.classify(x),
        _identity,
        pipeline.classify,
        upper,
        affine=pipeline.linear,
    )


THREATS: dict[str, Threat] = {
    "adaptive": Threat(
        "The attacker knows everything and differentiates through autoencoder and classifier together. Only this says "
        "what the defence is worth.",
        view_adaptive,
        needs_purifier=False,
        samples=True,
    ),
    "black-box": Threat(
        "The attacker asks the whole pipeline for its scores, a limited number of times for each image, and never sees "
        "a gradient. Where this leaves less than the adaptive attack, the adaptive attack was broken.",
        view_black_box,
        needs_purifier=False,
        method="square",
    ),
    "gray-box": Threat(
        "The attacker knows the classifier but not the autoencoder: the classifier alone is differentiated, and the "
        "result then passes through the autoencoder.",
        view_gray_box,
    ),
    "transfer": Threat(
        "The attacker knows how the pipeline was made but not its weights: a surrogate, trained in the same way from "
        "another seed, is differentiated through and through.",
        view_transfer,
        needs_purifier=False,
        needs_surrogate=True,
        samples=True,
    ),
    "oblivious": Threat(
        "The attacker does not know of the defence: the attack is made on an undefended counterpart of the classifier, "
        "and the result then passes through the autoencoder.",
        view_oblivious,
        needs_twin=True,
    ),
    "noise": Threat(
        "Nobody attacks: random noise of the same norm. What an attack leaves must be less than what this leaves.",
        view_black_box,
        needs_purifier=False,
        method="noise",
    ),
    "encoded": Threat(
        "The attacker stands behind the autoencoder and changes the purified data, which nobody outside the pipeline "
        "can do. The budget is applied to the purified data, whose range differs from that of the images when the "
        "autoencoder's output is not rescaled.",
        view_encoded,
        on_input=False,
    ),
}

ALL = "all"
"""Stands for every rung of THREATS_BY_KNOWLEDGE that a classifier has."""

THREATS_BY_KNOWLEDGE = ("noise", "oblivious", "transfer", "gray-box", "encoded", "adaptive", "black-box")
"""The threat models in the order in which ``--threat all`` climbs them."""


def list_threats(*, purified: bool) -> list[str]:
    """Return the rungs of THREATS_BY_KNOWLEDGE that a classifier with, or without, a purifier has."""
    return [name for name in THREATS_BY_KNOWLEDGE if purified or not THREATS[name].needs_purifier]


def find_threat(name: str, *, purified: bool) -> Threat:
    """Return a row of THREATS.

    purified: whether the classifier has a purifier. Raises UsageError where there is no such row, or it needs one.
    """
    if name not in THREATS:
        raise UsageError(unknown("threat", name, (*THREATS, ALL)))
    if not purified and THREATS[name].needs_purifier:
        known = ", ".join(list_threats(purified=False))
        raise UsageError(f"threat {name!r} needs a classifier behind a purifier; one without knows only {known}")
    return THREATS[name]
