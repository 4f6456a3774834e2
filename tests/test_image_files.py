"""A .npy file of images: what is read, what is refused, and that a result is written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.batching import BATCH
from advae.errors import DatasetError, DiskError
from advae.image_files import open_images, stream_images, write_images
from advae.records import ImageShape
from tests.entries import BAD_NPY, Canary

SIDE = 3
SHAPE = ImageShape(SIDE, SIDE, 1)
SHAPES = [(SIDE, SIDE), (SIDE, SIDE, 1), (SIDE * SIDE,)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images.npy"


def save(path: Path, array: Any, **options: Any) -> Path:
    np.save(path, array, **options)
    return path


def read_all(path: Path, shape: ImageShape = SHAPE) -> np.ndarray[Any, Any]:
    """Return what is streamed from a file, joined."""
    return np.concatenate([batch for _, batch in stream_images(open_images(path, shape), path)])


def assert_refused(path: Path, *words: str) -> None:
    """Hold that reading raises DatasetError, exit code 6, naming the file and what is wrong with it."""
    with pytest.raises(DatasetError) as caught:
        read_all(path)
    assert caught.value.exit_code == 6
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# ---------------------------------------------------------------- read


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [1, 5])
def test_each_shape_is_read_as_rows(path: Path, shape: tuple[int, ...], n: int) -> None:
    x = np.random.default_rng(0).random((n, *shape), dtype=np.float32)
    images = open_images(save(path, x), SHAPE)
    assert images.shape == x.shape
    rows = read_all(path)
    assert rows.shape == (n, SIDE * SIDE)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, x.reshape(n, -1))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "longdouble"])
def test_each_float_is_read_as_float32(path: Path, dtype: str) -> None:
    x = np.linspace(0, 1, 2 * SIDE**2).reshape(2, SIDE, SIDE).astype(dtype)
    rows = read_all(save(path, x))
    assert rows.dtype == np.dtype("float32")
    np.testing.assert_array_equal(rows, x.reshape(2, -1).astype(np.float32))


def test_bytes_are_shares_of_255(path: Path) -> None:
    x = np.arange(256, dtype=np.uint8).repeat(SIDE**2).reshape(256, SIDE, SIDE)
    rows = read_all(save(path, x))
    assert rows.dtype == np.float32
    assert (rows[0, 0], rows[255, 0]) == (0.0, 1.0)
    np.testing.assert_array_equal(rows[:, 0], (np.arange(256) / 255).astype(np.float32))


def test_both_ends_of_the_range_are_inside(path: Path) -> None:
    assert read_all(save(path, np.array([[0.0, -0.0, 1.0] * 3]))).max() == 1.0


def test_columns_first_is_read_in_the_order_of_pixels(path: Path) -> None:
    x = np.random.default_rng(0).random((4, SIDE, SIDE))
    np.testing.assert_array_equal(read_all(save(path, np.asfortranarray(x))), x.reshape(4, -1).astype(np.float32))


def test_the_file_is_mapped_not_read(path: Path) -> None:
    assert isinstance(open_images(save(path, np.zeros((2, SIDE, SIDE), np.uint8)), SHAPE), np.memmap)


@pytest.mark.parametrize("n", [1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 7])
def test_batches_cover_every_row_once_in_order(path: Path, n: int) -> None:
    x = (np.arange(n, dtype=np.float32) / n)[:, None]
    images = open_images(save(path, x), ImageShape(1, 1, 1))
    seen = list(stream_images(images, path))
    assert len(seen) == -(-n // BATCH)
    assert np.concatenate([np.arange(n)[rows] for rows, _ in seen]).tolist() == list(range(n))
    for rows, batch in seen:
        assert batch.shape == (rows.stop - rows.start, 1)
        assert len(batch) <= BATCH
        np.testing.assert_array_equal(batch, x[rows])


# ---------------------------------------------------------------- refuse


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (9,),
        (2, 8),
        (2, SIDE, SIDE + 1),
        (2, SIDE, SIDE, 3),
        (2, 1, SIDE, SIDE),
        (SIDE, SIDE),
        (0, SIDE, SIDE),
        (0, 9),
    ],
    ids=str,
)
def test_another_shape_is_refused(path: Path, shape: tuple[int, ...]) -> None:
    assert_refused(save(path, np.zeros(shape, np.float32)), f"shape {shape}", "(n, 3, 3), (n, 3, 3, 1), (n, 9), n > 0")


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16"])
def test_another_dtype_is_refused(path: Path, dtype: str) -> None:
    x = np.zeros((2, SIDE, SIDE), dtype)
    assert_refused(save(path, x), f"dtype {x.dtype}", "uint8, or float in [0, 1]")


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "S1", "U1"])
def test_what_is_no_number_is_refused(path: Path, dtype: str) -> None:
    x = np.zeros((2, SIDE, SIDE), dtype)
    assert_refused(save(path, x), "not a readable .npy file", f"{x.dtype} values", "expected numbers")


@pytest.mark.parametrize(("value", "expected"), [(-1e-9, 0), (1.0000001, 1), (1 + 2.3e-16, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_rounding_error_outside_the_range_is_clipped(path: Path, value: float, expected: float, dtype: Any) -> None:
    x = np.full((4, SIDE * SIDE), 0.5, dtype)
    x[2, 1] = value
    assert read_all(save(path, x))[2, 1] == expected


@pytest.mark.parametrize("value", [-2e-6, 1.000002, 255.0, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_out_of_range_is_refused(path: Path, value: float, dtype: Any) -> None:
    x = np.full((4, SIDE, SIDE), 0.5, dtype)
    x[2, 1, 0] = value
    assert_refused(save(path, x), "float images must be in [0, 1]", "rows 0 to 3")


def test_a_value_out_of_range_names_its_rows(path: Path) -> None:
    x = np.zeros((BATCH + 3, 1), np.float32)
    x[BATCH + 1] = 2
    stream = stream_images(open_images(save(path, x), ImageShape(1, 1, 1)), path)
    assert len(next(stream)[1]) == BATCH
    with pytest.raises(DatasetError, match=f"rows {BATCH} to {BATCH + 2} "):
        next(stream)


def test_a_file_that_is_not_there_is_refused(path: Path) -> None:
    assert_refused(path, "does not exist")
    assert_refused(path / "below" / "nothing.npy")


def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    assert_refused(path, "not a readable .npy file")


def test_an_npz_is_refused(path: Path) -> None:
    with path.open("wb") as stream:
        np.savez(stream, x_test=np.zeros((2, SIDE, SIDE), np.float32))
    assert_refused(path, "not a readable .npy file")


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.parametrize("content", BAD_NPY.values(), ids=list(BAD_NPY))
def test_a_damaged_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert_refused(path, "not a readable .npy file")


@pytest.mark.parametrize("form", ["array", "bare"])
def test_a_pickled_object_is_refused_and_not_run(path: Path, tmp_path: Path, form: str) -> None:
    canary = Canary(tmp_path / "canary")
    if form == "array":
        save(path, np.array([canary] * 9, dtype=object).reshape(1, 9), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(canary))
    assert_refused(path, "not a readable .npy file")
    assert not canary.sings()


# ---------------------------------------------------------------- write


def fill(target: Path, n: int = 2, value: float = 1.0) -> None:
    """Write n images of nine pixels, one at a time."""
    with write_images(target, (n, 9)) as write:
        for _ in range(n):
            write(np.full((1, 9), value, np.float32))


@pytest.mark.parametrize("shape", [(BATCH + 4, *shape) for shape in SHAPES], ids=str)
def test_what_is_written_has_the_shape_of_what_was_read(path: Path, tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    source = open_images(save(path, x), SHAPE)
    target = tmp_path / "out.npy"
    with write_images(target, source.shape) as write:
        for _, batch in stream_images(source, path):
            write(batch)
            assert not target.exists()
    written = np.load(target, allow_pickle=False)
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, x, strict=True)
    np.testing.assert_array_equal(read_all(target), x.reshape(len(x), -1))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images.npy", "out.npy"]


@pytest.mark.parametrize("dtype", ["<f8", ">f4"])
def test_whatever_is_appended_is_stored_as_float32(path: Path, dtype: str) -> None:
    x = np.linspace(0, 1, 18).reshape(2, 9)
    with write_images(path, (2, 9)) as write:
        write(np.asfortranarray(x.astype(dtype)))
    np.testing.assert_array_equal(np.load(path), x.astype(np.float32), strict=True)


def test_an_older_target_is_replaced_when_all_is_written(path: Path) -> None:
    path.write_text("old")
    with write_images(path, (1, 9)) as write:
        write(np.ones((1, 9), np.float32))
        assert path.read_text() == "old"
    assert np.load(path).tolist() == [[1.0] * 9]


def test_a_file_may_be_replaced_by_what_is_made_of_it(path: Path) -> None:
    source = open_images(save(path, np.full((BATCH + 1, 9), 0.25)), SHAPE)
    with write_images(path, source.shape) as write:
        for _, batch in stream_images(source, path):
            write(batch * 2)
    assert (np.load(path) == np.full((BATCH + 1, 9), 0.5)).all()


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_written_file_has_the_permissions_of_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        fill(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.fixture(params=["absent", "old"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A target, absent or holding something, that must be as it was after the test, with nothing beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    if request.param == "old":
        (folder / "out.npy").write_text("old")
    yield folder / "out.npy"
    assert {file.name: file.read_text() for file in folder.iterdir()} == (
        {"out.npy": "old"} if request.param == "old" else {}
    )


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, DatasetError])
def test_after_a_failed_write_the_target_is_unchanged_and_no_temporary_file_remains(
    target: Path, error: type[BaseException]
) -> None:
    def fail() -> None:
        with write_images(target, (2, 9)) as write:
            write(np.ones((1, 9), np.float32))
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fail()


class FullDisk(io.FileIO):
    """A file on a disk with room for a hundred bytes more."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data) or 0


@pytest.mark.parametrize("buffered", [True, False], ids=["at the end", "halfway"])
def test_on_a_full_disk_the_target_is_unchanged_and_no_temporary_file_remains(
    target: Path, monkeypatch: pytest.MonkeyPatch, buffered: bool
) -> None:
    """A mapped file would end the process with SIGBUS instead."""
    monkeypatch.setattr(
        io, "open", lambda path, *_: io.BufferedWriter(FullDisk(path, "x"), buffer_size=1 << 20 if buffered else 1)
    )
    with pytest.raises(DiskError) as caught:
        fill(target)
    monkeypatch.undo()
    assert caught.value.exit_code == 5
    assert str(caught.value) == f"cannot write {target}: {os.strerror(errno.ENOSPC)}"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize(("module", "call"), [(io, "open"), (os, "replace")], ids=["open", "replace"])
def test_on_a_failing_disk_the_target_is_unchanged_and_no_temporary_file_remains(
    target: Path, monkeypatch: pytest.MonkeyPatch, module: Any, call: str, code: int
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, call, fail)
    with pytest.raises(DiskError) as caught:
        fill(target)
    monkeypatch.undo()
    assert str(caught.value) == f"cannot write {target}: {os.strerror(code)}"


def test_where_the_source_is_refused_halfway_the_target_is_unchanged(target: Path, path: Path) -> None:
    x = np.zeros((BATCH + 1, 1), np.float32)
    x[BATCH] = np.nan
    source = open_images(save(path, x), ImageShape(1, 1, 1))

    def copy() -> None:
        with write_images(target, source.shape) as write:
            for _, batch in stream_images(source, path):
                write(batch)

    with pytest.raises(DatasetError, match=f"rows {BATCH} to {BATCH} "):
        copy()


@pytest.mark.parametrize("place", ["nowhere/out.npy", "file/out.npy", "folder", "x" * 256], ids=lambda p: p[:15])
def test_a_target_that_cannot_be_is_a_disk_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiskError, match="cannot write"):
        fill(tmp_path / place)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]
    assert list((tmp_path / "folder").iterdir()) == []
