"""Where files are looked for, and what is said where there are none."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from advae.datasets.load import load_dataset
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS

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


def test_a_missing_dataset_error_names_places_and_what_to_do(tmp_path: Path) -> None:
    data_dir, cache = tmp_path, tmp_path / "cache"
    line = load_line("fashion-mnist", data_dir=data_dir, cache_dir=cache)
    for part in (str(data_dir / "fashion_mnist"), str(cache / "fashion_mnist"), os.environ["KERAS_HOME"]):
        assert part in line
    for part in ("--data-dir", "ADVAE_DATA_DIR", "advae data fetch fashion-mnist"):
        assert part in line
    assert find_dataset("fashion-mnist", data_dir=data_dir, cache_dir=cache).problem == line


def test_a_half_fetched_cache_is_missing_and_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    files = make_idx_files()
    write_folder(tmp_path / "mnist", {TRAIN_IMAGES: files[TRAIN_IMAGES]})
    assert "mnist (incomplete)" in load_line("mnist", cache_dir=tmp_path)
    write_folder(tmp_path / "mnist", {**files, TEST_LABELS: b""})
    line = load_line("mnist", cache_dir=tmp_path)
    assert "the header has 0 bytes" in line
    assert "advae data fetch mnist" in line


def test_a_copy_of_keras_that_is_not_the_published_one_is_not_used() -> None:
    keras = Path(os.environ["KERAS_HOME"]) / "datasets"
    keras.mkdir(parents=True)
    save_npz(keras / "mnist.npz", make_own(SIDE))
    write_folder(keras / "fashion-mnist", {TRAIN_IMAGES: b"half"})
    line = load_line("mnist")
    assert line.startswith("mnist not found")
    assert "not used" in line
    assert DATASETS["mnist"].digest in line
    assert f"not used: {keras / 'fashion-mnist'}: no {TRAIN_LABELS}" in load_line("fashion-mnist")


def rename(files: dict[str, bytes], pattern: str) -> dict[str, bytes]:
    """Return the files under names that the dots and hyphens of ``pattern`` have replaced, or in a folder each."""
    return {pattern.format(name=name, dotted=name.replace("-idx", ".idx")): data for name, data in files.items()}


LAYOUTS = {
    "ours": ("mnist", "{name}"),
    "dotted": ("mnist", "{dotted}"),
    "torchvision's": ("MNIST/raw", "{name}"),
    "torchvision's in a folder for it": ("mnist/MNIST/raw", "{name}"),
    "with a folder beside each file": ("mnist", "{dotted}"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_others_make_are_found(tmp_path: Path, layout: str, packed: bool) -> None:
    place, pattern = LAYOUTS[layout]
    folder = write_folder(tmp_path / place, rename(make_idx_files(), pattern), packed=packed)
    if "beside" in layout:
        (folder / TRAIN_IMAGES).mkdir()
    found = find_dataset("mnist", data_dir=tmp_path)
    assert (found.path, found.train, found.test, found.problem) == (str(folder), TRAIN, TEST, None)
    assert load_dataset("mnist", data_dir=tmp_path).source == str(folder)


def test_fashion_mnist_of_torchvision_is_no_mnist(tmp_path: Path) -> None:
    write_folder(tmp_path / "FashionMNIST" / "raw", make_idx_files())
    assert find_dataset("fashion-mnist", data_dir=tmp_path).train == TRAIN
    assert f"mnist ({tmp_path} holds FashionMNIST/)" in load_line("mnist", data_dir=tmp_path)


@pytest.mark.parametrize("inside", ["", "raw"])
def test_files_in_the_data_folder_itself_are_of_the_dataset_whose_labels_they_are(
    tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names are the same for both datasets."""
    files, row = make_idx_files(), DATASETS["mnist"]
    write_folder(tmp_path / inside, files, packed=True)
    assert "not found" in load_line("mnist", data_dir=tmp_path)
    sha256 = hashlib.sha256(files[TEST_LABELS]).hexdigest()
    published = (*row.files[:-1], dataclasses.replace(row.files[-1], sha256=sha256))
    monkeypatch.setitem(DATASETS, "mnist", dataclasses.replace(row, files=published))
    assert load_dataset("mnist", data_dir=tmp_path).source == str(tmp_path / inside)
    assert find_dataset("mnist", data_dir=tmp_path).path == str(tmp_path / inside)
    if not inside:
        line = load_line("fashion-mnist", data_dir=tmp_path)
        assert f"the IDX files in {tmp_path} are not fashion-mnist's" in line
    (tmp_path / "mnist").mkdir()
    assert load_dataset("mnist", data_dir=tmp_path).source == str(tmp_path / inside), "an empty folder hides nothing"


def test_what_is_there_instead_is_named(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    assert load_line("mnist", data_dir=tmp_path).endswith(f"no {TRAIN_IMAGES}, neither plain nor .gz; it holds nothing")
    for name in "fedcba":
        (tmp_path / "mnist" / f"{name}.png").touch()
    assert load_line("mnist", data_dir=tmp_path).endswith("it holds a.png, b.png, c.png, d.png and 2 more")
    assert f"({tmp_path} holds mnist/)" in load_line("fashion-mnist", data_dir=tmp_path)
