"""scikit-learn's models by their scores alone, inside the process that opened them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from advae.backend import hide_libraries
from advae.errors import CorruptError, UsageError
from advae.models.added.detect import INSTALL_MODELS
from advae.models.added.score_process import OpenedModel, ScoredModel
from advae.models.added.sklearn_types import KNOWN_TYPES
from advae.models.added.skops_reader import check_skops

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray

LEAST_PROBABILITY = 1e-10
"""Probabilities are raised to it before their logarithm is taken."""

UNUSED_BY_SCORES = ("dask", "pandas")
"""Libraries that scikit-learn imports if they are there, for data that is no array: a third of its start."""

LABEL_LEAD = 1e-5
"""By how much a label's score is lifted above the largest one, relative to its size and at least absolutely."""


def open_sklearn(content: bytes, options: dict[str, Any]) -> OpenedModel:
    """Return a checked model that answers with scores whose largest one is the model's own label.

    The scores are the logarithms of ``predict_proba``, else ``decision_function``, one against the rest. Where the
    largest score is not the label that ``predict`` gives, as an SVC votes, the score of that label is lifted to just
    above the largest, so that each later number is about the model's own labels. options: ``trusted``, types that
    the user trusts. Raises CorruptError, UsageError.
    """
    trusted = frozenset(options["trusted"])
    check_skops(content, sorted(trusted))
    try:
        with hide_libraries(UNUSED_BY_SCORES):
            from skops.io import get_untrusted_types, loads
    except ImportError as error:
        raise UsageError(f"a model of scikit-learn that gives scores needs skops ({error}): {INSTALL_MODELS}") from None
    untrusted = get_untrusted_types(data=content)
    strange = [name for name in untrusted if name not in trusted and name not in KNOWN_TYPES]
    if strange:
        raise CorruptError(f"it holds types that skops does not trust: {', '.join(strange)[:200]}")
    model = loads(content, trusted=untrusted)
    saved_by = _prepare(model)
    classes, takes = _describe(model)
    here = version("scikit-learn")
    note = [f"scikit-learn {saved_by[:20]} saved it, {here} reads it"] if saved_by not in ("", here) else []
    labels = classes.tolist()

    def ask(x: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        return _lift_labels(*_score(model, x, classes))

    return OpenedModel(ScoredModel(takes, len(labels), labels, tuple(note)), ask)


def _describe(model: Any) -> tuple[NDArray[Any], int]:
    """Return the classes of a model and the number of pixels that it takes. Raises UsageError."""
    import numpy as np

    if not (hasattr(model, "predict_proba") or hasattr(model, "decision_function")) or not hasattr(model, "predict"):
        raise UsageError(
            f"{type(model).__name__} is no classifier with scores; expected predict and predict_proba or "
            "decision_function"
        )
    classes, takes = np.asarray(model.classes_), model.n_features_in_
    if classes.ndim != 1 or len(classes) < 2 or not all(isinstance(one, str | int | float) for one in classes.tolist()):
        raise UsageError("the model has several labels for one image, or fewer than two classes")
    return classes, int(takes)


def _score(model: Any, x: FloatArray, classes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return scores (n, classes), and the positions of the labels that the model predicts, int64 (n,)."""
    import numpy as np

    # The models of most users were fitted on float64, and some look at the type.
    images = x.astype(np.float64)
    if hasattr(model, "predict_proba"):
        found = np.log(np.clip(np.asarray(model.predict_proba(images)), LEAST_PROBABILITY, None))
    else:
        found = np.asarray(model.decision_function(images))
        if found.ndim == 1:
            found = np.stack([np.zeros_like(found), found], axis=1)
    if found.shape != (len(x), len(classes)):
        raise UsageError(f"the model gives scores of shape {found.shape} for {len(classes)} classes")
    matches = np.asarray(model.predict(images))[:, None] == classes
    if not (matches.sum(axis=1) == 1).all():
        raise CorruptError("the model predicts labels that are not among its classes")
    return found, matches.argmax(axis=1)


def _lift_labels(scores: NDArray[Any], labels: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return scores, float32, whose largest one is the label's, and where it was another one's before, bool (n,)."""
    import numpy as np

    # Rounding makes equal what was not, so more scores are lifted than disagree.
    rounded = scores.astype(np.float32)
    rows = np.flatnonzero(rounded.argmax(axis=1) != labels)
    largest = rounded[rows].max(axis=1)
    rounded[rows, labels[rows]] = largest + LABEL_LEAD * np.maximum(1.0, np.abs(largest))
    return rounded, scores.argmax(axis=1) != labels


def _prepare(model: Any) -> str:
    """Let a model compute in one thread and in the usual form; return the version of scikit-learn that saved it.

    Raises CorruptError where an attribute hides a method.
    """
    from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier
    from sklearn.svm import SVC

    for part in _walk(model):
        # A number type in the place of a method would leave out the check that the method makes.
        hidden = [name for name in vars(part) if callable(getattr(type(part), name, None))]
        if hidden:
            raise CorruptError(f"it replaces the method {hidden[0][:80]!r} of {type(part).__name__}")
        if "n_jobs" in vars(part):
            part.n_jobs = None
        if isinstance(part, SVC):
            part.decision_function_shape = "ovr"
        if isinstance(part, KNeighborsClassifier) and getattr(part, "_tree", None) is not None:
            # Compiled code reads the indices of a tree unchecked, so the stored one is never asked.
            make = {"kd_tree": KDTree, "ball_tree": BallTree}[part._fit_method]
            part._tree = make(
                part._fit_X, part.leaf_size, metric=part.effective_metric_, **part.effective_metric_params_
            )
    return str(getattr(model, "_sklearn_version", ""))


def _walk(model: Any) -> Iterator[Any]:
    """Yield a model and all objects with attributes inside it, each once."""
    import numpy as np

    seen, left = set[int](), [model]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, np.ndarray):
            left += one.ravel().tolist() if one.dtype.hasobject else []
        elif hasattr(one, "__dict__") and not isinstance(one, type):
            yield one
            left += vars(one).values()
