"""What a reader of a foreign file returns: a model as JSON and arrays, without any code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.models.layers import Arrays

Ending = Literal["softmax", "sigmoid", "log-softmax"]
"""The last operation of a classifier that makes probabilities of logits."""


@dataclass(frozen=True)
class ForeignModel:
    """A model that another program saved, checked and taken apart."""

    format: str
    """How it is rebuilt, a name of MODEL_FORMATS."""
    graph: dict[str, Any]
    """Its operations as JSON, canonical: equal for files that hold the same model."""
    arrays: Arrays
    """Its weights, by name."""
    takes: tuple[int | None, ...]
    """Shape of one input, without the batch: (64,), (28, 28, 1) or (1, 28, 28); None where the file leaves it open."""
    gives: tuple[int | None, ...]
    """Shape of one output, without the batch: (10,) for ten classes, (1,) for one score."""
    ending: Ending | None = None
    """The last operation, which was cut off so that the output is logits; None where nothing was cut off."""
    affine: bool = False
    """Whether the logits are affine in the input."""
    differentiable: bool = True
    """Whether there is a gradient; False for a model that gives scores only."""
    file: bytes | None = None
    """The checked file of a model that cannot be arrays; None where ``graph`` and ``arrays`` are enough."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: what was cut off, which operator is unknown, which types were trusted."""


Restore = Callable[[dict[str, Any], "Arrays"], Callable[[Tensor], Tensor]]
"""(graph, arrays) -> inputs to outputs, float32 (n, *takes) -> float32 (n, *gives). Raises CorruptError."""
