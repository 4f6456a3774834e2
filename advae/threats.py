"""What the attacker knows: which function is differentiated, where the perturbation is added; the table THREATS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from advae.errors import UsageError, unknown

Tensor = Any
Function = Callable[[Tensor, Tensor], Tensor]
"""(x, draw) -> y; ``draw``, an int32 scalar, tells apart the draws of a purifier that samples."""


@dataclass(frozen=True)
class Pipeline:
    """classifier(purifier(x)) and what surrounds it, as functions of float32 (n, d).

    purify: None for a classifier without purifier. twin: the undefended classifier that an oblivious attacker uses.
    unit_range: whether purified images lie in [0, 1].
    """

    classify: Callable[[Tensor], Tensor]
    purify: Function | None = None
    twin: Callable[[Tensor], Tensor] | None = None
    unit_range: bool = True

    def purified(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return what the classifier is fed for x."""
        return x if self.purify is None else self.purify(x, draw)

    def defend(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return the logits of the whole pipeline."""
        return self.classify(self.purified(x, draw))


@dataclass(frozen=True)
class Surface:
    """Where an attack takes place.

    start: (x, draw) -> the point that the perturbation is added to; craft: the logits that the attacker
    differentiates; see: what the classifier is fed for an attacked point; classify: its logits, which decide;
    upper: the largest valid pixel at the point of attack, the smallest is 0.
    """

    start: Function
    craft: Function
    see: Function
    classify: Callable[[Tensor], Tensor]
    upper: float = 1.0


@dataclass(frozen=True)
class Threat:
    """A row of THREATS.

    explanation: what the attacker knows, for readers who have not met the threat model before; on_input: whether the
    perturbation is added to the image, as an attacker outside the pipeline must.
    """

    explanation: str
    view: Callable[[Pipeline], Surface]
    needs_purifier: bool = True
    needs_twin: bool = False
    on_input: bool = True


def _identity(x: Tensor, draw: Tensor) -> Tensor:
    return x


def view_adaptive(pipeline: Pipeline) -> Surface:
    """The whole pipeline is differentiated, the perturbation is added to the input."""
    return Surface(_identity, pipeline.defend, pipeline.purified, pipeline.classify)


def view_gray_box(pipeline: Pipeline) -> Surface:
    """The classifier alone is differentiated, on raw input; then the result is purified."""
    return Surface(_identity, lambda x, draw: pipeline.classify(x), pipeline.purified, pipeline.classify)


def view_oblivious(pipeline: Pipeline) -> Surface:
    """The undefended twin is differentiated; then the result is purified."""
    twin = pipeline.twin
    if twin is None:
        raise UsageError("threat 'oblivious' needs an undefended twin of the classifier")
    return Surface(_identity, lambda x, draw: twin(x), pipeline.purified, pipeline.classify)


def view_encoded(pipeline: Pipeline) -> Surface:
    """The perturbation is added behind the purifier, to its output: the paper's own protocol.

    A raw output (``--rescale none``) has a range of its own, so only the lower end is a limit there.
    """
    upper = 1.0 if pipeline.unit_range else math.inf
    return Surface(pipeline.purified, lambda x, draw: pipeline.classify(x), _identity, pipeline.classify, upper)


THREATS: dict[str, Threat] = {
    "adaptive": Threat(
        "The attacker knows everything and differentiates through autoencoder and classifier together. Only this says "
        "what the defence is worth; a classifier without autoencoder knows no other.",
        view_adaptive,
        needs_purifier=False,
    ),
    "gray-box": Threat(
        "The attacker knows the classifier but not the autoencoder: the classifier alone is differentiated, and the "
        "result then passes through the autoencoder.",
        view_gray_box,
    ),
    "oblivious": Threat(
        "The attacker does not know of the defence: the attack is made on an undefended twin of the classifier, and "
        "the result then passes through the autoencoder.",
        view_oblivious,
        needs_twin=True,
    ),
    "encoded": Threat(
        "The attacker stands behind the autoencoder and changes the purified data, which nobody outside the pipeline "
        "can do. The budget is applied to the purified data, whose range differs from that of the images when the "
        "autoencoder's output is not rescaled.",
        view_encoded,
        on_input=False,
    ),
}


def find_threat(name: str, *, purified: bool) -> Threat:
    """Return a row of THREATS.

    purified: whether the classifier has a purifier; one without knows only ``adaptive``. Raises UsageError.
    """
    if name not in THREATS:
        raise UsageError(unknown("threat", name, THREATS))
    threat = THREATS[name]
    if threat.needs_purifier and not purified:
        raise UsageError(f"threat {name!r} needs a classifier behind a purifier; one without knows only 'adaptive'")
    return threat
