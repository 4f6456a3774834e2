"""Certificates by backward linear bounds (CROWN), of what interval bounds alone do not prove.

Zhang et al. 2018, arXiv:1811.00866, by ``advae.intervals.crown``. As with interval bounds, what is certified holds for
every float32 evaluation, and an image that is not certified may still be safe.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from advae.batching import apply
from advae.certificates.certified_images import CertifiedImages, Images, ProofProgress
from advae.certificates.interval_bounds import (
    Prove,
    Prover,
    compile_margins,
    compile_proof,
    count_rows,
    prove_batch,
    prove_images,
)
from advae.certificates.tracing_pipelines import trace_pipeline
from advae.intervals import bound_margins_backward
from advae.threats import Pipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray

REFINED = 1024
"""Most values of an operand and image that are bounded a second time."""

MOST_IMAGES = 64
"""Most images of a batch."""

ESTIMATE_IMAGES = 8
"""Images on which a proof is timed."""


def certify_backward(
    pipeline: Pipeline, images: Images, eps: Sequence[float], progress: ProofProgress
) -> CertifiedImages:
    """Return for each eps and image whether the true class is proved for all of the box in [0, 1].

    Whatever interval bounds prove is certified, too: linear bounds are computed for the other images only, and for none
    that is misclassified. An image that fails at one eps is not tried at a larger one; each batch is saved. Raises
    UsageError and CorruptError as ``certify_by_intervals`` does.
    """
    function = trace_pipeline(pipeline, images)
    prove = _prove_in_turn(pipeline, compile_proof(function), compile_backward_proof(function))
    return prove_images(pipeline, images, eps, progress, Prover(prove, min(MOST_IMAGES, count_rows(function))))


def compile_backward_proof(function: Any) -> Prove:
    """Return the proof of a traced network by backward linear bounds."""
    return compile_margins(function, lambda box, y: bound_margins_backward(function, box, y, refined=REFINED))


def estimate_backward_seconds(pipeline: Pipeline, images: Images, eps: Sequence[float]) -> float:
    """Return about how long ``certify_backward`` takes: the time to compile, and that of the first few images."""
    start = time.monotonic()
    function, one = trace_pipeline(pipeline, images), images.first(1)
    easy, hard = compile_proof(function), compile_backward_proof(function)
    for prove in (easy, hard):
        prove(one.x, one.y, eps[0])
    compiled, few = time.monotonic(), images.first(ESTIMATE_IMAGES)
    prove_batch(_prove_in_turn(pipeline, easy, hard), few.x, few.y, eps)
    return compiled - start + (time.monotonic() - compiled) / len(few.y) * len(images.y)


def _prove_in_turn(pipeline: Pipeline, easy: Prove, hard: Prove) -> Prove:
    """Return a proof that tries the second of two where the first one fails and the prediction is right."""

    def prove(x: FloatArray, y: IntArray, eps: float) -> NDArray[np.bool_]:
        proved = easy(x, y, eps)
        right = apply(pipeline.defend, x).argmax(axis=1) == y
        left = (right & ~proved).nonzero()[0]
        if len(left):
            proved[left] = hard(x[left], y[left], eps)
        return proved

    return prove
