"""A Keras model flattened to a list of layers and a list of calls.

Nested models are written out. Names, compilation, initialisers and whatever acts in training only are left out, and so
is the JSON the same for files that hold the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from advae.errors import printable
from advae.models.added.keras_config import (
    KEPT_APART,
    MODELS,
    PRECISIONS_OF_KERAS,
    check_names,
    clean_settings,
    find_input_shape,
    is_function,
    name_weight_groups,
    parse_json,
    read_activation,
    read_arguments,
    read_object,
    read_output,
    sort_calls,
)
from advae.models.added.keras_layers import IDENTITIES, LAYERS, OPERATIONS

MAX_CALLS = 5_000

OPS = "ops."
"""Begins the name of a layer that is a function of ``keras.ops``."""

Call = Callable[[list[Any]], int]
"""Values that a layer or a model is called on -> the value that it returns, each by its number."""


@dataclass
class Flat:
    """A model as a list of layers and a list of calls; value 0 is the input, value k the result of call k - 1."""

    layers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Class and settings of each layer."""
    calls: list[tuple[int, list[int | None]]] = field(default_factory=list)
    """Layer and values of each call; None stands for the layer's constant."""
    sources: list[str | list[Any]] = field(default_factory=list)
    """Of each layer: the group of its weights in the HDF5 file, or its weights themselves."""
    shape: list[int | None] = field(default_factory=list)
    """LayerShape of the input, without the batch."""
    output: int = 0
    """Value that the model returns."""
    precisions: set[str] = field(default_factory=set)
    """The precisions that the model was computed in."""

    def add_layer(self, name: str, config: dict[str, Any], source: str | list[Any]) -> int:
        """Return the number of a new layer."""
        self.layers.append((name, config))
        self.sources.append(source)
        return len(self.layers) - 1

    def add_call(self, layer: int, values: list[int | None]) -> int:
        """Return the number of the value of a new call. Raises ValueError for too many."""
        if len(self.calls) >= MAX_CALLS:
            raise ValueError(f"its layers are called more than {MAX_CALLS} times")
        self.calls.append((layer, values))
        return len(self.calls)


def parse_config(content: bytes) -> Flat:
    """Return the model of a ``config.json``.

    Raises ValueError, or another of arrayfiles.DAMAGED, for anything that is not allowed.
    """
    config = parse_json(content)
    if isinstance(config, dict):
        config = {key: value for key, value in config.items() if key not in KEPT_APART}
    check_names(config, 0)
    flat = Flat()
    flat.output = _prepare_model(flat, config, "", outermost=True)([0])
    return flat


# ---------------------------------------------------------------- models


def _prepare_model(flat: Flat, spec: Any, path: str, *, outermost: bool = False) -> Call:
    """Return how a model is called: its layers are added once, their calls each time."""
    name, config = read_object(spec)
    if name not in MODELS:
        raise ValueError(f"it is a {printable(str(name)[:80])!r}, expected a Sequential or Functional model")
    specs = config.get("layers")
    if not isinstance(specs, list) or not specs:
        raise ValueError("its configuration is damaged: a model lacks layers")
    _note_precision(flat, config)
    shape = find_input_shape(config, specs)
    if outermost:
        flat.shape = shape
    # Keras leaves a Sequential's input layer out of the names of weights.
    named = [one for one in specs if name != "Sequential" or read_object(one)[0] != "InputLayer"]
    calls = [_prepare(flat, one, path) for one, path in zip(named, name_weight_groups(named, path), strict=True)]
    if name == "Sequential":
        return lambda values: _call_in_turn(calls, values)
    return _wire(config, named, calls)


def _call_in_turn(calls: list[Call], values: list[int]) -> int:
    for call in calls:
        values = [call(values)]
    return values[0]


def _wire(config: dict[str, Any], specs: list[Any], calls: list[Call]) -> Call:
    """Return how a Functional model is called: each layer as often, and on what, as the configuration says."""
    by_name = {spec.get("name"): number for number, spec in enumerate(specs)}
    if len(by_name) < len(specs) or not all(isinstance(name, str) for name in by_name):
        raise ValueError("its configuration is damaged: two layers have one name")
    steps: dict[tuple[str, int], list[Any]] = {}
    for spec in specs:
        nodes = [] if spec["class_name"] == "InputLayer" else spec.get("inbound_nodes")
        if not isinstance(nodes, list):
            raise ValueError("its configuration is damaged: a layer lacks inbound_nodes")
        steps |= {(spec["name"], n): list(read_arguments(node)) for n, node in enumerate(nodes)}
        if spec["class_name"] == "InputLayer":
            steps[spec["name"], 0] = []
    name, node = read_output(config.get("output_layers"))
    # Where a nested functional model is the output, Keras counts its calls from 1.
    output = name, node - (name in by_name and specs[by_name[name]]["class_name"] in ("Functional", "Model"))
    order = sort_calls(steps, output)

    def call(values: list[int]) -> int:
        image, found = _only(values), dict[tuple[str, int], int]()
        for step in order:
            number = by_name[step[0]]
            arguments = [found[one] if isinstance(one, tuple) else one for one in steps[step]]
            found[step] = image if specs[number]["class_name"] == "InputLayer" else calls[number](arguments)
        return found[output]

    return call


# ---------------------------------------------------------------- layers


def _prepare(flat: Flat, spec: Any, path: str) -> Call:
    """Return how a layer, model or function is called."""
    name, config = read_object(spec)
    if name in MODELS:
        return _prepare_model(flat, spec, path)
    _note_precision(flat, config)
    if is_function(spec.get("module")):
        return _prepare_function(flat, name, config)
    if name in IDENTITIES or name == "InputLayer":
        return _only
    if name not in LAYERS:
        raise ValueError(f"{printable(str(name)[:80])!r} is not among the allowed layers of Keras")
    return _prepare_layer(flat, name, dict(config), path)


def _only(values: list[int]) -> int:
    if len(values) != 1:
        raise ValueError("it calls a layer of one input on several")
    return values[0]


def _note_precision(flat: Flat, config: dict[str, Any]) -> None:
    policy = config.get("dtype")
    if isinstance(policy, dict):
        policy = read_object(policy)[1].get("name")
    if policy is not None and policy not in PRECISIONS_OF_KERAS:
        raise ValueError("it is computed in a precision that is not supported; save it as float32")
    flat.precisions.add(policy or "float32")


def _prepare_layer(flat: Flat, name: str, config: dict[str, Any], path: str) -> Call:
    row, source = LAYERS[name], list[Any]()
    activation = read_activation(config.pop("activation", None)) if "activation" not in row.settings else None
    if name == "Activation":
        activation, made = read_activation(config.get("activation")), None
    else:
        if name == "Normalization":
            mean, variance = config.pop("mean", None), config.pop("variance", None)
            source = [] if mean is None else [mean, variance]
        made = flat.add_layer(name, clean_settings(name, config, row.settings), source or path)
    after = activation and flat.add_layer(*activation, [])

    def call(values: list[int]) -> int:
        if row.inputs == 1:
            _only(values)
        if any(isinstance(value, dict) for value in values):
            raise ValueError("it calls a layer on a constant")
        value = values[0] if made is None else flat.add_call(made, [*values])
        return value if after is None else flat.add_call(after, [value])

    return call


def _prepare_function(flat: Flat, name: str, config: dict[str, Any]) -> Call:
    if name not in OPERATIONS:
        raise ValueError(f"it calls keras.ops {printable(str(name)[:80])!r}, which is not supported")
    row = OPERATIONS[name]
    cleaned = clean_settings(name, dict(config), row.settings)

    def call(values: list[Any]) -> int:
        if len(values) != row.operands or all(isinstance(value, dict) for value in values):
            raise ValueError(f"it calls keras.ops {name} on {len(values)} values, expected {row.operands}")
        constants = [value["constant"] for value in values if isinstance(value, dict)]
        # The constants belong to a call, and each call has a layer of its own.
        made = flat.add_layer(f"{OPS}{name}", cleaned, constants)
        return flat.add_call(made, [None if isinstance(value, dict) else value for value in values])

    return call
