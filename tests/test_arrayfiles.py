"""Array files: what is true is read, and whatever lies is refused before memory is taken and without running it."""

from __future__ import annotations

import io
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advae.arrayfiles import DAMAGED, explain, map_array, read_header, read_member, read_regular, read_stored_arrays
from tests.entries import BAD_NPY, BAD_NPZ, MANY, Canary, encode_npy, encode_npz, hide_directory

ignore_python_2 = pytest.mark.filterwarnings("ignore:Reading `.npy`")

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 9), np.float32),
    "bytes": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "labels": np.array([1, -1], dtype=np.int64),
    "outcomes": np.array([True, False]),
    "columns first": np.asfortranarray(np.random.default_rng(0).random((3, 4))),
    "big endian": np.linspace(0, 1, 6, dtype=">f4").reshape(2, 3),
}


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("array", ARRAYS.values(), ids=list(ARRAYS))
def test_arrays_of_numpy_are_read(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    np.save(stream := io.BytesIO(), array)
    size = stream.tell()
    stream.seek(0)
    assert read_header(stream, size) == (array.shape, array.dtype)
    mapped = map_array(write(tmp_path, stream.getvalue()))
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, array, strict=True)


def test_archives_of_savez_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=False, **ARRAYS)
    arrays = read_stored_arrays(tmp_path / "a.npz")
    assert list(arrays) == list(ARRAYS)
    np.savez_compressed(tmp_path / "b.npz", allow_pickle=False, **ARRAYS)
    with zipfile.ZipFile(tmp_path / "b.npz") as archive:
        for name, expected in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], expected, strict=True)
            np.testing.assert_array_equal(read_member(archive, name), expected, strict=True)


def test_an_archive_that_needs_64_bits_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As numpy writes one of more than 4 GiB."""
    for name in ("ZIP64_LIMIT", "ZIP_FILECOUNT_LIMIT"):
        monkeypatch.setattr(zipfile, name, 0)
    np.savez(tmp_path / "a.npz", allow_pickle=False, **ARRAYS)
    monkeypatch.undo()
    assert (tmp_path / "a.npz").read_bytes()[-42:-38] == b"PK\x06\x07"
    assert list(read_stored_arrays(tmp_path / "a.npz")) == list(ARRAYS)


def test_what_is_looked_at_first_is_what_arrays_claim(tmp_path: Path) -> None:
    path = write(tmp_path, encode_npz({"a.npy": encode_npy("(1,)", bytes(4))}))

    def check(headers: Any) -> None:
        assert {name: (header.shape, str(header.dtype)) for name, header in headers.items()} == {"a": ((1,), "float32")}
        raise LookupError("seen")

    with pytest.raises(LookupError, match="seen"):
        read_stored_arrays(path, check)


def test_an_archive_of_nothing_holds_no_arrays(tmp_path: Path) -> None:
    assert read_stored_arrays(write(tmp_path, encode_npz({}))) == {}


@ignore_python_2
@pytest.mark.parametrize("content", BAD_NPY.values(), ids=list(BAD_NPY))
def test_a_bad_npy_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DAMAGED) as caught:
        map_array(write(tmp_path, content))
    assert explain(caught.value)


@ignore_python_2
@pytest.mark.parametrize("content", BAD_NPZ.values(), ids=list(BAD_NPZ))
def test_a_bad_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DAMAGED) as caught:
        read_stored_arrays(write(tmp_path, content))
    assert explain(caught.value)


@pytest.mark.parametrize("read", [map_array, read_stored_arrays])
def test_what_is_no_file_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing")
    with pytest.raises(DAMAGED):
        read(tmp_path)


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (map_array, encode_npy("(1000000000, 9)")),
        (read_stored_arrays, encode_npz({"a.npy": encode_npy("(1000000000, 9)")})),
        (read_stored_arrays, encode_npz({"a.npy": encode_npy("(25000000,)", bytes(10**8))}, zipfile.ZIP_DEFLATED)),
        (read_stored_arrays, MANY),
        (read_stored_arrays, hide_directory(MANY)),
    ],
    ids=["npy", "npz", "bomb", "directory", "directory by 64 bits"],
)
def test_no_memory_is_taken_for_a_claim(tmp_path: Path, read: Callable[[Path], Any], content: bytes) -> None:
    path = write(tmp_path, content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="claims"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "canary")
    np.save(stream := io.BytesIO(), np.array([canary], dtype=object), allow_pickle=True)
    for content in (stream.getvalue(), pickle.dumps(canary)):
        with pytest.raises(DAMAGED):
            map_array(write(tmp_path, content))
        with pytest.raises(DAMAGED):
            read_stored_arrays(write(tmp_path, encode_npz({"a.npy": content})))
    assert not canary.sings()


GOOD_NPY = encode_npy("(2, 2)", bytes(16))


@ignore_python_2
@settings(max_examples=200)
@given(at=st.integers(0, len(GOOD_NPY)), new=st.binary(max_size=8), end=st.integers(0, len(GOOD_NPY) + 9), zipped=...)
def test_a_file_changed_anywhere_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes, end: int, zipped: bool
) -> None:
    content = (GOOD_NPY[:at] + new + GOOD_NPY[at + len(new) :])[:end]
    path = write(tmp_path_factory.getbasetemp(), encode_npz({"a.npy": content}) if zipped else content)
    with suppress(*DAMAGED):
        array = read_stored_arrays(path)["a"] if zipped else map_array(path)
        assert array.dtype.kind in "buif"
        assert array.nbytes <= len(content)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device", "/a/file"), "No space left on device"),
        (ValueError("two\nlines\tand \x1b[31mcolour\x00"), "two lines and [31mcolour"),
        (ValueError("x" * 10_000), "x" * 200),
        (EOFError(), "EOFError"),
        (OSError("plain"), "plain"),
    ],
)
def test_an_error_is_explained_in_one_short_line(error: Exception, expected: str) -> None:
    assert explain(error) == expected


def test_a_whole_file_is_read_and_what_is_none_or_too_long_is_refused_at_once(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    path = write(tmp_path, content)
    assert read_regular(str(path), len(content)) == content
    assert read_regular(str(write(tmp_path, b"")), 0) == b""
    write(tmp_path, content)
    with pytest.raises(ValueError, match="longer than 99 bytes"):
        read_regular(str(path), 99)
    # Opening a pipe without a writer would wait for one.
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(ValueError, match="not a regular file"):
            read_regular(str(tmp_path / name), 99)
    with pytest.raises(FileNotFoundError):
        read_regular(str(tmp_path / "nothing"), 99)
