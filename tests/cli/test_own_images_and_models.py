"""The mistakes that people make with images and models of their own: each gets one line that names the mend."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.calls import call
from tests.datasets.pictures import draw, encode, make_files, write_files
from tests.datasets.samples import TEST, TRAIN, make_images, make_labels, make_own, save_npz

Make = Callable[[Path], Path]
"""Writes what is wrong into a folder; returns the path that the command line names."""


def change(**changes: object) -> Make:
    """Return what writes own images of 5 x 5 pixels with some arrays changed."""
    return lambda folder: save_npz(folder / "own.npz", {**make_own(), **changes})


def write_table(folder: Path) -> Path:
    (folder / "images.csv").write_text("1,2")
    return folder / "images.csv"


def put(name: str, content: bytes) -> Make:
    """Return what writes a folder of images of which one file has other content."""
    return lambda folder: write_files(folder / "pets", make_files(5, 5, 3) | {name: content})


def make_empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def drop_test(folder: Path) -> Path:
    files = {name: content for name, content in make_files().items() if name.startswith("train")}
    return write_files(folder / "pets", files)


def name_part(folder: Path) -> Path:
    return write_files(folder / "pets", make_files()) / "train"


def spoil(value: float) -> np.ndarray:
    images = (make_images(TRAIN, 5) / 255).astype(np.float32)
    images[7, 3, 3] = value
    return images


COLOUR = {"x_train": np.zeros((TRAIN, 3, 5, 5), np.uint8), "x_test": np.zeros((TEST, 3, 5, 5), np.uint8)}

IMAGES: dict[str, tuple[Make, int, str, str]] = {
    "rows instead of images": (
        change(x_train=np.zeros((TRAIN, 25), np.uint8)),
        6,
        "x_train has shape 20 x 25, expected n x height x width",
        "reshape each row to its height and width",
    ),
    "channels first": (change(**COLOUR), 6, "has shape 20 x 3 x 5 x 5", "move the channels last"),
    "transparency": (change(x_train=np.zeros((TRAIN, 5, 5, 4), np.uint8)), 6, "20 x 5 x 5 x 4", "leave out the fourth"),
    "0 to 255": (
        change(x_train=make_images(TRAIN, 5).astype(np.float32)),
        6,
        "x_train ranges from 0 to 255, expected float in [0, 1]",
        "divide by 255, or store them as uint8",
    ),
    "NaN": (change(x_train=spoil(np.nan)), 6, "x_train has NaN in image 7", "repair the image or leave it out"),
    "one-hot labels": (
        change(y_train=np.eye(10, dtype=int)[make_labels(TRAIN)]),
        6,
        "y_train holds 20 x 10 int64 values, expected n integers",
        "of one-hot labels store argmax(axis=1)",
    ),
    "labels from 1": (
        change(y_train=make_labels(TRAIN) + 1, y_test=make_labels(TEST) + 1),
        6,
        "y_train has no example of label 0",
        "labels begin at 0: subtract 1 from all",
    ),
    "a label too few": (change(y_train=make_labels(TRAIN - 1)), 6, "y_train: 19 labels for 20 images", ""),
    "labels as words": (change(y_train=np.full(TRAIN, "cat")), 6, "y_train: it holds <U3 values, expected numbers", ""),
    "no such file": (lambda folder: folder / "own.npz", 6, "own.npz: cannot be read: No such file", ""),
    "a table": (write_table, 2, "unknown dataset", "or a path that ends in .npz, or a folder"),
    "an empty folder": (
        make_empty,
        6,
        "no train/; it holds nothing",
        "expected DIR/train/CLASS/*.png and DIR/test/CLASS",
    ),
    "no test images": (drop_test, 6, "no test/; it holds train/", "expected DIR/train/CLASS/*.png and DIR/test/CLASS"),
    "one part of a folder": (name_part, 6, "no train/; it holds cat/, dog/", "expected DIR/train/CLASS/*.png"),
    "one broken image": (
        put("train/cat/b.png", encode(draw(1, 5, 5, 3))[:60]),
        6,
        "train/cat/b.png: cannot be read as an image: image file is truncated",
        "repair it or leave it out",
    ),
    "one image of another size": (
        put("train/cat/b.png", encode(draw(1, 9, 5, 3))),
        6,
        "train/cat/b.png: is 9 x 5 pixels, and",
        "make all images of one size, or pass --resize HEIGHT,WIDTH",
    ),
}
"""What writes them, the exit code, what is wrong, and the mend."""


@pytest.mark.parametrize("case", IMAGES)
def test_wrong_images_are_refused_in_one_line_that_names_the_mend(case: str, tmp_path: Path) -> None:
    make, code, wrong, mend = IMAGES[case]
    check_line(["train-clf", "--model", "lr", "--dataset", make(tmp_path)], code, wrong, mend)


def check_line(words: list[object], code: int, wrong: str, mend: str) -> None:
    outcome = call(*words)
    *_, line = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert line.startswith("advae: ")
    assert wrong in line
    assert mend in line
    assert "Traceback" not in outcome.err


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models that people try to add to 8 x 8 digits."""
    import joblib
    import keras
    import skops.io
    from sklearn.linear_model import LinearRegression, LogisticRegression

    folder = tmp_path_factory.mktemp("models")

    def save(name: str, *layers: keras.layers.Layer, side: int = 8) -> None:
        keras.utils.set_random_seed(0)
        keras.Sequential([keras.Input((side, side, 1)), keras.layers.Flatten(), *layers]).save(folder / name)

    dense, softmax = keras.layers.Dense, keras.layers.Softmax
    save("seven.keras", dense(7))
    save("ten.keras", dense(10))
    save("old.h5", dense(10))
    save("zeros.keras", dense(10, kernel_initializer="zeros"))
    save("large.keras", dense(10), side=28)
    save("probable.keras", dense(10), softmax(), keras.layers.Reshape((10,)))
    (folder / "model.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    joblib.dump({"weights": [1.0]}, folder / "model.joblib")
    with zipfile.ZipFile(folder / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weights": [1.0]}))
    x, y = np.random.default_rng(0).random((50, 64)), np.arange(50) % 10
    skops.io.dump(LinearRegression().fit(x, y), folder / "regression.skops")
    skops.io.dump(LogisticRegression(), folder / "unfitted.skops")
    (folder / "mine.py").write_text("import numpy as np\ndef flat(x): return np.zeros(len(x))\n")
    return folder


MODELS: dict[str, tuple[str, int, str, str]] = {
    "pickle": ("model.pkl", 4, "a pickle or joblib file, which executes code", "save the estimator with skops"),
    "joblib": ("model.joblib", 4, "a pickle or joblib file", 'skops.io.dump(estimator, "model.skops")'),
    "torch": ("model.pt", 4, "it is a PyTorch file, which is a pickle", "export it: torch.onnx.export("),
    "HDF5": ("old.h5", 4, "it is an HDF5 file (.h5), Keras' old format", 'model.save("model.keras")'),
    "no such file": ("nothing.keras", 2, "nothing.keras", ""),
    "another number of classes": (
        "seven.keras",
        2,
        "returns 7 outputs for an image, and the dataset has 10 classes",
        "give the dataset that it was trained on",
    ),
    "another size": (
        "large.keras",
        2,
        "takes 28 x 28 x 1 for an image, the dataset has images of 8 x 8 pixels",
        "give the images that it was trained on, or resize them with --resize",
    ),
    "softmax twice": (
        "probable.keras --outputs logits",
        2,
        "bad --outputs logits: the outputs for 500 images are in [0, 1], and of each image they sum to 1",
        "leave --outputs out",
    ),
    "logits as probabilities": (
        "ten.keras --outputs probabilities",
        2,
        "bad --outputs probabilities: the outputs for 500 images range from",
        "leave --outputs out",
    ),
    "a mean for colour": ("ten.keras --mean 0.1,0.2,0.3", 2, "bad --mean: 3 numbers, expected 1", ""),
    "types of scikit-learn": ("ten.keras --trust a.B", 2, "--trust is for .skops files", ""),
    "ways that are alike": (
        "zeros.keras",
        2,
        "ambiguous by its clean accuracy on training images: --input-range",
        "pass the one that it was trained with",
    ),
    "a regression": ("regression.skops", 2, "returns one number for an image", "a classifier returns one for each"),
    "not fitted": ("unfitted.skops", 4, "it has no _label_binarizer", "was it fitted before it was saved?"),
    "one number for an image": ("mine:flat", 2, "mine:flat returns shape (64,) for 64 images", "expected (n, classes)"),
}
"""What the command line says after ``add-clf``, the exit code, what is wrong, and the mend."""


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_does_not_fit_is_refused_in_one_line_that_names_the_mend(
    case: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, code, wrong, mend = MODELS[case]
    monkeypatch.chdir(files)
    monkeypatch.syspath_prepend(files)
    check_line(["add-clf", *line.split(), "--dataset", "digits"], code, wrong, mend)
