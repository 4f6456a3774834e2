"""A .npy file of images: opened without reading it, checked, streamed in batches, written beside."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.batching import BATCH
from advae.errors import DatasetError, DiskError

if TYPE_CHECKING:
    import numpy as np

    from advae.records import FloatArray


def open_images(path: Path, side: int) -> np.ndarray[Any, Any]:
    """Return the images of a .npy file as they lie on disk, mapped, not read.

    uint8 or float; (n, side, side), (n, side, side, 1) or (n, side * side), n > 0. Raises DatasetError.
    """
    import numpy as np

    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path} is not a readable .npy file: {error}") from None
    if not isinstance(images, np.ndarray):
        images.close()
        raise DatasetError(f"{path} is an .npz archive; a .npy file of images is expected")
    shapes = [(side, side), (side, side, 1), (side * side,)]
    if images.ndim == 0 or images.shape[1:] not in shapes or len(images) == 0:
        allowed = ", ".join(str(("n", *shape)).replace("'", "") for shape in shapes)
        raise DatasetError(f"{path} has shape {images.shape}; the model takes {allowed}, n > 0")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise DatasetError(f"{path} has dtype {images.dtype}; uint8, or float in [0, 1], is expected")
    return images


def stream_images(images: np.ndarray[Any, Any], path: Path) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (rows, float32 (batch, d) in [0, 1]) over all images. Raises DatasetError for a value out of range."""
    import numpy as np

    for first in range(0, len(images), BATCH):
        rows = slice(first, min(first + BATCH, len(images)))
        batch = np.asarray(images[rows]).reshape(rows.stop - rows.start, -1)
        if batch.dtype == np.uint8:
            yield rows, batch.astype(np.float32) / np.float32(255)
            continue
        # Written so that NaN fails too.
        if not ((batch >= 0) & (batch <= 1)).all():
            raise DatasetError(f"{path}: float images must be in [0, 1]; rows {rows.start} to {rows.stop - 1} are not")
        yield rows, batch.astype(np.float32)


@contextmanager
def write_images(path: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray[Any, Any]]:
    """Give a float32 array of ``shape`` to fill; it becomes the .npy file ``path`` by one rename when all went well.

    Raises DiskError, leaving neither a partial nor a temporary file.
    """
    import numpy as np

    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        yield array
        array.flush()
        del array
        temporary.replace(path)
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
