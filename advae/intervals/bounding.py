"""Bounds of a traced network: its operations one after the other, each by its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from advae.batching import Tensor
from advae.errors import UsageError
from advae.intervals.affine_rules import AFFINE_LAYERS, AFFINE_OPERATIONS
from advae.intervals.arithmetic import LARGEST_END, TINY, Arithmetic, Bounds
from advae.intervals.calls import OperationCall, Rule
from advae.intervals.curves import CURVE_LAYERS, CURVE_OPERATIONS
from advae.intervals.value_rules import VALUE_LAYERS, VALUE_OPERATIONS
from advae.metrics import BUDGET_TOLERANCE

LAYER_RULES: dict[str, Rule] = {**AFFINE_LAYERS, **CURVE_LAYERS, **VALUE_LAYERS}
"""Classes of ``keras.layers`` that have a rule."""

OPERATION_RULES: dict[str, Rule] = {**AFFINE_OPERATIONS, **CURVE_OPERATIONS, **VALUE_OPERATIONS}
"""Classes of ``keras.ops`` that have a rule."""

Watcher = Callable[[OperationCall, Bounds], None]
"""(call, interval of its result) -> nothing."""


LONGEST_REASON = 200
"""Most characters that are shown of an error of another library."""


def trace_network(apply: Callable[[Tensor], Tensor], pixels: int) -> Any:
    """Return a function of images, float32 (n, pixels), as a ``keras.Function``, whose operations have rules.

    Raises UsageError, with the reason, where it computes outside Keras, as a model that is only asked for its scores
    does, or fails on symbols.
    """
    import keras

    given = keras.Input((pixels,))
    try:
        return keras.Function(given, apply(given))
    except (TypeError, ValueError, NotImplementedError) as error:
        # Keras and NumPy name the type of the symbol that they were given in place of numbers.
        why = "it computes outside Keras" if "KerasTensor" in str(error) else "its operations cannot be listed"
        said = " ".join(str(error).split())[:LONGEST_REASON]
        raise UsageError(f"it has no interval bounds: {why} ({type(error).__name__}: {said})") from error


def make_box(x: Tensor, eps: Tensor | float, *, sound: bool) -> Bounds:
    """Return the images that are no further than ``eps`` from x in each pixel, cut to [0, 1].

    x: (n, d) in [0, 1]. sound: in float64, and for eps plus the rounding that the scorer of attacks accepts; else in
    the dtype of x.
    """
    import tensorflow as tf

    images = tf.cast(x, "float64" if sound else x.dtype)
    radius = tf.cast(eps, images.dtype) + (BUDGET_TOLERANCE if sound else 0.0)
    return Bounds(tf.maximum(images - radius, 0.0), tf.minimum(images + radius, 1.0))


def bound(function: Any, box: Bounds, *, sound: bool, see_relu: Callable[[Bounds], None] | None = None) -> Bounds:
    """Return an interval of the output of a traced network for all images of a box, (n, ...).

    function: a ``keras.Function`` of one input. box: (n, d). sound: whether it contains every float32 evaluation, see
    ``advae.intervals.arithmetic``; its ends are then float64, and infinite for an image whose values can overflow. Else
    they have the box's dtype and can be differentiated, also in the weights of layers. see_relu: is given the interval
    of the input of each ReLU.

    Raises UsageError for an operation without a rule, and where sound bounds are asked of another precision.
    """
    import tensorflow as tf

    require_rules(function)
    if not sound:
        return walk(function, box, Arithmetic(sound=False, dtype=box.low.dtype.name, see_relu=see_relu))
    require_float32(function)
    wide = Bounds(tf.cast(box.low, "float64"), tf.cast(box.high, "float64"))
    kept: list[Tensor] = []

    def watch(call: OperationCall, made: Bounds) -> None:
        kept.append(is_bounded(made))

    arithmetic = Arithmetic(sound=True, dtype="float64", see_relu=see_relu)
    return forget(walk(function, wide, arithmetic, watch), kept)


def require_rules(function: Any) -> None:
    """Raise UsageError, which names them, where operations of a traced network have no rule."""
    if missing := list_unbounded(function):
        raise UsageError(f"it has no interval bounds: there is no rule for {', '.join(missing)}")


def list_unbounded(function: Any) -> tuple[str, ...]:
    """Return the operations of a traced network that have no rule, each once; nothing is computed."""
    missing = (describe_operation(call.operation) for call in list_calls(function) if not has_rule(call))
    return tuple(dict.fromkeys(missing))


def list_calls(function: Any) -> Iterator[OperationCall]:
    """Yield the calls of a traced network and of the models in it, on symbols."""
    for depth in sorted(function._nodes_by_depth, reverse=True):
        for node in function._nodes_by_depth[depth]:
            if node.is_input:
                continue
            inner = _open_model(node.operation)
            if inner is None:
                yield OperationCall(node.operation, node.arguments.args, node.arguments.kwargs)
            else:
                yield from list_calls(inner)


def find_rule(operation: Any) -> Rule | None:
    """Return the rule of a layer or of a function of ``keras.ops``, None where its class has none."""
    import keras

    kind = type(operation)
    # A class of the user's own may have the same name.
    if not kind.__module__.startswith("keras."):
        return None
    rules = LAYER_RULES if isinstance(operation, keras.Layer) else OPERATION_RULES
    return rules.get(kind.__name__)


def has_rule(call: OperationCall) -> bool:
    """Return whether the interval of a call's result can be computed."""
    rule = find_rule(call.operation)
    return rule is not None and rule.fits(call)


def require_float32(function: Any) -> None:
    """Raise UsageError where a network is computed in another precision than float32."""
    import keras
    import tensorflow as tf

    for call in list_calls(function):
        layer = call.operation
        if isinstance(layer, keras.Layer) and layer.compute_dtype != "float32":
            raise UsageError(
                f"sound bounds hold for float32: {describe_operation(layer)} computes in {layer.compute_dtype}"
            )
    if tf.config.experimental.tensor_float_32_execution_enabled() and tf.config.list_physical_devices("GPU"):
        raise UsageError("sound bounds hold for float32: TensorFloat-32 is switched on")


def describe_operation(operation: Any) -> str:
    """Return the class of an operation, a layer's name, and the activation in it."""
    import keras

    name = type(operation).__name__
    if not isinstance(operation, keras.Layer):
        return f"keras.ops {name}"
    activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
    return f"layer {operation.name!r} ({name}{'' if activation == 'linear' else f', {activation}'})"


def _open_model(operation: Any) -> Any:
    """Return the function of a model that is called like a layer, None for what is none."""
    import keras

    if isinstance(operation, keras.Sequential):
        return operation._functional
    return operation if isinstance(operation, keras.Function) else None


def walk(function: Any, box: Bounds, arithmetic: Arithmetic, watch: Watcher = lambda call, made: None) -> Bounds:
    """Return the interval of the output of a traced network whose operations have rules. watch: sees each of them."""

    def compute(rule: Rule, call: OperationCall) -> Any:
        made = rule.run(arithmetic, call)
        for one in made if isinstance(made, list) else [made]:
            watch(call, one)
        return made

    return follow_calls(function, box, compute)


def follow_calls(function: Any, box: Bounds, compute: Callable[[Rule, OperationCall], Any]) -> Bounds:
    """Return what a traced network makes of a box. compute: (rule, call) -> the interval of its result, or a list."""

    def step(operation: Any) -> Callable[..., Any]:
        inner = _open_model(operation)
        if inner is not None:
            return lambda x, **settings: follow_calls(inner, x, compute)

        def run(*args: Any, **kwargs: Any) -> Any:
            rule = find_rule(operation)
            if rule is None:
                raise UsageError(f"there is no rule for {describe_operation(operation)}")
            return compute(rule, OperationCall(operation, args, kwargs))

        return run

    found: Bounds = function._run_through_graph([box], operation_fn=step)
    return found


def is_bounded(made: Bounds) -> Tensor:
    """Return for each image whether all ends are numbers that are not too large, bool (n,)."""
    import tensorflow as tf

    fine = made.magnitude <= LARGEST_END
    return tf.reduce_all(tf.reshape(fine, (tf.shape(fine)[0], -1)), axis=1)


def forget(found: Bounds, kept: list[Tensor]) -> Bounds:
    """Return an interval without bounds for the images that are not kept."""
    import tensorflow as tf

    fine = tf.reduce_all(tf.stack(kept), axis=0) if kept else tf.ones(tf.shape(found.low)[:1], tf.bool)
    fine = tf.reshape(fine, (-1, *(1 for _ in found.low.shape[1:])))
    unknown = tf.constant(float("inf"), found.low.dtype)
    # What is flushed to zero by operations that are exact otherwise.
    low, high = found.low - TINY, found.high + TINY
    return Bounds(tf.where(fine, low, -unknown), tf.where(fine, high, unknown), found.fold)
