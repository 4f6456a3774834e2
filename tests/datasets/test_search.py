"""Where files are looked for, and what is said where there are none."""

from __future__ import annotations

import os
from pathlib import Path

from advae.datasets import DATASETS, find_dataset, load_dataset

from .samples import (
    SIDE,
    TEST,
    TEST_LABELS,
    TRAIN,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    load_line,
    make_idx_files,
    make_own,
    save_npz,
    write_folder,
)


def test_data_dir_that_is_wrong_is_not_passed_over(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    write_folder(cache / "mnist", make_idx_files())
    broken = write_folder(tmp_path / "half" / "mnist", make_idx_files())
    (broken / TEST_LABELS).unlink()
    (tmp_path / "file").touch()
    for data_dir, expected in {"no": "does not exist", "file": "is not a folder", "half": f"no {TEST_LABELS}"}.items():
        assert expected in load_line("mnist", data_dir=tmp_path / data_dir, cache_dir=cache)
        assert expected in str(find_dataset("mnist", data_dir=tmp_path / data_dir, cache_dir=cache).problem)


def test_data_dir_goes_before_the_cache(tmp_path: Path) -> None:
    mine, cache = write_folder(tmp_path / "mine" / "mnist", make_idx_files()), tmp_path / "cache"
    cached = write_folder(cache / "mnist", make_idx_files(), packed=True)
    (tmp_path / "other").mkdir()
    for data_dir, folder, origin in (("mine", mine, "data-dir"), ("other", cached, "cache")):
        options = {"data_dir": tmp_path / data_dir, "cache_dir": cache}
        assert load_dataset("mnist", **options).source == str(folder)
        found = find_dataset("mnist", **options)
        assert (found.origin, found.path, found.train, found.test) == (origin, str(folder), TRAIN, TEST)
        assert found.problem is None


def test_missing_dataset_says_where_and_what_to_do(tmp_path: Path) -> None:
    data_dir, cache = tmp_path, tmp_path / "cache"
    line = load_line("fashion-mnist", data_dir=data_dir, cache_dir=cache)
    for part in (str(data_dir / "fashion_mnist"), str(cache / "fashion_mnist"), os.environ["KERAS_HOME"]):
        assert part in line
    for part in ("--data-dir", "ADVAE_DATA_DIR", "advae data fetch fashion-mnist"):
        assert part in line
    assert find_dataset("fashion-mnist", data_dir=data_dir, cache_dir=cache).problem == line


def test_half_fetched_cache_is_missing_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    files = make_idx_files()
    write_folder(tmp_path / "mnist", {TRAIN_IMAGES: files[TRAIN_IMAGES]})
    assert "mnist (incomplete)" in load_line("mnist", cache_dir=tmp_path)
    write_folder(tmp_path / "mnist", {**files, TEST_LABELS: b""})
    line = load_line("mnist", cache_dir=tmp_path)
    assert "the header has 0 bytes" in line
    assert "advae data fetch mnist" in line


def test_keras_copy_that_is_not_the_published_one_is_left_aside() -> None:
    keras = Path(os.environ["KERAS_HOME"]) / "datasets"
    keras.mkdir(parents=True)
    save_npz(keras / "mnist.npz", make_own(SIDE))
    write_folder(keras / "fashion-mnist", {TRAIN_IMAGES: b"half"})
    line = load_line("mnist")
    assert line.startswith("mnist not found")
    assert "left aside" in line
    assert DATASETS["mnist"].digest in line
    assert f"left aside: {keras / 'fashion-mnist'}: no {TRAIN_LABELS}" in load_line("fashion-mnist")
