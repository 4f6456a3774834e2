"""The four arrays of a dataset, after reading a file of any format."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from advae.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import ImageShape, IntArray


@dataclass(frozen=True)
class Decoded:
    """The arrays of a dataset as stored in its files, not yet scaled or flattened."""

    x_train: NDArray[Any]
    """Training images, (n, h, w) or (n, h, w, 3), uint8 or float in [0, 1]."""
    y_train: IntArray
    """Their labels, int64 (n,)."""
    x_test: NDArray[Any]
    """Test images, like x_train."""
    y_test: IntArray
    """Their labels, int64 (n,)."""

    @property
    def shape(self) -> ImageShape:
        """Height, width and channels of an image."""
        from advae.records import ImageShape

        return ImageShape(*self.x_train.shape[1:], *((1,) if self.x_train.ndim == 3 else ()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over dtype, shape and little-endian bytes of the four arrays, hex."""
        import numpy as np

        sha = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            sha.update(f"{plain.dtype.str}{plain.shape}".encode())
            sha.update(plain.data)
        return sha.hexdigest()


def check_counts(where: str, *, images: int, labels: int) -> None:
    """Raise DatasetError unless there are as many labels as images."""
    if images != labels:
        raise DatasetError(f"{where}: {labels} labels for {images} images")


def show_shape(shape: Sequence[int]) -> str:
    """Return ``20 x 28 x 28``; ``none`` for the shape of a scalar."""
    return " x ".join(str(n) for n in shape) or "none"
