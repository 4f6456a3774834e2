"""The threat models: which function the attacker differentiates, where the perturbation is added; table THREATS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from advae.batching import Tensor
from advae.errors import UsageError, unknown

Function = Callable[[Tensor, Tensor], Tensor]
"""(x, draw) -> y; ``draw``, an int32 scalar, is the number of the draw of a purifier that samples."""


@dataclass(frozen=True)
class Pipeline:
    """classifier(purifier(x)) and the other classifiers that attackers use, as functions of float32 (n, d)."""

    classify: Callable[[Tensor], Tensor]
    """Purified images -> logits (n, classes)."""
    purify: Function | None = None
    """(x, draw) -> purified images (n, d); None for an undefended classifier."""
    differentiable: bool = True
    """Whether ``purify`` has a useful derivative; else the backward pass is that of ``stand_in`` (BPDA)."""
    stand_in: Callable[[Tensor], Tensor] | None = None
    """x -> roughly the purified images, with a derivative: a blur; None: the identity."""
    clips: bool = False
    """Whether ``purify`` clips its output at 0 and 1."""
    undefended: Callable[[Tensor], Tensor] | None = None
    """Logits of the undefended counterpart, which an oblivious attacker differentiates."""
    surrogate: Function | None = None
    """(x, draw) -> logits of the pipeline of another seed, which a transfer attacker differentiates."""
    unit_range: bool = True
    """Whether purified images lie in [0, 1]."""
    linear: bool = False
    """Whether ``classify`` is affine, as logistic regression is."""
    samples: bool = False
    """Whether ``purify`` is random, so that two outputs for the same image differ."""
    scores_only: bool = False
    """Whether ``classify`` has no gradient, because it is a model that is only asked."""

    @property
    def affine(self) -> bool:
        """Whether the logits of the whole pipeline are affine in the image."""
        return self.linear and self.purify is None

    @property
    def backward(self) -> Literal["exact", "identity", "blur"]:
        """Whose derivative takes the place of the purifier's; exact: none does."""
        if self.differentiable:
            return "exact"
        return "blur" if self.stand_in else "identity"

    def purified(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return the purified images, which the classifier is fed."""
        return x if self.purify is None else self.purify(x, draw)

    def defend(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return the logits of the whole pipeline."""
        return self.classify(self.purified(x, draw))

    def differentiate(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return the logits of the whole pipeline, for an adaptive attacker to differentiate.

        Where the purifier has no derivative its backward pass is the identity's, or that of its stand-in (BPDA; Athalye
        et al. 2018, arXiv:1802.00420, sections 4.1 and 4.2).
        """
        purified = self.purified(x, draw)
        if self.differentiable:
            return self.classify(purified)
        return self.classify(follow_identity(self.stand_in(x) if self.stand_in else x, purified))


def follow_identity(x: Tensor, purified: Tensor) -> Tensor:
    """Return ``purified``, whose derivative in x is the identity's; both may be ``keras.Input``'s."""
    from keras import ops

    # Adds exactly 0, with derivative 1.
    return ops.stop_gradient(purified) + (x - ops.stop_gradient(x))


@dataclass(frozen=True)
class Surface:
    """The attack surface of a pipeline under one threat model."""

    start: Function
    """(x, draw) -> the points that the perturbation is added to, (n, d)."""
    craft: Function
    """(x, draw) -> the logits that the attacker differentiates, or queries."""
    see: Function
    """(x, draw) -> what the classifier is fed for an adversarial example, (n, d)."""
    classify: Callable[[Tensor], Tensor]
    """The output of ``see`` -> the logits whose largest one is the prediction, (n, classes)."""
    upper: float = 1.0
    """The largest valid pixel where the perturbation is added; the smallest is 0."""
    through: Pipeline | None = None
    """The pipeline, where the attacker differentiates through its purifier; else None."""
    affine: bool = False
    """Whether the logits of the prediction are affine in the adversarial example."""
    samples: bool = False
    """Whether ``see`` is random, so that one misclassification is not yet a reliable success."""
    craft_samples: bool = False
    """Whether ``craft`` is random."""
    scores_only: bool = False
    """Whether ``craft`` has no gradient, so that it can only be asked."""
    fixed: bool = False
    """Whether one draw, which the attacker knows, takes the place of all: see ``fix_draw``."""
    asks_scored: bool = False
    """Whether ``craft`` is the very function whose largest logit is the prediction, so that the attacker knows for
    certain what is a success."""

    def find_range(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest valid values of points that start there: scalars, or (n, d).

        Images lie in the range. Purified images of a linear output may lie outside; clipping them would use budget.
        """
        if self.start is _identity:
            return 0.0, self.upper
        import tensorflow as tf

        return tf.minimum(start, 0.0), tf.maximum(start, self.upper)


@dataclass(frozen=True)
class Threat:
    """A row of THREATS: a threat model."""

    explanation: str
    """What the attacker knows, for readers who have not met the threat model before."""
    view: Callable[[Pipeline], Surface]
    """Pipeline -> its attack surface."""
    needs_purifier: bool = True
    """Whether the classifier must be behind a purifier."""
    needs_sampling: bool = False
    """Whether the purifier must be random."""
    needs_undefended: bool = False
    """Whether the undefended counterpart of the classifier is needed."""
    needs_surrogate: bool = False
    """Whether a pipeline of the same recipe and another seed is needed."""
    differentiates_classifier: bool = True
    """Whether the attacker takes gradients of the classifier itself; False: of another one, or of none."""
    on_input: bool = True
    """Whether the perturbation is added to the image; False: to the purified image, inside the pipeline."""
    needs_images: bool = False
    """Whether the classifier must take images: one of a code has no purified image, and takes no raw one."""
    samples: bool = False
    """Whether gradients pass through a random purifier, so that they are averaged over EOT samples."""
    methods: tuple[str, ...] | None = None
    """The attacks that fit the threat model, the default one first; None for any."""


NEEDS_SAMPLING = (
    "threat 'fixed-randomness' needs a purifier that samples, such as that of `train-ae --type variational --sample`; "
    "without randomness take --threat adaptive"
)


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
        scores_only=pipeline.scores_only,
        asks_scored=not pipeline.samples,
    )


def view_fixed(pipeline: Pipeline) -> Surface:
    """The whole pipeline is differentiated and scored with its randomness fixed to a draw that the attacker knows."""
    if pipeline.purify is None or not pipeline.samples:
        raise UsageError(NEEDS_SAMPLING)
    known = replace(pipeline, purify=draw_alike(pipeline.purify), samples=False)
    return replace(view_adaptive(known), fixed=True)


def draw_alike(purify: Function) -> Function:
    """Return a random purifier that gives every image of a batch the same draw, that of a batch of one image.

    Else an image's noise would depend on its place in the batch, which an attack changes when it drops images.
    """

    def purify_each(x: Tensor, draw: Tensor) -> Tensor:
        import tensorflow as tf

        return tf.vectorized_map(lambda image: purify(image[None], draw)[0], x)

    return purify_each


def fix_draw(surface: Surface, draw: Tensor) -> Surface:
    """Return a ``fixed`` surface on which this draw takes the place of all; any other surface as it is."""
    if not surface.fixed:
        return surface
    return replace(surface, craft=_fix(surface.craft, draw), see=_fix(surface.see, draw))


def _fix(function: Function, draw: Tensor) -> Function:
    return lambda x, _: function(x, draw)


def view_black_box(pipeline: Pipeline) -> Surface:
    """The whole pipeline is queried for its logits, never differentiated."""
    samples = pipeline.samples
    return Surface(
        _identity,
        pipeline.defend,
        pipeline.purified,
        pipeline.classify,
        samples=samples,
        craft_samples=samples,
        scores_only=pipeline.scores_only,
        asks_scored=not samples,
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
    """A pipeline of the same recipe and another seed is differentiated."""
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
    undefended = pipeline.undefended
    if undefended is None:
        raise UsageError("threat 'oblivious' needs the undefended counterpart of the classifier")
    return Surface(
        _identity, lambda x, draw: undefended(x), pipeline.purified, pipeline.classify, samples=pipeline.samples
    )


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
        "The attacker knows everything and differentiates through autoencoder and classifier together. Only this "
        "threat model measures the robust accuracy of the defence.",
        view_adaptive,
        needs_purifier=False,
        samples=True,
    ),
    "fixed-randomness": Threat(
        "The attacker knows everything, also what the purifier draws: attack and score use the same, fixed draw. The "
        "robust accuracy that remains is due to purification; robust accuracy under adaptive beyond it is due to luck.",
        view_fixed,
        needs_sampling=True,
    ),
    "black-box": Threat(
        "The attacker queries the whole pipeline for its logits, a limited number of times for each image, and never "
        "sees a gradient. A robust accuracy lower than the adaptive attack's is a sign of gradient masking.",
        view_black_box,
        needs_purifier=False,
        methods=("square", "hop-skip-jump"),
        differentiates_classifier=False,
    ),
    "gray-box": Threat(
        "The attacker knows the classifier but not the autoencoder: the classifier alone is differentiated, and the "
        "result then passes through the autoencoder.",
        view_gray_box,
        needs_images=True,
    ),
    "transfer": Threat(
        "The attacker knows how the pipeline was made but not its weights: a surrogate, trained in the same way from "
        "another seed, is differentiated as a whole.",
        view_transfer,
        needs_purifier=False,
        needs_surrogate=True,
        differentiates_classifier=False,
        samples=True,
    ),
    "oblivious": Threat(
        "The attacker does not know of the defence: the attack is made on the undefended counterpart of the "
        "classifier, and the result then passes through the autoencoder.",
        view_oblivious,
        needs_undefended=True,
        differentiates_classifier=False,
    ),
    "noise": Threat(
        "Random-noise baseline of the same norm: no attack at all. Under any attack the robust accuracy must be lower.",
        view_black_box,
        needs_purifier=False,
        methods=("noise",),
        differentiates_classifier=False,
    ),
    "encoded": Threat(
        "The attacker changes the purified data behind the autoencoder, which is not possible from outside the "
        "pipeline. The budget is applied to the purified data, whose range differs from that of the images when the "
        "autoencoder's output is not rescaled.",
        view_encoded,
        on_input=False,
        needs_images=True,
    ),
    "elsewhere": Threat(
        "The adversarial examples were made elsewhere and read from a file; what their attacker knew is not known. "
        "Examples farther than eps count as unchanged images. The robust accuracy is an upper bound.",
        view_black_box,
        needs_purifier=False,
        methods=("from-file",),
        differentiates_classifier=False,
    ),
}

ALL = "all"
"""The value of ``--threat`` that means every threat model that a classifier has."""

THREATS_BY_KNOWLEDGE = (
    *("noise", "oblivious", "transfer", "gray-box", "encoded", "adaptive", "black-box"),
    "fixed-randomness",
)
"""The threat models from the least to the most knowledge, the order of ``--threat all``; without ``elsewhere``, whose
attacker's knowledge is not known."""


def list_threats(*, purified: bool, samples: bool = False, retrained: bool = False, on_code: bool = False) -> list[str]:
    """Return the threat models that a classifier with, or without, a purifier has, in their order.

    samples: whether the purifier is random; retrained: whether the classifier was retrained on adversarial examples,
    which is a defence that an attacker need not know of; on_code: whether it classifies the purifier's code.
    """
    return [
        name
        for name in THREATS_BY_KNOWLEDGE
        if (purified or fits_bare(name, retrained=retrained))
        and (samples or not THREATS[name].needs_sampling)
        and not (on_code and THREATS[name].needs_images)
    ]


def fits_bare(name: str, *, retrained: bool) -> bool:
    """Return whether a classifier without purifier has a threat model; retrained: as for ``list_threats``."""
    return not THREATS[name].needs_purifier or (retrained and THREATS[name].needs_undefended)


def find_threat(
    name: str, *, purified: bool, samples: bool = False, retrained: bool = False, on_code: bool = False
) -> Threat:
    """Return a row of THREATS.

    purified: whether the classifier has a purifier; samples: whether that is random; retrained, on_code: as for
    ``list_threats``. Raises UsageError where there is no such row, or it does not fit.
    """
    if name not in THREATS:
        raise UsageError(unknown("threat", name, (*THREATS, ALL)))
    if not purified and not fits_bare(name, retrained=retrained):
        known = ", ".join(list_threats(purified=False, retrained=retrained))
        whose = "one without purifier" if retrained else "an undefended one"
        raise UsageError(f"threat {name!r} needs a classifier behind a purifier; {whose} has only {known}")
    if on_code and THREATS[name].needs_images:
        known = ", ".join(list_threats(purified=True, on_code=True))
        raise UsageError(
            f"threat {name!r} does not fit a classifier of a code: encoder and classifier are one classifier of "
            f"images; it has {known}"
        )
    if THREATS[name].needs_sampling and not samples:
        raise UsageError(NEEDS_SAMPLING)
    return THREATS[name]
