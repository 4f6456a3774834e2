"""A .npy file of images: mapped, checked, read in batches, and written by one rename."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, clip_rounding, explain, map_array, show_range
from advae.atomic_files import write_aside
from advae.batching import BATCH
from advae.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np

    from advae.records import FloatArray, ImageShape


def open_images(path: Path, shape: ImageShape) -> np.ndarray[Any, Any]:
    """Return the images of a .npy file, mapped, not read.

    uint8 or float; (n, h, w, c), grey ones also (n, h, w), or flat, (n, h * w * c); n > 0. Raises DatasetError.
    """
    import numpy as np

    try:
        images = map_array(path)
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist") from None
    except DAMAGED as error:
        raise DatasetError(f"{path} is not a readable .npy file: {explain(error)}") from None
    shapes = list(dict.fromkeys([shape.stored, tuple(shape), (shape.size,)]))
    if images.ndim == 0 or images.shape[1:] not in shapes or len(images) == 0:
        allowed = ", ".join(str(("n", *one)).replace("'", "") for one in shapes)
        mend = _suggest_shape(images.shape, shape)
        raise DatasetError(f"{path} has shape {images.shape}; the model takes {allowed}, n > 0{mend}")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise DatasetError(f"{path} has dtype {images.dtype}; uint8, or float in [0, 1], is expected")
    return images


def _suggest_shape(found: tuple[int, ...], shape: ImageShape) -> str:
    """Return the end of an error line for a shape that people often have; empty for others."""
    if found[1:] == (shape.channels, shape.height, shape.width):
        return "; move its channels to the end, images.transpose(0, 2, 3, 1)"
    # As ``registry export --format npy`` writes the adversarial examples of a run at several eps.
    if found[2:] == shape.stored:
        return "; are these several eps? save those of one, images[0]"
    return ""


def stream_images(images: np.ndarray[Any, Any], path: Path) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (rows, float32 (batch, d) in [0, 1]) over all images. Raises DatasetError for a value out of range."""
    import numpy as np

    for first in range(0, len(images), BATCH):
        rows = slice(first, min(first + BATCH, len(images)))
        batch = np.asarray(images[rows]).reshape(rows.stop - rows.start, -1)
        if batch.dtype == np.uint8:
            yield rows, batch.astype(np.float32) / np.float32(255)
            continue
        clipped = clip_rounding(batch)
        if clipped is None:
            span = f"rows {rows.start} to {rows.stop - 1} range from {show_range(batch)}"
            mend = "; divide them by 255" if 1 < batch.max() <= 255 and batch.min() >= 0 else ""
            mend = mend if np.isfinite(batch).all() else "; replace what is not a finite number"
            raise DatasetError(f"{path}: float images must be in [0, 1]; {span}{mend}")
        yield rows, clipped.astype(np.float32)


def check_images(images: np.ndarray[Any, Any], path: Path) -> None:
    """Raise DatasetError for a value out of range in any image. Call it before the first result is written."""
    if images.dtype != "uint8":
        for _ in stream_images(images, path):
            pass


@contextmanager
def write_images(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[FloatArray], None]]:
    """Give a function that appends images; together they become the .npy file ``path`` by one rename.

    shape: of the whole float32 array. Raises DiskError, leaving neither a partial nor a temporary file.
    """
    from numpy.lib import format as npy

    # The file is not mapped: on a full disk a write to mapped memory kills the process instead of raising an error.
    with write_aside(path) as draft, draft.open("xb") as stream:
        npy.write_array_header_2_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        yield lambda batch: _append(stream, batch)


def _append(stream: IO[bytes], batch: FloatArray) -> None:
    stream.write(batch.astype("<f4").tobytes())
