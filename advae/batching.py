"""Functions of images applied to many images, batch by batch, traced once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray

Tensor = Any

BATCH = 2500
"""The fastest batch measured on two cores."""


def lay_out_batches(n: int) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (index, rows, rows padded to the batch size) over n > 0 rows; padding repeats the batch's first row.

    The padding keeps the last, short batch from being traced anew.
    """
    import numpy as np

    size = min(n, BATCH)
    for index, first in enumerate(range(0, n, size)):
        rows = np.arange(first, min(first + size, n))
        yield index, rows, np.concatenate([rows, np.full(size - len(rows), first)])


def split_rows(rows: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield (index, up to BATCH of the rows), for functions that were traced for any number of them."""
    for index, first in enumerate(range(0, len(rows), BATCH)):
        yield index, rows[first : first + BATCH]


def compile_batched(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., FloatArray]:
    """Return (x, draw=0) -> function over all of x, float32 (n, d); each batch gets a draw of its own from draw on."""
    import numpy as np
    import tensorflow as tf

    compiled = tf.function(function)

    def run(x: FloatArray, draw: int = 0) -> FloatArray:
        parts = [
            compiled(tf.constant(x[padded]), tf.constant(draw + index)).numpy()[: len(rows)]
            for index, rows, padded in lay_out_batches(len(x))
        ]
        return np.concatenate(parts)

    return run


def apply(function: Callable[[Tensor, Tensor], Tensor], x: FloatArray) -> FloatArray:
    """Return function(x, draw) over all of x, float32 (n, d)."""
    return compile_batched(function)(x)
