"""scikit-learn's pipelines as a chain of steps, JSON and arrays, computed by operations of Keras."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError

if TYPE_CHECKING:
    from advae.models.layers import Arrays

MAX_STEPS = 1000

ChainStep = dict[str, Any]
"""``op``, a name of STEPS, and its settings. Its array is named by its position: ``"0"``, ``"1"``, ..."""

ACTIVATIONS_OF_MLP = ("relu", "tanh", "logistic", "exp")
"""The activations of scikit-learn's perceptrons, but for the identity, which is no step."""

NORMS_OF_NORMALIZER = ("l1", "l2", "max")


@dataclass(frozen=True)
class StepKind:
    """A row of STEPS."""

    run: Callable[[Tensor, Tensor, ChainStep], Tensor]
    """(x (n, d), array, step) -> (n, d')."""
    axes: int
    """Axes of the step's array; 0 for a step without one."""
    affine: bool
    """Whether the output is affine in x."""


def _clip(x: Tensor, array: Tensor, step: ChainStep) -> Tensor:
    from keras import ops

    return ops.clip(x, step["low"], step["high"])


def _normalize(x: Tensor, array: Tensor, step: ChainStep) -> Tensor:
    """Divide each row by its norm; a row of norm 0 stays as it is."""
    from keras import ops

    empty = ops.all(ops.equal(x, 0.0), axis=-1, keepdims=True)
    # The gradient of the norm of 0 is not a number, also where the norm is not chosen.
    safe = ops.where(empty, 1.0, x)
    norms = {
        "l1": lambda: ops.sum(ops.abs(safe), axis=-1, keepdims=True),
        "l2": lambda: ops.sqrt(ops.sum(safe * safe, axis=-1, keepdims=True)),
        "max": lambda: ops.max(ops.abs(safe), axis=-1, keepdims=True),
    }
    return x / norms[step["norm"]]()


def _activate(x: Tensor, array: Tensor, step: ChainStep) -> Tensor:
    from keras import ops

    functions = {"relu": ops.relu, "tanh": ops.tanh, "logistic": ops.sigmoid, "exp": ops.exp}
    return functions[step["function"]](x)


def _multiply_matrix(x: Tensor, array: Tensor, step: ChainStep) -> Tensor:
    from keras import ops

    return ops.matmul(x, array)


STEPS: dict[str, StepKind] = {
    "subtract": StepKind(lambda x, array, step: x - array, 1, affine=True),
    "add": StepKind(lambda x, array, step: x + array, 1, affine=True),
    "multiply": StepKind(lambda x, array, step: x * array, 1, affine=True),
    "divide": StepKind(lambda x, array, step: x / array, 1, affine=True),
    "matrix": StepKind(_multiply_matrix, 2, affine=True),
    "clip": StepKind(_clip, 0, affine=False),
    "normalize": StepKind(_normalize, 0, affine=False),
    "activate": StepKind(_activate, 0, affine=False),
}
"""The operations that scikit-learn's pipelines are made of."""


def restore_sklearn(graph: dict[str, Any], arrays: Arrays) -> Callable[[Tensor], Tensor]:
    """Return the function of a chain of steps: float32 (n, d) -> (n, outputs). Raises CorruptError.

    In ``keras.ops``, so that a ``keras.Input`` can take the place of the images.
    """
    import tensorflow as tf

    measure_steps(graph, arrays)
    steps: list[ChainStep] = graph["steps"]
    constants = {name: tf.constant(array, tf.float32) for name, array in arrays.items()}

    def run(x: Tensor) -> Tensor:
        for position, step in enumerate(steps):
            x = STEPS[step["op"]].run(x, constants.get(str(position)), step)
        return x

    return run


def measure_steps(graph: dict[str, Any], arrays: Arrays) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a chain. Raises CorruptError where one does not fit."""
    try:
        return _measure(graph, arrays)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CorruptError(f"the steps of a scikit-learn model do not fit: {str(error)[:100]}") from None


def _measure(graph: dict[str, Any], arrays: Arrays) -> tuple[int, int]:
    steps, width = graph["steps"], graph["takes"]
    if type(width) is not int or width < 1 or not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise ValueError(f"{str(width)[:20]} inputs and {len(steps)} steps")
    takes, used = width, 0
    for position, step in enumerate(steps):
        kind = STEPS.get(step["op"])
        if kind is None:
            raise ValueError(f"step {str(step['op'])[:20]!r} is unknown")
        _check_settings(step)
        if kind.axes:
            used += 1
            width = _measure_array(step["op"], arrays[str(position)], width)
    if used != len(arrays):
        raise ValueError(f"{len(arrays)} arrays for {used} steps that have one")
    return takes, width


def _check_settings(step: ChainStep) -> None:
    """Raise ValueError or KeyError where a step has other settings than those of its kind."""
    allowed = {"clip": {"low", "high"}, "normalize": {"norm"}, "activate": {"function"}}.get(step["op"], set())
    if step.keys() != {"op", *allowed}:
        raise ValueError(f"settings of {step['op']}")
    if step["op"] == "clip" and not -math.inf < float(step["low"]) < float(step["high"]) < math.inf:
        raise ValueError(f"clip from {step['low']} to {step['high']}")
    if step.get("norm", "l2") not in NORMS_OF_NORMALIZER or step.get("function", "relu") not in ACTIVATIONS_OF_MLP:
        raise ValueError(f"settings of {step['op']}")


def _measure_array(op: str, array: Any, width: int) -> int:
    """Return the width after a step with an array. Raises ValueError where the array does not fit."""
    import numpy as np

    if array.dtype not in (np.float32, np.float64) or array.ndim != STEPS[op].axes or array.shape[0] != width:
        raise ValueError(f"{op}: an array of {array.dtype} {array.shape} for {width} values")
    single = array.astype(np.float32)
    if not np.isfinite(single).all() or (op == "divide" and not single.all()):
        raise ValueError(f"{op}: a number that is not finite, or a division by 0")
    return int(array.shape[-1])
