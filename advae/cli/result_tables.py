"""The tables of results of one classifier, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from advae.errors import printable
from advae.records import ClassifierRecipe, Norm
from advae.records.pipeline_names import name_retraining
from advae.report.formats.fitted_table import FittedTable

WORDS = ("method", "threat", "norm")
"""Columns of words; those of numbers are aligned to the right."""


def start_table(classifier: ClassifierRecipe, clean: str, columns: Sequence[str], more: str = "") -> FittedTable:
    """Return a table without rows, titled with the pipeline and its clean accuracy. more: of the pipeline."""
    title = f"{name_stored(classifier)}{more}, {printable(classifier.dataset.title)}\n{clean}"
    return FittedTable(title, columns, WORDS)


def name_stored(classifier: ClassifierRecipe) -> str:
    """Return a pipeline in words: the classifier, its retraining, and the id of its purifier."""
    retrained = name_retraining(classifier)
    bare = "without purifier" if retrained else "undefended"
    place = "behind" if classifier.code is None else "on the code of"
    behind = f"{place} {classifier.autoencoder}" if classifier.autoencoder else bare
    return f"{classifier.model} {f'{retrained}, {behind}' if retrained else behind}"


def write_rate(share: float, interval: tuple[float, float]) -> str:
    """Return a share with its 95 % interval, ``97.30% [96.93, 97.61]``."""
    low, high = interval
    return f"{share:.2%} [{100 * low:.2f}, {100 * high:.2f}]"


def write_clean(size: object, share: float, interval: tuple[float, float]) -> str:
    """Return how many images there were, and the clean accuracy on them."""
    return f"n = {size}, clean accuracy {write_rate(share, interval)}"


def write_eps(eps: float, norm: Norm) -> str:
    """Return eps, of linf in grey levels too, ``0.1 (25.5/255)``."""
    return f"{eps:.4g}" + (f" ({eps * 255:.4g}/255)" if norm == "linf" else "")


def write_method(method: str, norm: str) -> str:
    """Return how tables name an attack: with its norm unless that is L-infinity."""
    return method if norm == "linf" else f"{method} {norm}"
