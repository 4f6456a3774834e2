"""The table DATASETS: the datasets that have a name, their published counts and digests, and their files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from advae.datasets.cifar import CifarArchive
from advae.datasets.decoded import Decoded
from advae.datasets.idx import IdxFile
from advae.datasets.photos import PHOTOS, blend_digits, read_photos
from advae.errors import UsageError, unknown
from advae.paths import to_path


@dataclass(frozen=True)
class DatasetRow:
    """A row of DATASETS: a bundled dataset has ``read_bundled``, one made from another ``make``, others files."""

    name: str
    """Name of the dataset, as ``--dataset`` takes it."""
    summary: str
    """One line on the dataset, for people."""
    classes: tuple[str, ...]
    """Names of the classes, by label."""
    shape: tuple[int, int, int]
    """Height, width and channels of an image."""
    counts: tuple[int, int]
    """Published number of training and test images."""
    digest: str | None
    """SHA-256 of the published arrays, decoded, hex; None where only checksums of its files are published."""
    read_bundled: Callable[[], Decoded] | None = None
    """Reads a dataset that an installed library contains; None for one that has files."""
    made_from: str = ""
    """Name of the dataset whose files it is made from; empty for one that is not made."""
    make: Callable[[Decoded], Decoded] | None = None
    """Makes it from the arrays of that dataset."""
    caution: str = ""
    """What can change its arrays while its files are right, for the error of another digest."""
    folder: str = ""
    """Name of its folder in the data folder and in the cache."""
    torchvision: str = ""
    """Name of the folder that torchvision makes."""
    files: tuple[IdxFile, ...] = ()
    """Training images and labels, test images and labels."""
    archive: CifarArchive | None = None
    """The archive of CIFAR-10; None for others."""
    mirrors: tuple[str, ...] = ()
    """Base URLs of ``<file>.gz``, or of the archive."""
    keras: str = ""
    """Name of its file or folder in Keras' cache."""


def _read_digits() -> Decoded:
    """Return scikit-learn's 8 x 8 digits, gray levels 0 to 16 mapped to [0, 1], split by a fixed seed."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    x, y = (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    return Decoded(x_train, y_train, x_test, y_test)


def _name_mnist_files(*sha256: str) -> tuple[IdxFile, ...]:
    """Return the four files that MNIST and its drop-in replacements share. sha256: one for each, in that order."""
    return (
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), sha256[0]),
        IdxFile("train-labels-idx1-ubyte", (60_000,), sha256[1]),
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), sha256[2]),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), sha256[3]),
    )


_DECODERS = "; its photographs are JPEG files, which another decoder may read differently"

_ROWS = (
    DatasetRow(
        name="digits",
        summary="8 x 8 handwritten digits, bundled with scikit-learn",
        classes=tuple("0123456789"),
        shape=(8, 8, 1),
        counts=(1_437, 360),
        digest="91f4c162168de633fae5ed22c94ec04e34b069875ae13f7c7e67a2e4359f1bb3",
        read_bundled=_read_digits,
    ),
    DatasetRow(
        name="mnist",
        summary="28 x 28 handwritten digits (LeCun, Cortes and Burges)",
        classes=tuple("0123456789"),
        shape=(28, 28, 1),
        counts=(60_000, 10_000),
        digest="c9c899568825c0192b158204e056115690ebe9e01a8a467321a8e34a416b7a26",
        folder="mnist",
        torchvision="MNIST",
        files=_name_mnist_files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        keras="mnist.npz",
    ),
    DatasetRow(
        name="fashion-mnist",
        summary="28 x 28 articles of clothing (Zalando)",
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        shape=(28, 28, 1),
        counts=(60_000, 10_000),
        digest="050f7be9e1fdbb830bcf90ae3e83424b0016c046a7122ee06248af6d72d5ccda",
        folder="fashion_mnist",
        torchvision="FashionMNIST",
        files=_name_mnist_files(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        keras="fashion-mnist",
    ),
    DatasetRow(
        name="photos",
        summary="16 x 16 colour patches of two photographs, bundled with scikit-learn",
        classes=PHOTOS,
        shape=(16, 16, 3),
        counts=(1_664, 416),
        digest="0c36ed1c4e4d02707217c837f4f280ec381e605dbf0b0e5cd53cdbf3722f5b18",
        read_bundled=read_photos,
        caution=_DECODERS,
    ),
    DatasetRow(
        name="photo-digits",
        summary="32 x 32 colour photographs with a digit of mnist over each, made from its files",
        classes=tuple("0123456789"),
        shape=(32, 32, 3),
        counts=(60_000, 10_000),
        digest="d4fb8e37cebb86f131e3f14d00f578f3af2daff283883e4b2eb6a71137c58fe2",
        made_from="mnist",
        make=blend_digits,
        caution=_DECODERS,
    ),
    DatasetRow(
        name="cifar-10",
        summary="32 x 32 colour photographs of animals and vehicles (Krizhevsky), in the binary version",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        shape=(32, 32, 3),
        counts=(50_000, 10_000),
        digest=None,
        folder="cifar-10",
        torchvision="CIFAR10",
        archive=CifarArchive(
            name="cifar-10-binary.tar.gz",
            folder="cifar-10-batches-bin",
            size=170_052_171,
            checksums={
                "md5": "c32a1d4ab5d03f1284b67883e8d87530",
                "sha256": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            },
            batches={
                "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            },
            pickled=("cifar-10-batches-py", "cifar-10-python.tar.gz"),
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
    ),
)

DATASETS: dict[str, DatasetRow] = {row.name: row for row in _ROWS}


def find_row(name: str) -> DatasetRow | None:
    """Return the row of a name, None for a path that ends in .npz, or a folder. Raises UsageError for anything else."""
    path = to_path(name)
    # The recorded place of a user's own images is absolute; the images may be gone.
    gone = path.is_absolute() and not os.path.lexists(path)
    if name not in DATASETS and not gone and not is_own(name, path):
        raise UsageError(unknown("dataset", name, DATASETS) + ", or a path that ends in .npz, or a folder")
    return DATASETS.get(name)


def is_npz(name: str) -> bool:
    """Return whether the name of a dataset is the path of an .npz, by its end."""
    return name.lower().endswith(".npz")


def is_own(name: str, path: Path) -> bool:
    """Return whether a name is of a user's own images, which are at ``path``: an .npz, or a folder without a row."""
    # Unlike pathlib's, this function returns False for a path that no file can have.
    return is_npz(name) or (name not in DATASETS and os.path.isdir(path))  # noqa: PTH112
