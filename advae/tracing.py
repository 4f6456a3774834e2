"""TensorFlow graphs traced from Python functions, of which AutoGraph rewrites only those that loop over tensors.

By default AutoGraph reads and rewrites each of our functions and CleverHans' that is called while a graph is traced,
and calls all others through itself.
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


def keep_from_autograph(function: Callable[Arguments, Traced]) -> Callable[Arguments, Traced]:
    """Return a function that AutoGraph does not rewrite where CleverHans traces it into a graph of its own."""
    import tensorflow as tf

    kept: Callable[Arguments, Traced] = tf.autograph.experimental.do_not_convert(function)
    return kept


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
