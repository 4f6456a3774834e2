"""The table CERTIFICATES: the ways to prove that no perturbation of a ball changes a prediction."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.certificates.certified_images import CertifiedImages, Images, ProofProgress
from advae.errors import UsageError, unknown
from advae.run_options import Norm
from advae.threats import Pipeline

if TYPE_CHECKING:
    from advae.records import CertificateRecipe

SAMPLES, SELECT, ALPHA = 10_000, 100, 0.001
"""Noisy copies that bound a probability, and that choose the class; probability of error. Cohen et al. 2019."""


Certify = Callable[[Pipeline, Images, "CertificateRecipe", ProofProgress], CertifiedImages]


@dataclass(frozen=True)
class Traits:
    """What is known of a pipeline without loading it."""

    affine: bool
    """Whether its logits are affine in the image."""
    samples: bool
    """Whether its purifier is random."""
    scores_only: bool
    """Whether its classifier is only asked for scores."""
    outside_graph: bool = False
    """Whether another library than Keras computes its purifier."""


@dataclass(frozen=True)
class Certificate:
    """A row of CERTIFICATES."""

    summary: str
    """One line for ``--help``."""
    norms: tuple[Norm, ...]
    """Norms of the ball that it takes, the default one first."""
    certify: Certify
    """(pipeline, images, recipe, progress) -> the result for each image."""
    estimate: Callable[[Pipeline, Images, CertificateRecipe], float]
    """(pipeline, images, recipe) -> about how many seconds ``certify`` takes, measured on a few images."""
    find_misfit: Callable[[Traits], str | None]
    """Traits of a pipeline -> why the method does not fit it, None where it does."""
    smooths: bool = False
    """Whether it certifies another pipeline, the smoothed one, and takes the options of the noise."""
    revision: int = 1
    """Raised when the same recipe would give other results."""


# ---------------------------------------------------------------- the methods, imported when they are used


def _certify_exactly(
    pipeline: Pipeline, images: Images, recipe: CertificateRecipe, progress: ProofProgress
) -> CertifiedImages:
    from advae.certificates.exact import certify_exact

    return certify_exact(pipeline, images, recipe.eps, recipe.norm)


def _certify_by_intervals(
    pipeline: Pipeline, images: Images, recipe: CertificateRecipe, progress: ProofProgress
) -> CertifiedImages:
    from advae.certificates.interval_bounds import certify_by_intervals

    return certify_by_intervals(pipeline, images, recipe.eps, progress)


def _certify_backward(
    pipeline: Pipeline, images: Images, recipe: CertificateRecipe, progress: ProofProgress
) -> CertifiedImages:
    from advae.certificates.backward_bounds import certify_backward

    return certify_backward(pipeline, images, recipe.eps, progress)


def _certify_by_smoothing(
    pipeline: Pipeline, images: Images, recipe: CertificateRecipe, progress: ProofProgress
) -> CertifiedImages:
    from advae.certificates.smoothing import certify_by_smoothing

    return certify_by_smoothing(pipeline, images, recipe, progress)


def _estimate_backward(pipeline: Pipeline, images: Images, recipe: CertificateRecipe) -> float:
    from advae.certificates.backward_bounds import estimate_backward_seconds

    return estimate_backward_seconds(pipeline, images, recipe.eps)


def _estimate_smoothing(pipeline: Pipeline, images: Images, recipe: CertificateRecipe) -> float:
    from advae.certificates.smoothing import estimate_seconds, read_smoothing

    classes = len(recipe.dataset.classes)
    return estimate_seconds(pipeline, images.x, images.ids, smoothing=read_smoothing(recipe), classes=classes)


TIMED_IMAGES = 128
"""Images on which a proof without noise is timed."""


def _estimate_from_few(certify: Certify) -> Callable[[Pipeline, Images, CertificateRecipe], float]:
    """Return an estimate from the times of two small proofs, whose difference shows what an image costs."""

    def estimate(pipeline: Pipeline, images: Images, recipe: CertificateRecipe) -> float:
        few = min(TIMED_IMAGES, len(images.y))
        once, more = (_time(certify, pipeline, images.first(n), recipe) for n in (1, few))
        return once + max(more - once, 0.0) / few * len(images.y)

    return estimate


def _time(certify: Certify, pipeline: Pipeline, images: Images, recipe: CertificateRecipe) -> float:
    start = time.monotonic()
    certify(pipeline, images, recipe, ProofProgress())
    return time.monotonic() - start


def _refuse_curves(traits: Traits) -> str | None:
    """Return why a pipeline has no closed form."""
    if traits.affine:
        return None
    return "its logits are not affine in the image; --method ibp bounds those of networks"


def _refuse_unknown_layers(traits: Traits) -> str | None:
    """Return why a pipeline has no interval bounds; its layers are looked at when it is loaded."""
    if traits.samples:
        return "its purifier is random; --method smoothing certifies any pipeline, in L2"
    if traits.outside_graph:
        return "another library than Keras computes its purifier; --method smoothing certifies any pipeline, in L2"
    if traits.scores_only:
        return "it gives scores only and its layers are not known; --method smoothing certifies any pipeline, in L2"
    return None


CERTIFICATES: dict[str, Certificate] = {
    "exact": Certificate(
        "the closed form of affine pipelines",
        ("linf", "l2"),
        _certify_exactly,
        _estimate_from_few(_certify_exactly),
        _refuse_curves,
    ),
    "ibp": Certificate(
        "interval bounds of networks",
        ("linf",),
        _certify_by_intervals,
        _estimate_from_few(_certify_by_intervals),
        _refuse_unknown_layers,
    ),
    "crown": Certificate(
        "backward linear bounds of networks, tighter and slower than ibp",
        ("linf",),
        _certify_backward,
        _estimate_backward,
        _refuse_unknown_layers,
    ),
    "smoothing": Certificate(
        "randomised smoothing of any pipeline, which certifies its majority under noise",
        ("l2",),
        _certify_by_smoothing,
        _estimate_smoothing,
        lambda traits: None,
        smooths=True,
    ),
}


def find_certificate(name: str) -> Certificate:
    """Return a row of CERTIFICATES. Raises UsageError where there is none of that name."""
    if name not in CERTIFICATES:
        raise UsageError(unknown("method", name, CERTIFICATES))
    return CERTIFICATES[name]
