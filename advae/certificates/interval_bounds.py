"""Certificates by interval bounds (IBP): the smallest margins of a network over a box, by ``advae.intervals``.

Gowal et al. 2018, arXiv:1810.12715, with the last layer folded in. What is certified holds for every float32
evaluation; an image that is not certified may still be safe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.certificates.certified_images import CertifiedImages, Images, ProofProgress
from advae.certificates.tracing_pipelines import predict_classes, trace_pipeline
from advae.errors import CorruptError
from advae.intervals import Bounds, bound_margins, make_box
from advae.threats import Pipeline
from advae.tracing import trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.models.layers import Arrays
    from advae.records import FloatArray, IntArray

MEMORY = 1 << 28
"""Bytes that a batch may take."""

COPIES = 8 * 12
"""Bytes of a value times the number of arrays of that size that are held at once."""

MOST_ROWS = 500
"""Most images of a batch."""

Prove = Callable[["FloatArray", "IntArray", float], "NDArray[np.bool_]"]
"""(x, y, eps) -> whether each box is proved to be classified as y, bool (n,)."""


def certify_by_intervals(
    pipeline: Pipeline, images: Images, eps: Sequence[float], progress: ProofProgress
) -> CertifiedImages:
    """Return for each eps and image whether interval bounds prove the true class for all of the box in [0, 1].

    An image that fails at one eps is not tried at a larger one. Each batch is saved, and an interrupted proof
    continues. Raises UsageError where an operation has no rule, CorruptError for the checkpoint of another proof.
    """
    function = trace_pipeline(pipeline, images)
    return prove_images(pipeline, images, eps, progress, Prover(compile_proof(function), count_rows(function)))


@dataclass(frozen=True)
class Prover:
    """A proof of boxes, and how many of them it takes at once."""

    prove: Prove
    """(x, y, eps) -> which boxes are proved."""
    step: int
    """Images of a batch."""


def prove_images(
    pipeline: Pipeline, images: Images, eps: Sequence[float], progress: ProofProgress, prover: Prover
) -> CertifiedImages:
    """Return what a proof certifies, batch by batch, each of them saved. Raises CorruptError for another checkpoint."""
    prove, step, n = prover.prove, prover.step, len(images.x)
    certified, done = _resume(progress.checkpoint.load(), len(eps), n)
    for first in range(done, n, step):
        rows = slice(first, first + step)
        certified[:, rows] = prove_batch(prove, images.x[rows], images.y[rows], eps)
        done = min(first + step, n)
        progress.checkpoint.save(_pack(certified, done))
        progress.on_images(done, n)
    return CertifiedImages(predict_classes(pipeline, images), certified)


def _pack(certified: NDArray[np.bool_], done: int) -> Arrays:
    import numpy as np

    return {"certified": certified, "done": np.array([done])}


def _resume(saved: Arrays | None, radii: int, n: int) -> tuple[NDArray[np.bool_], int]:
    """Return what was proved before an interruption, bool (radii, n), and for how many images."""
    import numpy as np

    if saved is None:
        return np.zeros((radii, n), bool), 0
    if set(saved) != {"certified", "done"} or saved["certified"].shape != (radii, n):
        raise CorruptError("the checkpoint is of another proof; --force starts again")
    return saved["certified"].astype(bool), int(saved["done"][0])


def prove_batch(prove: Prove, x: FloatArray, y: IntArray, eps: Sequence[float]) -> NDArray[np.bool_]:
    """Return which boxes of each radius are proved, bool (number of eps, n)."""
    import numpy as np

    certified, rows = np.zeros((len(eps), len(x)), bool), np.arange(len(x))
    for number in np.argsort(eps, kind="stable"):
        if len(rows):
            rows = rows[prove(x[rows], y[rows], eps[number])]
        certified[number, rows] = True
    return certified


def count_rows(function: Any) -> int:
    """Return how many images fit into one batch of a traced network."""
    widest: int = max(math.prod(tensor.shape[1:]) for node in _list_nodes(function) for tensor in node.outputs)
    return max(1, min(MOST_ROWS, MEMORY // (COPIES * widest)))


def _list_nodes(function: Any) -> list[Any]:
    import keras

    nodes = [node for row in function._nodes_by_depth.values() for node in row]
    inner = [node.operation for node in nodes if isinstance(node.operation, keras.Function | keras.Sequential)]
    return nodes + [one for model in inner for one in _list_nodes(getattr(model, "_functional", model))]


def compile_proof(function: Any) -> Prove:
    """Return the proof of a traced network by intervals."""
    return compile_margins(function, lambda box, y: bound_margins(function, box, y, sound=True))


def compile_margins(function: Any, bound: Callable[[Bounds, Tensor], Tensor]) -> Prove:
    """Return the proof of a traced network, compiled once for any number of images.

    bound: (box, y) -> sound lower bounds of the margins, (n, classes).
    """
    import tensorflow as tf

    def prove(x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
        margins = bound(make_box(x, eps, sound=True), y)
        own = tf.one_hot(y, margins.shape[1], on_value=True, off_value=False)
        return tf.reduce_all((margins > 0) | own, axis=1)

    pixels = function.inputs[0].shape[1]
    kinds = (((None, pixels), tf.float32), ((None,), tf.int64), ((), tf.float64))
    traced = trace(prove, [tf.TensorSpec(*kind) for kind in kinds])

    def run(x: FloatArray, y: IntArray, eps: float) -> NDArray[np.bool_]:
        proved: NDArray[np.bool_] = traced(
            tf.constant(x), tf.constant(y, tf.int64), tf.constant(eps, tf.float64)
        ).numpy()
        return proved

    return run
