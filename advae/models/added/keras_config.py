"""The parts of a Keras model's configuration, each checked before it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

from advae.errors import printable
from advae.models.added.keras_layers import (
    ACTIVATIONS_OF_KERAS,
    ALIASES,
    IDENTITIES,
    LAYERS,
    OPERATIONS,
)
from advae.models.added.setting_checks import require_setting

MAX_CONFIG = 1 << 22
"""Bytes of the configuration."""

MAX_DEPTH = 100
"""Objects and lists inside each other."""

MODELS = ("Sequential", "Functional", "Model")

TENSORS = ("__keras_tensor__", "__numpy__", "__tensor__")

NOT_USED = (
    *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer"),
    *("LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal", "RandomUniform"),
    *("TruncatedNormal", "VarianceScaling", "Zeros", "L1", "L2", "L1L2", "OrthogonalRegularizer"),
    *("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "DTypePolicy"),
)
"""Classes of Keras that act only before or in training: they are allowed, and left out."""

LEFT_OUT = re.compile(r"name|trainable|dtype|seed|synchronized|momentum|\w+_(initializer|regularizer|constraint)")
"""Settings of layers that do not change what a trained layer computes in float32."""

KEPT_APART = ("compile_config", "build_config")
"""Parts of a configuration that are dropped unread."""

PRECISIONS_OF_KERAS = ("float16", "float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16")


def parse_json(content: bytes) -> Any:
    """Return JSON without NaN and infinity. Raises ValueError, or RecursionError for a deep one."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"it has the number {word}")

    return json.loads(content.decode("utf-8"), parse_constant=refuse)


def check_names(value: Any, depth: int) -> None:
    """Raise ValueError for a class that is not allowed, wherever in the configuration it is named."""
    if depth > MAX_DEPTH:
        raise ValueError(f"it is deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if "class_name" in value:
            _check_class(value)
        for key, one in value.items():
            if key not in KEPT_APART:
                check_names(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            check_names(one, depth + 1)


def _check_class(value: dict[str, Any]) -> None:
    name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
    if not isinstance(name, str):
        raise ValueError("it has a class without a name")
    known = name in LAYERS or name in IDENTITIES or name in OPERATIONS or name in NOT_USED or name in MODELS
    if name in TENSORS or ((name == "InputLayer" or known) and _is_of_keras(module) and registered in (None, name)):
        return
    shown = printable(f"{module}.{name}"[:80] if registered in (None, name) else str(registered)[:80])
    raise ValueError(f"it has {shown!r}, which is not among the allowed layers of Keras; save a model without it")


def _is_of_keras(module: Any) -> bool:
    return isinstance(module, str) and (module == "keras" or module.startswith("keras."))


def read_object(value: Any) -> tuple[str, dict[str, Any]]:
    """Return class and settings of an object of the configuration."""
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict) or "class_name" not in value:
        raise ValueError("its configuration is damaged: a layer lacks class_name or config")
    return value["class_name"], value["config"]


def find_input_shape(config: dict[str, Any], specs: list[Any]) -> list[int | None]:
    """Return the shape of a model's input without the batch; None where it is open."""
    inputs = [settings for name, settings in map(read_object, specs) if name == "InputLayer"]
    if len(inputs) > 1:
        raise ValueError(f"it has {len(inputs)} inputs, expected one image")
    shape = inputs[0].get("batch_shape") if inputs else config.get("build_input_shape")
    if not isinstance(shape, list) or not 2 <= len(shape) <= 5 or not all(map(_is_open_or_size, shape[1:])):
        raise ValueError("its input has no shape; call the model on an image before it is saved")
    return list(shape[1:])


def _is_open_or_size(one: Any) -> bool:
    return one is None or (type(one) is int and 0 < one < 1 << 24)


def name_weight_groups(specs: list[Any], path: str) -> Iterator[str]:
    """Yield the HDF5 group of each layer, as Keras names it: by its class, numbered within the model."""
    used: dict[str, int] = {}
    for spec in specs:
        kind, module = read_object(spec)[0], spec.get("module")
        if is_function(module):
            yield ""
            continue
        name = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        used[name] = used.get(name, -1) + 1
        yield f"{path}layers/{name}{f'_{used[name]}' if used[name] else ''}/"


def is_function(module: Any) -> bool:
    """Return whether an object of this module is a function of ``keras.ops``."""
    return isinstance(module, str) and module.startswith(("keras.src.ops.", "keras.ops."))


def sort_calls(steps: dict[tuple[str, int], list[Any]], output: tuple[str, int]) -> list[tuple[str, int]]:
    """Return the calls in an order in which each comes after those that it needs."""
    needs = {step: [one for one in arguments if isinstance(one, tuple)] for step, arguments in steps.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError:
        raise ValueError("its layers form a circle") from None
    if output not in needs or len(order) > len(needs):
        raise ValueError("its configuration is damaged: a layer is called on something that is not there")
    return order


def read_output(output: Any) -> tuple[str, int]:
    """Return the layer, and which of its calls, that a model returns. Raises ValueError for several."""
    while isinstance(output, list) and len(output) == 1:
        output = output[0]
    return _read_history(output)


def _read_history(history: Any) -> tuple[str, int]:
    """Return a layer's name and which of its calls is meant."""
    if not (isinstance(history, list) and len(history) == 3 and isinstance(history[0], str)):
        raise ValueError("it has several outputs, or its configuration is damaged; expected a model of one output")
    if type(history[1]) is not int or history[2] != 0:
        raise ValueError("it uses another than the first output of a layer")
    return history[0], history[1]


def read_arguments(node: Any) -> Iterator[Any]:
    """Yield what a call takes: values as (layer, call), constants as lists and numbers in a dict."""
    if not isinstance(node, dict) or not isinstance(node.get("args"), list):
        raise ValueError("its configuration is damaged: a call of a layer lacks its arguments")
    named = node.get("kwargs", {})
    # Keras overrides ``training`` when it predicts.
    if not isinstance(named, dict) or any(value is not None for key, value in named.items() if key != "training"):
        raise ValueError("it calls a layer with a mask or another argument, which is not supported")
    arguments = node["args"]
    if len(arguments) == 1 and isinstance(arguments[0], list):
        arguments = arguments[0]
    for argument in arguments:
        name = argument.get("class_name") if isinstance(argument, dict) else None
        if name == "__keras_tensor__":
            yield _read_history(read_object(argument)[1].get("keras_history"))
        elif name in TENSORS:
            yield {"constant": read_object(argument)[1].get("value")}
        elif type(argument) in (int, float):
            yield {"constant": argument}
        else:
            raise ValueError("it calls a layer on something that is neither a layer's output nor a number")


def read_activation(activation: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the layer that an activation is, None for the identity."""
    if isinstance(activation, dict):
        name, config = read_object(activation)
        if name not in ("ReLU", "LeakyReLU", "ELU", "Softmax"):
            raise ValueError(f"it has the activation {printable(str(name)[:80])!r}, which is not supported")
        return name, clean_settings(name, config, LAYERS[name].settings)
    activation = ALIASES.get(activation, activation) if isinstance(activation, str) else activation
    if activation in (None, "linear"):
        return None
    if activation not in ACTIVATIONS_OF_KERAS:
        raise ValueError(f"it has the activation {printable(str(activation)[:80])!r}, which is not supported")
    return "Activation", {"activation": activation}


def clean_settings(name: str, config: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Return the settings that are kept of a layer. Raises ValueError for one that is unknown or not allowed."""
    for key, value in config.items():
        known = key in settings or LEFT_OUT.fullmatch(key)
        if not known and value not in (None, False, 0.0) and not key.startswith("renorm_"):
            raise ValueError(f"its {name} has {printable(key[:40])!r}, which is not supported")
    kept = [key for key in settings if key in config]
    for key in kept:
        require_setting(name, key, config[key], settings[key])
    return {key: config[key] for key in kept}
