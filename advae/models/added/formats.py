"""Table of the ways in which an added model is stored and rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

from advae.models.added.foreign import Restore
from advae.models.added.keras_network import restore_keras
from advae.models.added.onnx_network import restore_onnx
from advae.models.added.own_function import restore_function
from advae.models.added.sklearn_restore import restore_sklearn


@dataclass(frozen=True)
class ForeignFormat:
    """How models of one format are rebuilt."""

    summary: str
    """What such a model is."""
    restore: Restore | None
    """(graph, arrays) -> function; None for a model that gives scores only."""


MODEL_FORMATS: dict[str, ForeignFormat] = {
    "keras": ForeignFormat("layers of Keras and their weights", restore_keras),
    "onnx": ForeignFormat("operations of an ONNX graph and their weights", restore_onnx),
    "onnx-scores": ForeignFormat("an ONNX file that onnxruntime computes, for scores only", None),
    "python": ForeignFormat("a function of the user's own code, which is not stored", restore_function),
    "sklearn": ForeignFormat("the steps of a scikit-learn pipeline", restore_sklearn),
    "sklearn-scores": ForeignFormat("a scikit-learn model in a process of its own, asked for scores", None),
}
"""By the name that a ForeignModel has as its format."""
