"""Arrays that TensorFlow takes without a copy, and functions applied batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae import batching
from advae.batching import allocate, apply, find_output_range, lend


def test_allocated_memory_is_shared_without_a_copy() -> None:
    array = allocate(37, 11)
    array[...] = 1.0
    tensor = lend(array)
    array[3, 4] = 2.0
    assert (tensor.dtype.name, tuple(tensor.shape), float(tensor[3, 4])) == ("float32", (37, 11), 2.0)


@pytest.mark.parametrize("kind", ["unaligned", "strided", "read-only", "integers"])
def test_everything_else_is_lent_too(kind: str) -> None:
    array: Any = allocate(20, 12)
    array[...] = np.arange(240, dtype=np.float32).reshape(20, 12)
    if kind == "unaligned":
        array = array[1:]
    elif kind == "strided":
        array = array[:, ::2]
    elif kind == "read-only":
        array.flags.writeable = False
    else:
        array = array.astype(np.int32)
    np.testing.assert_array_equal(lend(array).numpy(), array)


@pytest.mark.parametrize("n", [1, 4, 9, 10])
def test_every_row_is_met_once_with_its_batchs_draw(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(batching, "BATCH", 4)
    x = np.random.default_rng(0).random((n, 3)).astype("f4")

    def function(images: Any, draw: Any) -> Any:
        return images * 2.0 + tf.cast(draw, tf.float32)

    expected = x * 2.0 + (np.arange(n) // 4)[:, None].astype("f4")
    np.testing.assert_array_equal(apply(function, x), expected)
    assert find_output_range(function, x) == (expected.min(), expected.max())
