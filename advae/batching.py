"""Functions of images applied to many images, batch by batch, traced once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from advae.tracing import trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray


Tensor = Any
"""A TensorFlow tensor; the library has no usable types."""

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


def list_rows(y: IntArray) -> IntArray:
    """Return the positions of all samples, int64 (n,)."""
    import numpy as np

    return np.arange(len(y))


def split_rows(rows: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield (index, up to BATCH of the rows), for functions that were traced for any number of them."""
    for index, first in enumerate(range(0, len(rows), BATCH)):
        yield index, rows[first : first + BATCH]


ALIGNMENT = 64
"""Bytes; TensorFlow shares only memory that begins at a multiple of this."""


def allocate(rows: int, pixels: int) -> FloatArray:
    """Return an uninitialised float32 (rows, pixels) whose memory ``lend`` can share with TensorFlow."""
    import numpy as np

    spare = np.empty(rows * pixels + ALIGNMENT // 4, np.float32)
    first = -spare.ctypes.data % ALIGNMENT // 4
    return spare[first : first + rows * pixels].reshape(rows, pixels)


def lend(array: NDArray[Any]) -> Tensor:
    """Return a tensor that shares an array's memory if possible, else a copy; the array must not change afterwards."""
    import numpy as np
    import tensorflow as tf

    if array.ctypes.data % ALIGNMENT or not array.flags.c_contiguous or not array.flags.writeable:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(np.asarray(array).__dlpack__())


def _compile(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[FloatArray, int], Iterator[FloatArray]]:
    """Return (x, draw) -> function of each batch; the batches take the random draws from ``draw`` on."""
    import tensorflow as tf

    compiled = trace(function)

    def stream(x: FloatArray, draw: int) -> Iterator[FloatArray]:
        for index, rows, padded in lay_out_batches(len(x)):
            yield compiled(tf.constant(x[padded]), tf.constant(draw + index)).numpy()[: len(rows)]

    return stream


def compile_batched(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., FloatArray]:
    """Return (x, draw=0) -> function over all of x, n > 0, float32 (n, d); each batch has its own random draw."""
    stream = _compile(function)

    def run(x: FloatArray, draw: int = 0) -> FloatArray:
        parts = stream(x, draw)
        first = next(parts)
        found, done = allocate(len(x), first.shape[1]), 0
        for part in itertools.chain([first], parts):
            found[done : done + len(part)] = part
            done += len(part)
        return found

    return run


def apply(function: Callable[[Tensor, Tensor], Tensor], x: FloatArray) -> FloatArray:
    """Return function(x, draw) over all of x, float32 (n, d)."""
    return compile_batched(function)(x)


def find_output_range(function: Callable[[Tensor, Tensor], Tensor], x: FloatArray) -> tuple[float, float]:
    """Return the smallest and the largest value of function(x, draw) over all of x, one batch in memory at a time."""
    lows, highs = zip(*((float(part.min()), float(part.max())) for part in _compile(function)(x, 0)), strict=True)
    return min(lows), max(highs)
