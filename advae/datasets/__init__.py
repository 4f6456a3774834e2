"""Readers of images: scikit-learn's, IDX files, CIFAR-10's archive, and a user's own .npz or folder.

Files are not trusted: sizes in a header are checked before memory is allocated, and nothing is unpickled.
Only ``fetch_dataset`` uses the network. To add a dataset, add one row to ``DATASETS`` in table.py.
"""
