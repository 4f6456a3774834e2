"""From a name to images in memory, and the digests that say which images they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from advae.datasets.idx import read_idx
from advae.datasets.load import load_dataset, verify_dataset
from advae.datasets.npz import NPZ_KEYS, read_npz
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS
from advae.errors import DatasetError

from .samples import SIDE, TEST, TRAIN, make_idx_files, make_images, make_labels, make_own, save_npz, write_folder


def test_digits_need_no_file() -> None:
    data = load_dataset("digits", data_dir=Path("/nowhere"))
    assert (data.x_train.shape, data.x_test.shape) == ((1437, 64), (360, 64))
    assert (data.x_train.dtype, data.y_train.dtype, data.source) == (np.float32, np.int64, None)
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert set(np.unique(data.x_train * 16)) == set(range(17))
    assert set(data.y_train) == set(data.y_test) == set(range(10))
    assert (data.ref.name, data.ref.side, data.ref.classes) == ("digits", 8, tuple("0123456789"))
    assert len({*map(bytes, data.x_train)} | {*map(bytes, data.x_test)}) == 1797, "an image is in both parts"
    assert verify_dataset("digits") == (None, data.ref.digest, None)
    found = find_dataset("digits")
    assert (found.origin, found.train, found.test) == ("bundled", 1437, 360)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "first", "last_class"), [("mnist", [5, 0, 4], "9"), ("fashion-mnist", [9, 0, 0], "Ankle boot")]
)
def test_real_data(real_dir: Path, name: str, first: list[int], last_class: str) -> None:
    data = load_dataset(name, data_dir=real_dir)
    assert (data.x_train.shape, data.x_test.shape) == ((60_000, 784), (10_000, 784))
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert data.y_train[:3].tolist() == first
    assert (data.ref.digest, data.ref.classes[9]) == (DATASETS[name].digest, last_class)
    assert data.source == str(real_dir.absolute() / DATASETS[name].folder)
    found = find_dataset(name, data_dir=real_dir)
    assert (found.origin, found.path, found.train, found.test) == ("data-dir", data.source, 60_000, 10_000)


@pytest.mark.real_data
def test_real_data_from_keras_cache(real_dir: Path) -> None:
    arrays = [read_idx(real_dir / "mnist" / f"{file.name}.gz", limit=file.shape) for file in DATASETS["mnist"].files]
    keras = Path(os.environ["KERAS_HOME"]) / "datasets"
    keras.mkdir(parents=True)
    np.savez(keras / "mnist.npz", **dict(zip(NPZ_KEYS, arrays, strict=True)))
    (keras / "fashion-mnist").symlink_to(real_dir / "fashion_mnist")
    assert verify_dataset("mnist").source == str(keras / "mnist.npz")
    assert find_dataset("mnist").origin == "keras"
    assert verify_dataset("fashion-mnist").source == str(keras / "fashion-mnist")


def test_plain_and_packed_files_are_one_dataset(tmp_path: Path) -> None:
    write_folder(tmp_path / "plain" / "mnist", make_idx_files())
    write_folder(tmp_path / "packed" / "mnist", make_idx_files(), packed=True)
    plain, packed = (load_dataset("mnist", data_dir=tmp_path / kind) for kind in ("plain", "packed"))
    assert plain.ref == packed.ref
    assert plain.source == str(tmp_path / "plain" / "mnist")
    assert np.array_equal(plain.x_test, make_images(TEST).reshape(TEST, -1).astype(np.float32) / np.float32(255))
    assert np.array_equal(plain.y_train, make_labels(TRAIN))
    assert plain.y_train.dtype == np.int64


def test_digest_depends_on_every_array_and_not_on_the_file_format(tmp_path: Path) -> None:
    write_folder(tmp_path / "mnist", make_idx_files())
    arrays = make_own(SIDE)
    digests = {
        load_dataset("mnist", data_dir=tmp_path).ref.digest,
        read_npz(save_npz(tmp_path / "a.npz", arrays)).digest,
    }
    assert len(digests) == 1
    for key in NPZ_KEYS:
        swapped = arrays[key].copy()
        swapped[[0, 1]] = swapped[[1, 0]]
        digests.add(read_npz(save_npz(tmp_path / "b.npz", {**arrays, key: swapped})).digest)
    assert len(digests) == 5


def test_verify_refuses_what_load_allows(tmp_path: Path) -> None:
    write_folder(tmp_path / "mnist", make_idx_files())
    digest = load_dataset("mnist", data_dir=tmp_path).ref.digest
    with pytest.raises(DatasetError, match=rf"not the published mnist: 20 \+ 10 images with digest {digest}, expected"):
        verify_dataset("mnist", data_dir=tmp_path)
