"""TensorFlow graphs traced from Python functions, of which AutoGraph rewrites only those with loops of their own.

By default AutoGraph reads and rewrites every function that is called while a graph is traced, Keras' layers and
CleverHans included, which takes as long as the trace itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

Traced = TypeVar("Traced")
Arguments = ParamSpec("Arguments")


def trace(function: Callable[..., Any], signature: Sequence[Any] | None = None, *, xla: bool = False) -> Any:
    """Return ``function`` as a graph, with one trace for each signature; xla: compile it with XLA.

    A function in it that loops or branches over tensors needs ``loops_over_tensors``; TensorFlow raises without it.
    """
    import tensorflow as tf

    return tf.function(function, signature, autograph=False, jit_compile=xla or None)


def loops_over_tensors(function: Callable[Arguments, Traced]) -> Callable[Arguments, Traced]:
    """Decorate a function whose own ``for``, ``while`` and ``if`` take tensors; what it calls is traced as it is."""

    @functools.cache
    def rewrite() -> Callable[Arguments, Traced]:
        import tensorflow as tf

        rewritten: Callable[Arguments, Traced] = tf.autograph.to_graph(function, recursive=False)
        return rewritten

    @functools.wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Traced:
        return rewrite()(*args, **kwargs)

    return run
