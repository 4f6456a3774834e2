"""Added models in the registry: a graph as JSON, weights as arrays, and the digest that identifies both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from advae.batching import Tensor
from advae.errors import CorruptError
from advae.identity import canonical_json
from advae.models.added.formats import MODEL_FORMATS
from advae.models.added.input_layout import make_input, read_outputs
from advae.models.added.score_process import ScoreProcess, wrap_numpy

if TYPE_CHECKING:
    from advae.models.added.foreign import ForeignModel
    from advae.models.layers import Arrays
    from advae.records import AddedOptions, ImageShape

GRAPH, FILE, PREFIX = "graph", "content", "weight."
"""Names of the stored arrays: the graph's JSON and a file's content, uint8 both, and the beginning of a weight's."""


_PROCESSES: WeakValueDictionary[str, ScoreProcess] = WeakValueDictionary()
"""The processes of models that are in use, by digest: an attack loads its pipeline several times."""


def digest_model(graph: dict[str, Any], arrays: Arrays) -> str:
    """Return the SHA-256 of a model's canonical JSON and of its arrays, by name, hex."""
    sha = hashlib.sha256(canonical_json(graph).encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def digest_foreign(model: ForeignModel) -> str:
    """Return the digest of a model that was read from a file; ``digest_stored`` gives the same of what is stored."""
    return digest_stored(pack_model(model))


def pack_model(model: ForeignModel) -> Arrays:
    """Return all that is stored of a model, as arrays by name."""
    import numpy as np

    packed = {f"{PREFIX}{name}": array for name, array in model.arrays.items()}
    packed[GRAPH] = np.frombuffer(canonical_json(model.graph).encode(), np.uint8)
    if model.file is not None:
        packed[FILE] = np.frombuffer(model.file, np.uint8)
    return packed


def digest_stored(packed: Arrays) -> str:
    """Return the digest of a stored model. Raises CorruptError where it has no readable graph."""
    graph, arrays = _unpack(packed)
    return digest_model(graph, arrays | ({FILE: packed[FILE]} if FILE in packed else {}))


def restore_model(options: AddedOptions, shape: ImageShape, packed: Arrays) -> Callable[[Tensor], Tensor]:
    """Return what a stored model computes: images, float32 (n, d) in [0, 1], to logits or to images.

    Raises CorruptError where the arrays are not those of the recipe's digest, or the graph is refused.
    """
    if options.format not in MODEL_FORMATS:
        raise CorruptError(f"the recipe names a format of models that this advae does not know: {options.format!r}")
    if digest_stored(packed) != options.digest:
        raise CorruptError("the stored model is not the one whose digest the recipe has")
    run = open_model(options.format, packed)
    prepare = make_input(options, shape)
    return lambda x: read_outputs(options, shape, run(prepare(x)))


def open_model(format_: str, packed: Arrays) -> Callable[[Tensor], Tensor]:
    """Return a stored model's function: inputs to outputs, float32 (n, *takes) both. Raises CorruptError.

    A model that gives scores only is opened in a process of its own, which the function keeps.
    """
    graph, arrays = _unpack(packed)
    restore = MODEL_FORMATS[format_].restore
    if restore:
        return restore(graph, arrays)
    process = open_process(format_, packed)
    found = process.describe()
    ask = wrap_numpy(process.scores, found.gives)

    def run(x: Tensor) -> Tensor:
        import tensorflow as tf

        return ask(tf.reshape(x, (-1, found.takes)))

    return run


def open_process(format_: str, packed: Arrays) -> ScoreProcess:
    """Return the process of a model that gives scores only; one for all that use it. Raises CorruptError."""
    if FILE not in packed:
        raise CorruptError("the stored model has no file")
    key = digest_stored(packed)
    if process := _PROCESSES.get(key):
        return process
    return _PROCESSES.setdefault(key, ScoreProcess(format_, packed[FILE].tobytes(), _unpack(packed)[0]))


def _unpack(packed: Arrays) -> tuple[dict[str, Any], Arrays]:
    if GRAPH not in packed or packed[GRAPH].dtype != "uint8":
        raise CorruptError("the stored model has no graph")
    try:
        graph = json.loads(packed[GRAPH].tobytes())
    except (ValueError, RecursionError):
        raise CorruptError("the graph of the stored model is not readable JSON") from None
    if not isinstance(graph, dict):
        raise CorruptError("the graph of the stored model is no JSON object")
    return graph, {name.removeprefix(PREFIX): array for name, array in packed.items() if name.startswith(PREFIX)}
