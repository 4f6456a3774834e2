"""One's own images: what is read, what is refused and in which words."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advae.datasets.load import load_dataset, verify_dataset
from advae.datasets.npz import NPZ_KEYS
from advae.datasets.search import find_dataset
from advae.records import ImageShape
from tests.entries import BAD_NPY, MANY, Canary, hide_directory

from .samples import (
    FUZZ,
    MUTATIONS,
    SIDE,
    TEST,
    TRAIN,
    Arrays,
    load_line,
    load_or_refuse,
    make_images,
    make_labels,
    make_own,
    mutate,
    patch,
    save_npz,
)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_own_images(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "shapes.npz"
    save(path, **make_own())
    data = load_dataset(str(path))
    assert (data.x_train.shape, data.x_train.dtype, data.y_test.dtype) == ((TRAIN, 25), np.float32, np.int64)
    assert (data.ref.name, data.ref.side, data.ref.classes) == ("shapes.npz", 5, tuple("0123456789"))
    assert data.source == str(path)
    assert np.array_equal(data.x_train, make_images(TRAIN, 5).reshape(TRAIN, -1).astype(np.float32) / np.float32(255))
    found = find_dataset(str(path))
    assert (found.origin, found.path, found.train, found.test) == ("file", str(path), TRAIN, TEST)
    assert verify_dataset(str(path)) == (str(path), data.ref.digest, None)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "longdouble"])
def test_own_images_in_floats(tmp_path: Path, dtype: str) -> None:
    arrays = make_own()
    x = (arrays["x_train"] / 255).astype(dtype)
    path = save_npz(tmp_path / "a.npz", {**arrays, "x_train": np.asfortranarray(x), "y_train": make_labels(TRAIN) * 1})
    data = load_dataset(str(path))
    assert np.array_equal(data.x_train, x.reshape(TRAIN, -1).astype(np.float32))
    # What is longer than eight bytes has another form on another machine.
    plain = np.ascontiguousarray(x, dtype=x.dtype if x.dtype.itemsize <= 8 else "<f8")
    assert data.ref.digest == load_dataset(str(save_npz(path, {**arrays, "x_train": plain}))).ref.digest


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(1 + 2.3e-16, "f8", 1), (1.0000001, "f4", 1), (-1e-9, "f8", 0), (-5e-7, "f4", 0), (1 + 1e-6, "longdouble", 1)],
)
def test_a_rounding_error_outside_the_range_is_clipped(
    tmp_path: Path, value: float, dtype: str, expected: float
) -> None:
    x = np.full((TRAIN, 5, 5), 0.5, dtype)
    x[2, 1, 0] = value
    data = load_dataset(str(save_npz(tmp_path / "a.npz", {**make_own(), "x_train": x})))
    assert data.x_train[2, 5] == expected
    assert np.delete(data.x_train.ravel(), 2 * 25 + 5).tolist() == [0.5] * (TRAIN * 25 - 1)


def test_trailing_channel_is_dropped(tmp_path: Path) -> None:
    arrays = make_own()
    flat = load_dataset(str(save_npz(tmp_path / "a.npz", arrays)))
    channel = {**arrays, "x_train": arrays["x_train"][..., None], "x_test": arrays["x_test"][..., None]}
    deep = load_dataset(str(save_npz(tmp_path / "b.npz", channel)))
    assert flat.ref.digest == deep.ref.digest


@pytest.mark.parametrize("shape", [(5, 4), (4, 5, 3), (5, 5, 3)], ids=str)
def test_oblong_and_colour_images_are_flattened_row_by_row(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (TRAIN + TEST, *shape), np.uint8)
    arrays = {**make_own(), "x_train": images[:TRAIN], "x_test": images[TRAIN:]}
    data = load_dataset(str(save_npz(tmp_path / "a.npz", arrays)))
    assert data.ref.shape == ImageShape(*(*shape, 1)[:3])
    assert data.ref.side is None
    assert np.array_equal(data.x_test, images[TRAIN:].reshape(TEST, -1).astype(np.float32) / np.float32(255))
    turned = {key: array.swapaxes(1, 2) if array.ndim > 1 else array for key, array in arrays.items()}
    assert load_dataset(str(save_npz(tmp_path / "b.npz", turned))).ref.digest != data.ref.digest


def unit(n: int, value: float) -> np.ndarray[Any, Any]:
    images = np.zeros((n, 5, 5), np.float32)
    images[-1, -1, -1] = value
    return images


NPZ_DAMAGE: dict[str, tuple[Arrays, str]] = {
    "flat": (
        {"x_train": np.zeros((TRAIN, 25), np.uint8)},
        "x_train has shape 20 x 25, expected n x height x width, or n x height x width x 3; reshape each row",
    ),
    "channels first": (
        {"x_train": np.zeros((TRAIN, 3, 5, 5), np.uint8)},
        "expected n x height x width, or n x height x width x 3; move the channels last",
    ),
    "colour for one": (
        {"x_train": np.zeros((TRAIN, 5, 5, 3), np.uint8)},
        "are 5 x 5 x 3 and 5 x 5 pixels, expected the same",
    ),
    "grey channels first": (
        {"x_train": np.zeros((TRAIN, 1, 5, 5), np.uint8)},
        "x_train has shape 20 x 1 x 5 x 5, expected n x height x width, or n x height x width x 3; move the",
    ),
    "transparency": (
        {"x_train": np.zeros((TRAIN, 5, 5, 4), np.uint8)},
        "; leave out the fourth channel, which is transparency",
    ),
    "grey and transparency": ({"x_train": np.zeros((TRAIN, 5, 5, 2), np.uint8)}, "; leave out the second channel"),
    "volumes": ({"x_train": np.zeros((TRAIN, 5, 5, 5), np.uint8)}, "; volumes (3-D sets) are not images"),
    "wide": (
        {"x_train": np.zeros((TRAIN, 1, 5000), np.uint8)},
        "x_train holds images of 1 x 5000 pixels, expected at most 4096 x 4096",
    ),
    "large": (
        {key: np.zeros((1, 5000, 5000), "u1") for key in ("x_train", "x_test")},
        "x_train holds images of 5000 x 5000 pixels, expected at most 4096 x 4096",
    ),
    "sides": ({"x_test": np.zeros((TEST, 6, 6), np.uint8)}, "5 x 5 and 6 x 6 pixels, expected the same"),
    "no image": ({"x_train": np.zeros((0, 5, 5), np.uint8)}, "x_train is empty: its shape is 0 x 5 x 5"),
    "no pixel": ({"x_train": np.zeros((TRAIN, 0, 0), np.uint8)}, "x_train is empty"),
    "scalar": ({"x_train": np.uint8(3)}, "x_train has shape none, expected"),
    "int images": (
        {"x_train": np.zeros((TRAIN, 5, 5), np.int16)},
        "x_train holds int16 values, expected uint8, or float in [0, 1]; store levels from 0 to 255 as",
    ),
    "bool images": (
        {"x_train": np.zeros((TRAIN, 5, 5), bool)},
        "x_train holds bool values, expected uint8, or float in [0, 1]; store them as float32",
    ),
    "complex": ({"x_train": np.zeros((TRAIN, 5, 5), complex)}, "x_train: it holds complex128 values, expected numbers"),
    "0 to 255": (
        {"x_train": unit(TRAIN, 255)},
        "x_train ranges from 0 to 255, expected float in [0, 1]; divide by 255",
    ),
    "-1 to 1": ({"x_train": 2 * unit(TRAIN, 1) - 1}, "ranges from -1 to 1, expected float in [0, 1]; add 1 and divide"),
    "standardized": ({"x_train": unit(TRAIN, 3) - 2}, "ranges from -2 to 1, expected float in [0, 1]; undo the stand"),
    "negative": ({"x_test": unit(TEST, -2e-6)}, "x_test ranges from -2e-06 to 0"),
    "beyond rounding": ({"x_test": unit(TEST, 1.000002)}, "x_test ranges from 0 to 1.00000203, expected float in"),
    "nan": (
        {"x_train": unit(TRAIN, np.nan)},
        "x_train has NaN in image 19, expected float in [0, 1]; repair the image or leave it out",
    ),
    "inf": ({"x_train": unit(TRAIN, np.inf)}, "x_train has infinity in image 19"),
    "too few labels": ({"y_train": make_labels(19)}, "y_train: 19 labels for 20 images"),
    "float labels": (
        {"y_test": np.zeros(TEST)},
        "y_test holds 10 float64 values, expected n integers; store the numbers",
    ),
    "one-hot": (
        {"y_test": np.eye(10, dtype=np.int64)},
        "y_test holds 10 x 10 int64 values, expected n integers; of one-hot labels store argmax",
    ),
    "label -1": ({"y_test": make_labels(TEST).astype(np.int8) - 1}, "y_test has label -1, expected 0 or more"),
    "from 1": (
        {"y_train": make_labels(TRAIN) + 1},
        "no example of label 0, expected each of 0 to 10; labels begin at 0: subtract 1 from all",
    ),
    "only in test": ({"y_test": make_labels(TEST) + 1}, "no example of label 10, expected each of 0 to 10"),
    "huge label": (
        {"y_test": np.full(TEST, 2**64 - 1, np.uint64)},
        "no example of label 10, expected each of 0 to 18446744073709551615",
    ),
    "one class": (
        {"y_train": np.zeros(TRAIN, np.uint8), "y_test": np.zeros(TEST, np.uint8)},
        "all labels are 0, expected at least 2 classes",
    ),
    "many classes": (
        {
            "x_train": np.zeros((65_537, 1, 1), np.uint8),
            "y_train": np.arange(65_537),
            "x_test": np.zeros((TEST, 1, 1), np.uint8),
        },
        "65537 classes, expected at most 65536",
    ),
    "strings": ({"y_train": np.full(TRAIN, "cat")}, "y_train: it holds <U3 values, expected numbers"),
    "structured": ({"y_train": np.zeros(TRAIN, [("a", "u1")])}, "y_train: it holds"),
}


@pytest.mark.parametrize("case", NPZ_DAMAGE)
def test_npz_rule(tmp_path: Path, case: str) -> None:
    changed, expected = NPZ_DAMAGE[case]
    path = save_npz(tmp_path / "own.npz", {**make_own(), **changed})
    line = load_line(path)
    assert expected in line
    assert str(path) in line


def make_medmnist(shape: tuple[int, ...] = (5, 5), labels: int = 1) -> Arrays:
    """Return arrays under MedMNIST's names: 12 + 8 + 10 images."""
    arrays, rng = {}, np.random.default_rng(0)
    for part, n in (("train", 12), ("val", 8), ("test", 10)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, *shape), np.uint8)
        arrays[f"{part}_labels"] = np.tile(np.arange(n)[:, None] % 4, labels).astype(np.uint8)
    return arrays


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 3)], ids=str)
def test_medmnist_is_read_as_it_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = make_medmnist(shape)
    data = load_dataset(str(path := save_npz(tmp_path / "bloodmnist.npz", arrays)))
    assert (data.ref.shape, data.ref.classes) == (ImageShape(*(*shape, 1)[:3]), ("0", "1", "2", "3"))
    joined = np.concatenate([arrays["train_images"], arrays["val_images"]])
    assert np.array_equal(data.x_train, joined.reshape(20, -1) / np.float32(255))
    assert data.y_train.tolist() == [i % 4 for n in (12, 8) for i in range(n)]
    assert data.y_test.tolist() == arrays["test_labels"].ravel().tolist()
    found = find_dataset(str(path))
    assert (found.train, found.test) == (20, 10)
    plain = {"x_train": joined, "y_train": data.y_train, "x_test": arrays["test_images"], "y_test": data.y_test}
    assert load_dataset(str(save_npz(path, plain))).ref.digest == data.ref.digest


MEDMNIST_DAMAGE: dict[str, tuple[Arrays, str]] = {
    "multi-label": (
        make_medmnist(labels=14),
        "train_labels holds 12 x 14 uint8 values, expected n integers; of one-hot",
    ),
    "3-D": (make_medmnist((5, 5, 5)), "train_images has shape 12 x 5 x 5 x 5, expected n x height x width, or"),
    "sides": ({"val_images": np.zeros((8, 6, 6), "u1")}, "train_images and val_images are 5 x 5 and 6 x 6 pixels"),
    "types": (
        {"val_images": np.zeros((8, 5, 5))},
        "train_images and val_images hold uint8 and float64, expected the same",
    ),
    "counts": ({"val_labels": np.zeros((7, 1), "u1")}, "val_labels: 7 labels for 8 images"),
    "classes": ({"test_labels": np.full((10, 1), 4, "u1")}, "train_labels has no example of label 4"),
    "float": ({"val_labels": np.zeros((8, 1))}, "val_labels holds 8 x 1 float64 values, expected n integers"),
}


@pytest.mark.parametrize("case", MEDMNIST_DAMAGE)
def test_what_is_wrong_with_medmnist_is_named(tmp_path: Path, case: str) -> None:
    changed, expected = MEDMNIST_DAMAGE[case]
    assert expected in load_line(save_npz(tmp_path / "a.npz", make_medmnist() | changed))


def test_medmnist_without_a_part_is_refused(tmp_path: Path) -> None:
    arrays = make_medmnist()
    del arrays["val_labels"]
    assert "no val_labels; expected train_images, train_labels" in load_line(save_npz(tmp_path / "a.npz", arrays))


def test_labels_may_be_a_column(tmp_path: Path) -> None:
    arrays = make_own()
    column = {**arrays, "y_train": arrays["y_train"][:, None], "y_test": arrays["y_test"][:, None]}
    one, other = (load_dataset(str(save_npz(tmp_path / "a.npz", each))) for each in (arrays, column))
    assert one.ref == other.ref


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "canary")
    objects = np.empty(TRAIN, object)
    objects[:] = [canary] * TRAIN
    path = save_npz(tmp_path / "own.npz", {**make_own(), "y_train": objects})
    assert "y_train: it holds object values, expected numbers" in load_line(path)
    assert find_dataset(str(save_npz(tmp_path / "b.npz", {**make_own(), "x_train": objects}))).problem
    assert not canary.sings()


def write_members(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for key, data in members.items():
            archive.writestr(f"{key}.npy", data)
    return path


def encode_npy(shape: tuple[int, ...], payload: bytes, descr: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue() + payload


def make_members() -> dict[str, bytes]:
    return {key: encode_npy(array.shape, array.tobytes()) for key, array in make_own().items()}


NPY_DAMAGE: dict[str, tuple[bytes, str]] = {
    "claims a lot": (
        encode_npy((1 << 40, 28, 28), bytes(99)),
        "x_train: it claims 1099511627776 x 28 x 28 uint8",
    ),
    "overflows": (encode_npy((1 << 62, 4, 1), b""), "x_train: it claims"),
    "negative": (encode_npy((-20, -5, 5), bytes(500)), "x_train: it claims -20 x -5 x 5"),
    "cut": (encode_npy((TRAIN, 5, 5), bytes(499)), "got 499 bytes for them"),
    "trailing": (encode_npy((TRAIN, 5, 5), bytes(501)), "got 501 bytes for them"),
    "no header": (b"", "x_train: EOF"),
    "no magic": (bytes(200), "x_train: the magic string is not correct"),
    "nested": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9_000) + b"-" * 8_999 + b"1", "cannot be read"),
    "version 9": (
        encode_npy((TRAIN, 5, 5), bytes(500)).replace(b"NUMPY\x01", b"NUMPY\x09"),
        "x_train: its header claims",
    ),
}


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.parametrize("case", NPY_DAMAGE)
def test_damaged_member(tmp_path: Path, case: str) -> None:
    member, expected = NPY_DAMAGE[case]
    path = write_members(tmp_path / "own.npz", {**make_members(), "x_train": member})
    assert expected in load_line(path)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.parametrize("member", BAD_NPY.values(), ids=list(BAD_NPY))
def test_any_bad_member_is_refused_in_one_line(tmp_path: Path, member: bytes) -> None:
    path = write_members(tmp_path / "own.npz", {**make_members(), "y_test": member})
    assert str(path) in load_line(path)


def test_npz_that_is_no_archive(tmp_path: Path) -> None:
    own = save_npz(tmp_path / "own.npz", make_own()).read_bytes()
    path = tmp_path / "damaged.npz"
    for data in (b"", b"text", own[: len(own) // 2], own[:-30]):
        path.write_bytes(data)
        assert "cannot be read: it is not an archive that numpy.savez writes" in load_line(path)
    path.write_bytes(patch(own, own.index(b"NUMPY") if b"NUMPY" in own else 200, b"\xff" * 40))
    assert str(path) in load_line(path)
    assert "No such file" in load_line(tmp_path / "none.npz")
    (tmp_path / "folder.npz").mkdir()
    assert "not a regular file" in load_line(tmp_path / "folder.npz")


def test_npz_payload_is_checked(tmp_path: Path) -> None:
    path = write_members(tmp_path / "own.npz", make_members(), zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(patch(data, data.index(b"NUMPY") + 200, b"\x01\x02\x03"))
    assert "Bad CRC-32" in load_line(path)


def test_npz_names_missing_keys(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "own.npz", {"x_train": np.zeros(3), "y_train": np.zeros(3)})
    assert "no x_test, y_test; expected x_train, y_train, x_test, y_test" in load_line(path)


def test_npz_packed_by_lzma_is_refused(tmp_path: Path) -> None:
    path = write_members(tmp_path / "own.npz", make_members(), zipfile.ZIP_LZMA)
    assert "expected stored or deflated" in load_line(path)


def test_what_is_refused_by_its_headers_takes_no_memory(tmp_path: Path) -> None:
    large = hide_directory(MANY)
    for name, content, expected in (
        ("directory", large, "its directory claims"),
        (
            "images",
            save_npz(tmp_path / "a.npz", make_own() | NPZ_DAMAGE["large"][0]).read_bytes(),
            "5000 x 5000 pixels",
        ),
        ("labels", save_npz(tmp_path / "b.npz", make_own() | {"y_test": np.zeros(1 << 22)}).read_bytes(), "n integers"),
    ):
        (tmp_path / f"{name}.npz").write_bytes(content)
        tracemalloc.start()
        try:
            assert expected in load_line(tmp_path / f"{name}.npz")
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    shape = (120_000, SIDE, SIDE)
    bomb = encode_npy(shape, bytes(np.prod(shape)))
    path = write_members(tmp_path / "own.npz", {**make_members(), "x_train": bomb})
    del bomb
    tracemalloc.start()
    try:
        assert "claim to unpack to" in load_line(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(
    data=st.one_of(st.binary(max_size=200), MUTATIONS),
    stored=st.booleans(),
    inside=st.sampled_from(["", *NPZ_KEYS]),
)
def test_random_npz(tmp_path: Path, data: bytes | list[tuple[int, bytes]], stored: bool, inside: str) -> None:
    members = make_members()
    if inside:
        members[inside] = (
            data if isinstance(data, bytes) else mutate(members[inside][:200], data) + members[inside][200:]
        )
    kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    path = write_members(tmp_path / "random.npz", members, kind)
    if not inside:
        path.write_bytes(data if isinstance(data, bytes) else mutate(path.read_bytes(), data))
    load_or_refuse(lambda: load_dataset(str(path)))
    assert find_dataset(str(path)).origin == "file"
