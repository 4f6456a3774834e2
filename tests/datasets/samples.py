"""Small datasets as files, and ways to damage them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from advae.datasets.cifar import RECORD, CifarArchive
from advae.datasets.load import load_dataset
from advae.datasets.table import DATASETS
from advae.errors import DatasetError

SIDE = 28
TRAIN, TEST = 20, 10
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = (file.name for file in DATASETS["mnist"].files)

Arrays = dict[str, Any]


def make_images(n: int, side: int = SIDE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(n).integers(0, 256, (n, side, side)).astype(np.uint8)


def make_labels(n: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return (np.arange(n) % 10).astype(np.uint8)


def encode_idx(array: np.ndarray[Any, Any]) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def make_idx_files() -> dict[str, bytes]:
    return {
        TRAIN_IMAGES: encode_idx(make_images(TRAIN)),
        TRAIN_LABELS: encode_idx(make_labels(TRAIN)),
        TEST_IMAGES: encode_idx(make_images(TEST)),
        TEST_LABELS: encode_idx(make_labels(TEST)),
    }


def write_folder(folder: Path, files: dict[str, bytes], *, packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(data, 1) if packed else data)
    return folder


def make_own(side: int = 5) -> Arrays:
    return {
        "x_train": make_images(TRAIN, side),
        "y_train": make_labels(TRAIN),
        "x_test": make_images(TEST, side),
        "y_test": make_labels(TEST),
    }


def save_npz(path: Path, arrays: Arrays) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def make_batches(records: int = 4) -> dict[str, bytes]:
    """Return the files of a small CIFAR-10, by name; each record's label is its place."""
    rng, archive = np.random.default_rng(0), DATASETS["cifar-10"].archive
    assert archive
    batches = {}
    for name in archive.batches:
        batch = rng.integers(0, 256, (records, RECORD), np.uint8)
        batch[:, 0] = np.arange(records) % 10
        batches[name] = batch.tobytes()
    return batches


def encode_tar(members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a .tar.gz of members by name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def publish_cifar(monkeypatch: pytest.MonkeyPatch, content: bytes) -> CifarArchive:
    """Have the table say that these bytes are the published archive of the small CIFAR-10."""
    row = DATASETS["cifar-10"]
    assert row.archive
    archive = replace(
        row.archive,
        size=len(content),
        checksums={name: hashlib.new(name, content, usedforsecurity=False).hexdigest() for name in ("md5", "sha256")},
        batches={name: hashlib.sha256(batch).hexdigest() for name, batch in make_batches().items()},
    )
    monkeypatch.setitem(DATASETS, row.name, replace(row, archive=archive))
    return archive


def patch(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def mark_label(data: bytes) -> bytes:
    return patch(data, 8, b"\x0a")


MUTATIONS = st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=8)), min_size=1, max_size=4)
FUZZ = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutate(data: bytes, mutations: list[tuple[int, bytes]]) -> bytes:
    for at, new in mutations:
        position = at % (len(data) + 1)
        data = patch(data, position, new) if new else data[:position]
    return data


def load_or_refuse(read: Callable[[], Any]) -> None:
    with contextlib.suppress(DatasetError):
        read()


def load_line(name: str | Path, **options: Any) -> str:
    """Return the line that loading fails with."""
    with pytest.raises(DatasetError) as caught:
        load_dataset(str(name), **options)
    line = str(caught.value)
    assert "\n" not in line
    return line
