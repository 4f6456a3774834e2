"""A function of the user's own Python as a model: imported where the command line names it, never stored as code."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError, printable
from advae.models.added.foreign import ForeignModel
from advae.models.added.score_process import wrap_numpy
from advae.tracing import trace

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import ImageShape

NAMED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""``module:function``, as a command line names a function."""

FORMAT = "python"

PROBE_IMAGES = 64
"""Images on which the answers of a function are compared with those that were stored."""

SAME = 1e-4
"""Largest difference between two answers, relative to the largest of them."""

ANSWERS = "answers"

_IMPORTED: dict[str, Callable[[Any], Any]] = {}
"""The functions that this process may call, because its command line names them."""


def names_function(text: str) -> bool:
    """Return whether a text is ``module:function``, and no file has this name."""
    return bool(NAMED.fullmatch(text)) and not Path(text).exists()


def import_function(name: str) -> Callable[[Any], Any]:
    """Return the function that the user's command line names, imported from the current folder or an installed package.

    Raises UsageError where there is no such module or function, or importing it fails.
    """
    if name in _IMPORTED:
        return _IMPORTED[name]
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    # Whatever the user's module raises.
    except Exception as error:
        raise UsageError(f"{name} cannot be imported: {_explain(error)}") from None
    if not callable(found):
        raise UsageError(f"{name} is no function: it is {type(found).__name__}")
    _IMPORTED[name] = found
    return _IMPORTED[name]


def read_function(name: str, shape: ImageShape) -> ForeignModel:
    """Return a function as a model: float32 (n, h, w, c) in [0, 1] -> logits, or images.

    One of TensorFlow operations has gradients, one of NumPy gives scores only. Raises UsageError where it fails.
    """
    function, probes = import_function(name), make_probes(shape)
    differentiable = has_gradient(function, probes[:2])
    answers = _call(name, function, probes)
    return ForeignModel(
        format=FORMAT,
        graph={"function": name, "shape": list(shape), "gradients": differentiable},
        arrays={ANSWERS: answers},
        takes=tuple(shape),
        gives=answers.shape[1:],
        differentiable=differentiable,
        notes=(
            f"{name} is your own code: it is not stored; name it on the command line of each command that uses it",
            "its TensorFlow operations have gradients" if differentiable else "it gives scores only, no gradients",
        ),
    )


def restore_function(graph: dict[str, Any], arrays: Arrays) -> Callable[[Tensor], Tensor]:
    """Return the function of an entry. Nothing is imported here.

    Raises UsageError where the command line does not name it, CorruptError where it answers other than it did.
    """
    import numpy as np

    name, shape = str(graph.get("function")), graph.get("shape")
    if name not in _IMPORTED:
        raise UsageError(
            f"this model is the function {printable(name)} of your own code; name it on the command line in place of "
            f"the id: --clf {printable(name)}"
        )
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and 0 < n < 1 << 16 for n in shape)):
        raise CorruptError("the stored function has no shape of an image")
    function, before = _IMPORTED[name], arrays.get(ANSWERS)
    now = _call(name, function, make_probes(shape))
    if before is None or before.shape != now.shape:
        raise CorruptError(
            f"{name} answers in another shape than when it was added: its code has changed; add it again"
        )
    if np.abs(now - before).max() > SAME * max(1.0, float(np.abs(before).max())):
        raise CorruptError(f"{name} answers other than when it was added: its code has changed; add it again")
    if graph.get("gradients") is True:
        return _wrap_tensors(function)
    return wrap_numpy(lambda images: _call(name, function, images), *now.shape[1:])


def make_probes(shape: Any) -> Any:
    """Return the images on which answers are compared: float32 (PROBE_IMAGES, h, w, c) of a fixed seed."""
    import numpy as np

    return np.random.default_rng(0).random((PROBE_IMAGES, *shape), dtype=np.float32)


def _wrap_tensors(function: Callable[[Any], Any]) -> Callable[[Tensor], Tensor]:
    import tensorflow as tf

    return lambda x: tf.cast(function(x), tf.float32)


def _call(name: str, function: Callable[[Any], Any], images: Any) -> Any:
    """Return the answers of a function, float32 (n, ...). Raises UsageError for an error of its own."""
    import numpy as np

    try:
        answers = np.asarray(function(images), np.float32)
    # Whatever the user's function raises.
    except Exception as error:
        raise UsageError(f"{name} fails on images of shape {images.shape}: {_explain(error)}") from None
    if answers.ndim < 2 or len(answers) != len(images):
        raise UsageError(f"{name} returns shape {answers.shape} for {len(images)} images, expected (n, classes)")
    if not np.isfinite(answers).all():
        raise UsageError(f"{name} returns values that are not finite")
    return answers


def has_gradient(function: Callable[[Any], Any], images: Any) -> bool:
    """Return whether a function takes tensors, can be traced, and has a gradient. images: float32 (n, h, w, c)."""
    import tensorflow as tf

    def differentiate(batch: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            tape.watch(batch)
            answers = function(batch)
        return tape.gradient(answers, batch) if tf.is_tensor(answers) else None

    try:
        return trace(differentiate)(tf.constant(images)) is not None
    # A function of NumPy arrays may fail on a tensor in any way.
    except Exception:
        return False


def _explain(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}".split("\n")[0][:200])
