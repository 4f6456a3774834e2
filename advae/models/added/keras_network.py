"""Networks of Keras that came from a file: layers and calls as JSON, weights as arrays, and the function that they are.

The JSON: ``shape`` of the input, ``layers`` as [class, settings], ``calls`` as [layer, values], ``output``. Value 0 is
the input, value k the result of call k - 1, null a constant of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from advae.arrayfiles import DAMAGED, explain
from advae.batching import Tensor
from advae.errors import CorruptError
from advae.models.added.keras_config import clean_settings
from advae.models.added.keras_flat import MAX_CALLS, OPS
from advae.models.added.keras_layers import LAYERS, OPERATIONS, LayerShape
from advae.models.layers import Weight, require_weights

if TYPE_CHECKING:
    from advae.models.layers import Arrays

OPEN_SIZE = 64
"""Stands for a size that the file leaves open, where sizes are checked."""

MAX_VALUES = 1 << 26
"""Most numbers that a layer may return for one image."""

KERAS_KEYS = ("calls", "layers", "output", "shape")


Bound = Callable[[list[Any]], Any]
"""Values that a layer is called on -> its value."""


class KerasPlan(NamedTuple):
    """What a graph asks for, computed before any layer is built."""

    layers: list[Any]
    """Layers, not built, and functions."""
    builds: list[Any]
    """LayerShape, or shapes, of the input of each layer, with the batch; None for functions and layers not called."""
    weights: dict[str, Weight]
    """The arrays that the graph needs, by name."""
    gives: tuple[int | None, ...]
    """LayerShape of the output without the batch."""


def name_array(layer: int, number: int) -> str:
    """Return the name of a stored array: layer and position."""
    return f"{layer}.{number}"


def plan_network(graph: dict[str, Any], constants: Callable[[int], list[LayerShape]]) -> KerasPlan:
    """Return what a graph asks for. Raises ValueError, or another of arrayfiles.DAMAGED, for one not allowed.

    constants: number of a layer -> the shapes of its constants, for functions.
    """
    _check_form(graph)
    layers = [_make_layer(name, settings) for name, settings in graph["layers"]]
    builds: list[Any] = [None] * len(layers)
    weights: dict[str, Weight] = {}
    shapes: list[LayerShape] = [tuple(one or OPEN_SIZE for one in graph["shape"])]
    for number, values in graph["calls"]:
        name, settings = graph["layers"][number]
        taken = [None if value is None else shapes[value] for value in values]
        if name.startswith(OPS):
            kept = constants(number)
            shapes.append(_broadcast(OPERATIONS[name[len(OPS) :]].operands, taken, kept))
        else:
            kept = LAYERS[name].weights(settings, _only_shape(name, taken))
            builds[number] = builds[number] or _add_batch(LAYERS[name].inputs, taken)
            shapes.append(_find_output_shape(layers[number], name, taken))
        added = {name_array(number, n): Weight(shape) for n, shape in enumerate(kept)}
        if any(weights.get(one, wanted) != wanted for one, wanted in added.items()):
            raise ValueError(f"its {name} is called on images of different sizes")
        weights |= added
    return KerasPlan(layers, builds, weights, shapes[graph["output"]])


def _check_form(graph: dict[str, Any]) -> None:
    """Raise ValueError, LookupError or TypeError unless a graph has the right keys, and numbers of what is there."""
    if tuple(sorted(graph)) != KERAS_KEYS or len(graph["calls"]) > MAX_CALLS:
        raise ValueError("its graph has other keys than it should, or is too long")
    if not all(isinstance(name, str) and isinstance(settings, dict) for name, settings in graph["layers"]):
        raise ValueError("its graph has a layer without a name or settings")
    if not all(one is None or (type(one) is int and 0 < one < 1 << 24) for one in graph["shape"]):
        raise ValueError("its input has an impossible shape")
    for position, (number, values) in enumerate(graph["calls"]):
        known = [value for value in values if value is not None]
        if not all(type(one) is int for one in (number, *known)) or not known:
            raise ValueError("its graph has a call without numbers")
        if not 0 <= number < len(graph["layers"]) or not all(0 <= value <= position for value in known):
            raise ValueError("its graph has a call on what is not there")
    if type(graph["output"]) is not int or not 0 <= graph["output"] <= len(graph["calls"]):
        raise ValueError("its graph returns what is not there")


def _make_layer(name: str, settings: dict[str, Any]) -> Any:
    """Return a layer, not built, or a function of ``keras.ops``."""
    import keras

    function = name.startswith(OPS)
    row = OPERATIONS.get(name[len(OPS) :]) if function else LAYERS.get(name)
    if row is None:
        raise ValueError(f"its graph has the layer {name[:40]!r}, which this advae does not know")
    if clean_settings(name, settings, row.settings) != settings:
        raise ValueError(f"its graph has a {name} with a setting that this advae does not know")
    if function:
        return getattr(keras.ops, OPERATIONS[name[len(OPS) :]].function)
    # Normalization is made with its arrays.
    return None if name == "Normalization" else getattr(keras.layers, name)(**settings, dtype="float32")


def _only_shape(name: str, taken: list[LayerShape | None]) -> LayerShape:
    row = LAYERS[name]
    if None in taken or (len(taken) != row.inputs if row.inputs else len(taken) < 2):
        raise ValueError(f"its {name} is called on {len(taken)} values, expected {row.inputs or 'two or more'}")
    return taken[0] or ()


def _add_batch(inputs: int | None, taken: list[Any]) -> Any:
    batched = [(None, *shape) for shape in taken]
    return batched[0] if inputs else batched


def _broadcast(operands: int, taken: list[LayerShape | None], kept: list[LayerShape]) -> LayerShape:
    import numpy as np

    if len(taken) != operands or taken.count(None) != len(kept):
        raise ValueError("its graph calls a function on too few values")
    constants = iter(kept)
    batched = [next(constants) if shape is None else (1, *shape) for shape in taken]
    if any(len(shape) > len(taken[0] or taken[-1] or ()) for shape in kept):
        raise ValueError("it has a constant of more axes than one image")
    found = tuple(int(one) for one in np.broadcast_shapes(*batched))
    return _limit(found[1:])


def _find_output_shape(layer: Any, name: str, taken: list[Any]) -> LayerShape:
    """Return the shape of a layer's output without the batch."""
    shape = _add_batch(LAYERS[name].inputs, taken)
    found = taken[0] if layer is None else layer.compute_output_shape(shape)[1:]
    return _limit(tuple(found))


def _limit(shape: tuple[Any, ...]) -> LayerShape:
    if not all(isinstance(one, int) and one > 0 for one in shape) or math.prod(shape) > MAX_VALUES:
        raise ValueError(f"a layer returns {' x '.join(map(str, shape))[:80]} numbers for an image")
    return shape


# ---------------------------------------------------------------- from arrays to a function


def restore_keras(graph: dict[str, Any], arrays: Arrays) -> Callable[[Tensor], Tensor]:
    """Return the function that a stored graph and its arrays are: float32 (n, *takes) -> (n, *gives).

    Neither is trusted: layers and settings are checked again, and the shapes of the arrays before a layer is built.
    Raises CorruptError.
    """
    try:
        plan = plan_network(graph, lambda layer: list_constants(arrays, layer))
        require_weights(plan.weights, arrays)
        return _build(graph, plan, arrays)
    except DAMAGED as error:
        raise CorruptError(f"the stored network is damaged: {explain(error)}") from None


def list_constants(arrays: Arrays, layer: int) -> list[LayerShape]:
    """Return the shapes of the arrays of one layer."""
    found: list[LayerShape] = []
    while (name := name_array(layer, len(found))) in arrays:
        found.append(arrays[name].shape)
    return found


def _build(graph: dict[str, Any], plan: KerasPlan, arrays: Arrays) -> Callable[[Tensor], Tensor]:
    import keras

    calls = list[tuple[Bound, list[int | None]]]()
    built = dict[int, Bound]()
    for number, values in graph["calls"]:
        if number not in built:
            name, settings = graph["layers"][number]
            weights = [arrays[name_array(number, n)] for n in range(len(list_constants(arrays, number)))]
            built[number] = _bind(name, settings, plan.layers[number], plan.builds[number], weights)
        calls.append((built[number], values))

    def run(x: Tensor) -> Tensor:
        found = [x]
        for call, values in calls:
            found.append(call([None if value is None else found[value] for value in values]))
        return found[graph["output"]]

    # Whatever of a layer's own checks is left fails here, not when the first image comes.
    run(keras.Input(tuple(graph["shape"])))
    return run


def _bind(
    name: str, settings: dict[str, Any], layer: Any, shape: Any, weights: list[Any]
) -> Callable[[list[Any]], Any]:
    """Return values -> value of one layer, built and with its weights."""
    import keras

    if name.startswith(OPS):

        def call(values: list[Any]) -> Any:
            constants = iter(weights)
            return layer(*(next(constants) if value is None else value for value in values), **settings)

        return call
    if name == "Normalization":
        layer = keras.layers.Normalization(**settings, mean=weights[0], variance=weights[1], dtype="float32")
    layer.build(shape)
    if name != "Normalization":
        layer.set_weights(weights)
    if name == "BatchNormalization":
        return lambda values: layer(values[0], training=False)
    return lambda values: layer(values[0] if LAYERS[name].inputs else values)
