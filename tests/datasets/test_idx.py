"""IDX files: what is read, what is refused and in which words."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advae.datasets.idx import read_idx
from advae.errors import DatasetError

from .samples import (
    FUZZ,
    MUTATIONS,
    SIDE,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    encode_idx,
    load_line,
    load_or_refuse,
    make_idx_files,
    make_images,
    make_labels,
    mark_label,
    mutate,
    patch,
    write_folder,
)


def test_a_misnamed_unpacked_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / f"{TRAIN_LABELS}.gz"
    path.write_bytes(encode_idx(make_labels(TRAIN)))
    assert np.array_equal(read_idx(path, limit=(60_000,)), make_labels(TRAIN))


IDX_DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty": (TRAIN_IMAGES, lambda _: b"", "the header has 0 bytes, expected 16"),
    "header cut": (TRAIN_LABELS, lambda d: d[:7], "the header has 7 bytes, expected 8"),
    "labels as images": (TRAIN_IMAGES, lambda _: encode_idx(make_labels(99)), "magic number 0x00000801, expected"),
    "floats": (TRAIN_IMAGES, lambda d: patch(d, 2, b"\x0d"), "magic number 0x00000d03, expected 0x00000803"),
    "side": (TRAIN_IMAGES, lambda _: encode_idx(make_images(20, 27)), "images of 27 x 27 pixels, expected 28 x 28"),
    "huge count": (TRAIN_IMAGES, lambda d: patch(d, 4, b"\xff" * 4), "claims 4294967295 items, expected 1 to 60000"),
    "huge side": (TRAIN_IMAGES, lambda d: patch(d, 8, b"\xff" * 8), "images of 4294967295 x 4294967295 pixels"),
    "one too many": (TEST_IMAGES, lambda d: patch(d, 4, struct.pack(">I", 10_001)), "claims 10001 items, expected"),
    "no image": (TEST_IMAGES, lambda _: encode_idx(make_images(0)), "claims 0 items, expected 1 to 10000"),
    "truncated": (TEST_IMAGES, lambda d: d[:-1], "claims 7840 bytes of data, got only 7839"),
    "trailing": (TEST_LABELS, lambda d: d + b"\0", "claims 10 bytes of data, got more"),
    "label 10": (TEST_LABELS, mark_label, "label 10, expected 0 to 9"),
    "fewer labels": (TEST_LABELS, lambda _: encode_idx(make_labels(9)), "9 labels for 10 images"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("case", IDX_DAMAGE)
def test_damaged_idx(tmp_path: Path, case: str, packed: bool) -> None:
    name, damage, expected = IDX_DAMAGE[case]
    files = make_idx_files()
    files[name] = damage(files[name])
    write_folder(tmp_path / "mnist", files, packed=packed)
    line = load_line("mnist", data_dir=tmp_path)
    assert expected in line
    assert name in line


GZIP_DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda d: d[: len(d) // 2], "ended before the end-of-stream marker"),
    "checksum cut": (lambda d: d[:-8], "ended before the end-of-stream marker"),
    "checksum": (lambda d: patch(d, len(d) - 8, b"\0\0\0\0"), "CRC check failed"),
    "garbage after it": (lambda d: d + b"garbage", "Not a gzipped file"),
    "second member": (lambda d: d + gzip.compress(b"more"), "got more"),
    "body": (lambda d: patch(d, 12, b"\xff" * 20), "Error -3"),
}


@pytest.mark.parametrize("case", GZIP_DAMAGE)
def test_damaged_gzip(tmp_path: Path, case: str) -> None:
    damage, expected = GZIP_DAMAGE[case]
    folder = write_folder(tmp_path / "mnist", make_idx_files(), packed=True)
    path = folder / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    line = load_line("mnist", data_dir=tmp_path)
    assert expected in line
    assert str(path) in line


def test_padding_without_end_is_not_read(tmp_path: Path) -> None:
    """A sparse file has as much of it as anybody likes, and gzip reads it byte by byte."""
    path = tmp_path / "padded.gz"
    path.write_bytes(gzip.compress(encode_idx(make_images(TRAIN))))
    with path.open("r+b") as stream:
        stream.truncate(1 << 40)
    for limit in ((60_000, SIDE, SIDE), (TRAIN, SIDE, SIDE)):
        with pytest.raises(DatasetError, match="1099511627776 bytes, expected no more than"):
            read_idx(path, limit=limit)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="it is not a regular file"):
        read_idx(tmp_path / "pipe", limit=(1,))


def test_gzip_bomb_costs_no_more_than_its_header_claims(tmp_path: Path) -> None:
    zeros = gzip.compress(bytes(16 << 20), 1)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x0803, 1_000, SIDE, SIDE)) + zeros * 256)
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="claims 784000 bytes of data, got more"):
            read_idx(path, limit=(60_000, SIDE, SIDE))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_unreadable_idx_is_an_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mnist", make_idx_files())
    (folder / TEST_IMAGES).unlink()
    (folder / TEST_IMAGES).mkdir()
    assert f"{TEST_IMAGES}: cannot be read: it is not a regular file" in load_line("mnist", data_dir=tmp_path)


@FUZZ
@given(data=st.one_of(st.binary(max_size=200), MUTATIONS), packed=st.sampled_from(["no", "inside", "outside"]))
def test_random_idx(tmp_path: Path, data: bytes | list[tuple[int, bytes]], packed: str) -> None:
    small = encode_idx(make_images(3, 4))
    content = gzip.compress(small) if packed == "outside" else small
    content = data if isinstance(data, bytes) else mutate(content, data)
    path = tmp_path / "random"
    path.write_bytes(gzip.compress(content) if packed == "inside" else content)
    load_or_refuse(lambda: read_idx(path, limit=(5, 4, 4)))
