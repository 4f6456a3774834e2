"""Readers of images: scikit-learn's, IDX files, CIFAR-10's archive, and a user's own .npz or folder.

Files are not trusted: sizes in a header are checked before memory is allocated, and nothing is unpickled.
Only ``fetch_dataset`` uses the network. To add a dataset, add one row to ``DATASETS`` in table.py.
"""

from advae.datasets.cifar import CifarArchive
from advae.datasets.decoded import Decoded
from advae.datasets.fetch import Progress, fetch_dataset
from advae.datasets.idx import IdxFile, read_idx
from advae.datasets.load import Verified, load_dataset, verify_dataset
from advae.datasets.npz import NPZ_KEYS, read_npz
from advae.datasets.ranges import describe_dark, describe_trouble
from advae.datasets.search import FoundDataset, Origin, find_dataset
from advae.datasets.table import DATASETS, DatasetRow, is_own

__all__ = [
    "DATASETS",
    "NPZ_KEYS",
    "CifarArchive",
    "DatasetRow",
    "Decoded",
    "FoundDataset",
    "IdxFile",
    "Origin",
    "Progress",
    "Verified",
    "describe_dark",
    "describe_trouble",
    "fetch_dataset",
    "find_dataset",
    "is_own",
    "load_dataset",
    "read_idx",
    "read_npz",
    "verify_dataset",
]
