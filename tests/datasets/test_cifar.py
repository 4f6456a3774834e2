"""CIFAR-10's binary version: read by name from a folder or the archive, compared with the published checksums."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from advae.datasets.cifar import RECORD
from advae.datasets.load import load_dataset, verify_dataset
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS
from advae.errors import DatasetError
from advae.records import ImageShape

from .samples import (
    FUZZ,
    MUTATIONS,
    encode_tar,
    load_line,
    load_or_refuse,
    make_batches,
    mutate,
    publish_cifar,
    write_folder,
)

FOLDER, ARCHIVE = "cifar-10-batches-bin", "cifar-10-binary.tar.gz"
TEST_BATCH = "test_batch.bin"


def name_members(batches: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{FOLDER}/{name}": content for name, content in batches.items()}


def write_archive(folder: Path, members: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ARCHIVE).write_bytes(encode_tar(members))
    return folder / ARCHIVE


def test_a_folder_and_the_archive_are_one_dataset(tmp_path: Path) -> None:
    batches = make_batches()
    folder = write_folder(tmp_path / "a" / FOLDER, batches)
    others = {f"{FOLDER}/readme.html": b"x" * 700, f"{FOLDER}/batches.meta.txt": b"airplane"}
    archive = write_archive(tmp_path / "b", others | name_members(batches))
    data, same = load_dataset("cifar-10", data_dir=folder.parent), load_dataset("cifar-10", data_dir=archive.parent)
    assert data.ref == same.ref
    assert (data.ref.shape, data.ref.classes[:2]) == (ImageShape(32, 32, 3), ("airplane", "automobile"))
    assert (data.source, same.source) == (str(folder), str(archive))
    record = np.frombuffer(batches[TEST_BATCH], np.uint8)[RECORD : 2 * RECORD]
    image = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(data.x_test[1], image.ravel() / np.float32(255))
    assert (len(data.x_train), data.y_test.tolist()) == (20, [0, 1, 2, 3])
    found, packed = (find_dataset("cifar-10", data_dir=path.parent) for path in (folder, archive))
    assert (found.origin, found.path, found.train, found.test) == ("data-dir", str(folder), 20, 4)
    assert (packed.path, packed.train, packed.test, packed.problem) == (str(archive), None, None, None)


@pytest.mark.parametrize("place", [FOLDER, f"cifar-10/{FOLDER}", f"CIFAR10/{FOLDER}", ".", "cifar-10"])
def test_layouts_that_others_make_are_found(tmp_path: Path, place: str) -> None:
    folder = write_folder(tmp_path / place, make_batches())
    assert load_dataset("cifar-10", data_dir=tmp_path).source == str(folder)


def test_verify_compares_checksums_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = make_batches()
    archive = write_archive(tmp_path / "b", name_members(batches))
    folder = write_folder(tmp_path / "a" / FOLDER, batches)
    with pytest.raises(DatasetError, match=rf"{ARCHIVE}: not the published file: md5 .*, expected c32a1d4ab5d03f12"):
        verify_dataset("cifar-10", data_dir=archive.parent)
    with pytest.raises(DatasetError, match=r"data_batch_1.bin: not the published file: sha256 .*, expected cee91656"):
        verify_dataset("cifar-10", data_dir=folder.parent)
    published = publish_cifar(monkeypatch, archive.read_bytes())
    for path in (archive, folder):
        assert verify_dataset("cifar-10", data_dir=path.parent).source == str(path)
    assert find_dataset("cifar-10", data_dir=archive.parent).train == 50_000
    (folder / TEST_BATCH).write_bytes(bytes(RECORD))
    with pytest.raises(DatasetError, match=f"{TEST_BATCH}: not the published file"):
        verify_dataset("cifar-10", data_dir=folder.parent)
    assert published.size == archive.stat().st_size


def test_the_cache_is_searched_and_the_missing_archive_named(tmp_path: Path) -> None:
    line = load_line("cifar-10", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    for part in (f"has {FOLDER}/ or {ARCHIVE}, or run: advae data fetch cifar-10", str(tmp_path / "cache")):
        assert part in line
    archive = write_archive(tmp_path / "cache" / "cifar-10", name_members(make_batches()))
    assert load_dataset("cifar-10", cache_dir=tmp_path / "cache").source == str(archive)
    archive.write_bytes(b"half")
    assert load_line("cifar-10", cache_dir=tmp_path / "cache").endswith("to repair it, run: advae data fetch cifar-10")


@pytest.mark.parametrize(
    "name", ["cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz", "CIFAR10/cifar-10-batches-py/x"]
)
def test_the_pickled_version_is_named_and_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    line = load_line("cifar-10", data_dir=tmp_path)
    assert f"is pickled and never read: take the binary version, {ARCHIVE}" in line
    assert "advae data fetch cifar-10" in line


SHORT = make_batches()[TEST_BATCH][:-1]
FOLDER_DAMAGE: dict[str, tuple[bytes | None, str]] = {
    "gone": (None, f"no {TEST_BATCH}; it holds"),
    "empty": (b"", f"{TEST_BATCH}: 0 bytes, expected 1 to 10000 records of 3073 bytes"),
    "cut": (SHORT, f"{TEST_BATCH}: {len(SHORT)} bytes, expected"),
    "a label": (b"\x0a" + bytes(RECORD - 1), f"{TEST_BATCH} has label 10, expected 0 to 9"),
    "coarse and fine labels of CIFAR-100": (bytes(RECORD + 1), f"{TEST_BATCH}: 3074 bytes, expected"),
}


@pytest.mark.parametrize("case", FOLDER_DAMAGE)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_damaged_files(tmp_path: Path, case: str, packed: bool) -> None:
    content, expected = FOLDER_DAMAGE[case]
    batches = make_batches()
    del batches[TEST_BATCH]
    if content is not None:
        batches[TEST_BATCH] = content
    path = write_archive(tmp_path, name_members(batches)) if packed else write_folder(tmp_path / FOLDER, batches)
    line = load_line("cifar-10", data_dir=tmp_path)
    assert str(path) in line
    assert (expected.partition(";")[0] if packed else expected) in line


def resize_member(size: bytes) -> bytes:
    """Return an archive whose first header claims another size, in the tar format's binary or octal digits."""
    plain = bytearray(gzip.decompress(encode_tar(name_members(make_batches()))))
    plain[124:136] = size
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    return gzip.compress(plain, 1)


ARCHIVE_DAMAGE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Unexpected end|no data_batch_1"),
    "not packed": (gzip.decompress(encode_tar(name_members(make_batches()))), "Not a gzipped file"),
    "cut": (encode_tar(name_members(make_batches()))[:-900], "cannot be read"),
    "no tar": (gzip.compress(b"x" * 5000), "cannot be read: bad checksum|cannot be read: invalid header"),
    "an empty tar": (encode_tar({}), "no data_batch_1.bin, data_batch_2.bin"),
    "other names": (encode_tar({f"../{name}": x for name, x in name_members(make_batches()).items()}), "no data_batch"),
    "links": (encode_tar(dict.fromkeys(name_members(make_batches()), b""), b"2"), "no data_batch_1.bin"),
    "8 EiB": (resize_member(b"\x80" + bytes(3) + b"\x7f" + bytes(7)), "claim more than"),
    "negative": (resize_member(b"\xff" * 11 + b"\x00"), "claim more than"),
    "a record too many": (resize_member(b"%011o\0" % (10_001 * RECORD)), "bytes, expected 1 to 10000 records"),
    "claims more than there is": (resize_member(b"%011o\0" % (10_000 * RECORD)), "claims 30730000 bytes, got"),
    "a bomb": (encode_tar({"bomb": bytes(200 << 20)}), "claim more than"),
}


@pytest.mark.parametrize("case", ARCHIVE_DAMAGE)
def test_damaged_archives(tmp_path: Path, case: str) -> None:
    content, expected = ARCHIVE_DAMAGE[case]
    (tmp_path / ARCHIVE).write_bytes(content)
    tracemalloc.start()
    try:
        line = load_line("cifar-10", data_dir=tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert any(part in line for part in expected.split("|")), line
    assert find_dataset("cifar-10", data_dir=tmp_path).origin == "data-dir"


@FUZZ
@given(MUTATIONS)
def test_random_archives(tmp_path: Path, mutations: list[tuple[int, bytes]]) -> None:
    plain = gzip.decompress(encode_tar(name_members(make_batches(1))))
    (tmp_path / ARCHIVE).write_bytes(gzip.compress(mutate(plain, mutations), 1))
    load_or_refuse(lambda: load_dataset("cifar-10", data_dir=tmp_path))


def test_no_digest_of_the_arrays_is_claimed() -> None:
    row = DATASETS["cifar-10"]
    assert row.digest is None
    assert row.archive
    assert row.archive.checksums["md5"] == "c32a1d4ab5d03f1284b67883e8d87530"
