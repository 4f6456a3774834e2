"""Reader of a ``.keras`` file: looked at before Keras sees it, then taken apart into JSON and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, explain
from advae.errors import CorruptError, printable
from advae.models.added.detect import MAX_MODEL_FILE
from advae.models.added.foreign import Ending, ForeignModel
from advae.models.added.keras_config import MAX_CONFIG, parse_json
from advae.models.added.keras_flat import OPS, Flat, parse_config
from advae.models.added.keras_layers import LAYERS
from advae.models.added.keras_network import list_constants, name_array, plan_network, restore_keras
from advae.models.added.keras_weights import read_keras_weights
from advae.models.added.zip_members import open_zip, read_zip_member, refuse_members

if TYPE_CHECKING:
    from advae.models.layers import Arrays, Weight

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"

MAX_METADATA = 1 << 16
"""Bytes of the metadata."""

ENDINGS: dict[str, Ending] = {"softmax": "softmax", "sigmoid": "sigmoid", "log_softmax": "log-softmax"}
"""The last activation -> how it is called in a ForeignModel."""

ENDING_LAYERS = {
    **{"Softmax": "softmax", f"{OPS}Softmax": "softmax"},
    **{f"{OPS}LogSoftmax": "log_softmax", f"{OPS}Sigmoid": "sigmoid"},
}


def read_keras(content: bytes, path: Path, *, cut: bool) -> ForeignModel:
    """Return the model of a ``.keras`` file.

    path: for the error; cut: whether a last softmax, or a sigmoid of one output, is cut off. Raises CorruptError, with
    one line that says what is not allowed, before a layer is made.
    """
    try:
        return _take_apart(content, cut=cut)
    except DAMAGED as error:
        raise CorruptError(f"{printable(str(path))} is refused: {explain(error)}") from None
    except CorruptError as error:
        raise CorruptError(f"{printable(str(path))} is refused: {error}") from None


def _take_apart(content: bytes, *, cut: bool) -> ForeignModel:
    import keras

    with open_zip(content, writer="Keras") as archive:
        refuse_members(archive, (CONFIG, WEIGHTS, METADATA).__contains__)
        _check_version(read_zip_member(archive, METADATA, longest=MAX_METADATA))
        flat = parse_config(read_zip_member(archive, CONFIG, longest=MAX_CONFIG))
        groups = read_keras_weights(read_zip_member(archive, WEIGHTS, longest=MAX_MODEL_FILE))
    graph: dict[str, Any] = {"shape": flat.shape, "layers": flat.layers, "calls": flat.calls, "output": flat.output}
    arrays = _gather(flat, groups)
    plan = plan_network(graph, lambda layer: list_constants(arrays, layer))
    _spread_constants(graph, arrays, plan.weights)
    ending = _find_ending(graph, plan.gives) if cut else None
    if ending:
        # The input of the last call becomes the output.
        graph["output"] = graph["calls"][graph["output"] - 1][1][0]
    graph, arrays = _keep_used(graph, arrays)
    gives = restore_keras(graph, arrays)(keras.Input(tuple(flat.shape))).shape[1:]
    notes = [f"the last operation, {ending}, was cut off"] if ending else []
    if flat.precisions != {"float32"}:
        notes.append(f"the model was saved in {', '.join(sorted(flat.precisions))}; it is computed in float32")
    return ForeignModel(
        *("keras", graph, arrays),
        takes=tuple(flat.shape),
        gives=tuple(gives),
        ending=ending,
        affine=is_affine(graph),
        notes=tuple(notes),
    )


def _check_version(metadata: bytes) -> None:
    """Raise ValueError for a file of Keras 2, whose configuration and weights are laid out differently."""
    found = parse_json(metadata)
    version = found.get("keras_version") if isinstance(found, dict) else None
    if not isinstance(version, str):
        raise ValueError("its metadata.json names no version of Keras")
    if version.startswith("2."):
        raise ValueError(f"Keras {printable(version[:20])} saved it; open it with Keras 3 and save it again")


def _gather(flat: Flat, groups: dict[str, Arrays]) -> Arrays:
    """Return the weights of all layers by their stored names."""
    import numpy as np

    arrays: Arrays = {}
    for number, ((name, _), source) in enumerate(zip(flat.layers, flat.sources, strict=True)):
        if isinstance(source, str):
            group = groups.get(source, {})
            if set(group) != set(map(str, range(len(group)))):
                raise ValueError(f"the weights of its {name} are not numbered from 0")
            # Normalization has a count after mean and variance.
            found = [group[key] for key in map(str, range(len(group)))][: 2 if name == "Normalization" else None]
        else:
            found = [np.asarray(value, np.float32) for value in source]
        if not all(np.isfinite(array).all() for array in found):
            raise ValueError(f"a constant of its {name} is not a finite number")
        arrays |= {name_array(number, n): array for n, array in enumerate(found)}
    return arrays


def _spread_constants(graph: dict[str, Any], arrays: Arrays, weights: dict[str, Weight]) -> None:
    """Give mean and variance that stand in the configuration the shape that Keras gives them."""
    import numpy as np

    for number, (name, _) in enumerate(graph["layers"]):
        for key in (name_array(number, n) for n in range(2) if name == "Normalization"):
            if key in weights and key in arrays:
                arrays[key] = np.array(np.broadcast_to(arrays[key], weights[key].shape))


def _find_ending(graph: dict[str, Any], gives: tuple[int | None, ...]) -> Ending | None:
    """Return the last operation if it makes probabilities of logits; a sigmoid only where it is the single output."""
    if not graph["output"]:
        return None
    name, settings = graph["layers"][graph["calls"][graph["output"] - 1][0]]
    found = settings["activation"] if name == "Activation" else ENDING_LAYERS.get(name, "")
    over_classes = settings.get("axis", -1) in (-1, len(gives))
    fits = gives == (1,) if found == "sigmoid" else len(gives) == 1 and over_classes
    return ENDINGS.get(found) if fits else None


def _keep_used(graph: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Return a graph and its arrays without what the output does not need, numbered in the order of use."""
    used, calls = {graph["output"]}, graph["calls"]
    for value in range(len(calls), 0, -1):
        if value in used:
            used |= {one for one in calls[value - 1][1] if one is not None}
    values = {value: n for n, value in enumerate(sorted(used | {0}))}
    layers: dict[int, int] = {}
    for value in sorted(used - {0}):
        layers.setdefault(calls[value - 1][0], len(layers))
    kept = {
        "shape": list(graph["shape"]),
        "layers": [list(graph["layers"][layer]) for layer in layers],
        "calls": [_renumber(calls[value - 1], layers, values) for value in sorted(used - {0})],
        "output": values[graph["output"]],
    }
    counts = {old: len(list_constants(arrays, old)) for old in layers}
    named = {name_array(new, n): arrays[name_array(old, n)] for old, new in layers.items() for n in range(counts[old])}
    return kept, named


def _renumber(call: tuple[int, list[int | None]], layers: dict[int, int], values: dict[int, int]) -> list[Any]:
    return [layers[call[0]], [None if value is None else values[value] for value in call[1]]]


def is_affine(graph: dict[str, Any]) -> bool:
    """Return whether every operation of a graph is affine."""
    return all(_is_affine_call(graph["layers"][number][0], values) for number, values in graph["calls"])


def _is_affine_call(name: str, values: list[int | None]) -> bool:
    if not name.startswith(OPS):
        return LAYERS[name].affine
    function = name[len(OPS) :]
    scaled = function == "Multiply" and None in values
    divided = function in ("Divide", "TrueDivide") and values[1] is None
    return function in ("Add", "Subtract") or scaled or divided
