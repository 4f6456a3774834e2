"""A pipeline as one traced network, and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.batching import apply
from advae.certificates.certified_images import Images
from advae.errors import UsageError
from advae.intervals import trace_network
from advae.threats import Pipeline

if TYPE_CHECKING:
    from advae.records import IntArray


def trace_pipeline(pipeline: Pipeline, images: Images) -> Any:
    """Return the function from images to logits as a ``keras.Function``.

    Raises UsageError for a random purifier, and for a model whose layers are not known.
    """
    if pipeline.samples:
        raise UsageError("its purifier is random: no proof of one draw holds for the others")
    return trace_network(lambda x: pipeline.defend(x, 0), images.x.shape[1])


def predict_classes(pipeline: Pipeline, images: Images) -> IntArray:
    """Return the classes that the float32 pipeline predicts, int64 (n,)."""
    predictions: IntArray = apply(pipeline.defend, images.x).argmax(axis=1)
    return predictions
