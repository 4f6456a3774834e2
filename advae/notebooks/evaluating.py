"""Robust accuracy of any model on any images, computed as ``advae attack`` computes it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.backend import start_tensorflow
from advae.errors import UsageError, unknown
from advae.notebooks.evaluation_result import EvaluatedRun, Evaluation
from advae.notebooks.image_arrays import read_images, read_labels
from advae.notebooks.loaded import LoadedPipeline
from advae.notebooks.stored_evaluations import count_stored_classes, evaluate_stored, refuse_unstored
from advae.run_options import NORMS, RUN_OPTIONS
from advae.threats import ALL

if TYPE_CHECKING:
    from pathlib import Path

    from advae.notebooks.homes import Home
    from advae.notebooks.image_arrays import GivenImages
    from advae.notebooks.subjects import Subject
    from advae.records import FloatArray, IntArray
    from advae.requests import AttackRequest


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    *,
    purifier: Any = None,
    methods: Sequence[str] | str = ("worst",),
    eps: Iterable[float] | float = (0.1,),
    threat: str = "adaptive",
    undefended: Any = None,
    surrogate: Any = None,
    home: Home | str | Path | None = None,
    **options: Any,
) -> Evaluation:
    """Return the robust accuracy of a model, with its confidence interval and its checks.

    model: what ``open_registry().load`` returns; a Keras model, whose final softmax is cut off; a fitted classifier or
    pipeline of scikit-learn (needs ``pip install "advae[models]"``), white-box where its steps are known; or a
    function float32 (n, h, w, c) in [0, 1] -> logits (n, classes). Of TensorFlow operations it is white-box; of NumPy
    it gives scores only, and square, worst and noise attack it. A model that takes other values is such a function,
    too: ``lambda x: model(255 * x)``.
    x: images, (n, h, w), (n, h, w, 1 or 3) or flat (n, d); float in [0, 1], or uint8 from 0 to 255.
    y: labels, integers (n,), from 0 to classes - 1.
    purifier: ``pipeline.purifier``, a fitted ``advae.Purifier``, a Keras model, or a function of images; None for none.
    methods, threat, options: as ``advae attack`` takes them: ``steps=20``, ``norm="l2"``, ``seed=1``, ``limit=100``.
    eps: radii of the ball around an image, in units of x.
    undefended: the model that ``threat="oblivious"`` differentiates; None for the model itself, without purifier.
    surrogate: the model that ``threat="transfer"`` differentiates.
    home: None stores nothing. A registry stores the runs, for a pipeline loaded from it and the first images of its
    test set only.

    Raises DatasetError for images or labels that do not fit, UsageError for a model or an option, BudgetError for eps.

    >>> import advae
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits().images / 16, load_digits().target
    >>> pipeline = advae.open_registry().load("best")
    >>> result = advae.evaluate(pipeline, x[:50], y[:50], methods=["fgsm"], eps=0.1)
    >>> 0 <= result.robust_accuracy <= result.clean_accuracy <= 1
    True
    """
    requests, told = _make_requests(methods, eps, threat, options), list[str]()
    start_tensorflow()
    images = read_images(x, model.shape if isinstance(model, LoadedPipeline) else None)
    with _explain_failure():
        if home is None:
            others = purifier, undefended, surrogate
            result = _evaluate_given(model, images, y, others, requests, told.append)
        else:
            labels = read_labels(y, images=len(images.x), classes=count_stored_classes(model))
            refuse_unstored(purifier=purifier, undefended=undefended)
            result = evaluate_stored(home, model, images, labels, requests, surrogate, told.append)
    for line in told:
        warnings.warn(line, stacklevel=2)
    return result


@contextmanager
def _explain_failure() -> Iterator[None]:
    """Raise UsageError where a user's function of NumPy arrays fails, which TensorFlow reports in twenty lines."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        if "PyFunc" not in str(error):
            raise
        line = re.sub(r"^(\s*\{\{.*?\}\})*\s*", "", str(error)).split("\n")[0]
        raise UsageError(f"the function fails on a batch of images: {line}") from error


def _evaluate_given(
    model: Any,
    images: GivenImages,
    y: Any,
    others: tuple[Any, Any, Any],
    requests: Sequence[AttackRequest],
    tell: Callable[[str], None],
) -> Evaluation:
    """Return the result for a model in memory. others: its purifier, the undefended model, and the surrogate."""
    from advae.notebooks.subjects import build_subject, count_classes_of, describe_images

    purifier, undefended, surrogate = others
    classes, classifier = count_classes_of(model, images)
    labels = read_labels(y, images=len(images.x), classes=classes)
    ref = describe_images(images, _digest(images.x, labels), classes)
    subject = build_subject(model, classifier, purifier, images, ref)

    def read_other(other: Any) -> Subject | None:
        if other is None:
            return None
        count, found = count_classes_of(other, images)
        if count != classes:
            raise UsageError(f"the model has {classes} classes, the other one that the attacker uses has {count}")
        return build_subject(other, found, None, images, ref)

    bare = read_other(_find_undefended(model, undefended, subject))
    return _evaluate_here(subject, (bare, read_other(surrogate)), images.x, labels, requests, tell)


def _digest(x: FloatArray, y: IntArray) -> str:
    from advae.metrics import digest_samples

    return digest_samples(x, y)


def _make_requests(
    methods: Sequence[str] | str, eps: Iterable[float] | float, threat: str, options: dict[str, Any]
) -> list[AttackRequest]:
    """Return a request for each method. Raises UsageError for an unknown option."""
    from advae.requests import AttackRequest

    for name in options:
        if name not in RUN_OPTIONS:
            raise UsageError(unknown("option", name, RUN_OPTIONS))
    if options.get("norm", "linf") not in NORMS:
        raise UsageError(unknown("norm", str(options["norm"]), NORMS))
    if threat == ALL:
        raise UsageError(f"threat {ALL!r} is of the command line; call evaluate once for each threat model")
    names = [methods] if isinstance(methods, str) else list(methods)
    if not names:
        raise UsageError('no method given; methods=["worst"] takes the standard ensemble')
    radii = tuple(map(float, eps)) if isinstance(eps, Iterable) else (float(eps),)
    return [AttackRequest(method=name, threat=threat, eps=radii, **options) for name in names]


# ---------------------------------------------------------------- in memory


def _find_undefended(model: Any, undefended: Any, subject: Subject) -> Any:
    """Return the model that an oblivious attacker differentiates; None where it has to be named."""
    if undefended is not None or subject.purifier is None:
        return undefended
    # A classifier that was trained behind its purifier is not the classifier that such an attacker knows.
    if isinstance(model, LoadedPipeline) and model.purifier is not None:
        return None
    return model


def _evaluate_here(
    subject: Subject,
    others: tuple[Subject | None, Subject | None],
    x: FloatArray,
    y: IntArray,
    requests: Sequence[AttackRequest],
    tell: Callable[[str], None],
) -> Evaluation:
    """Return the result of attacks on a pipeline in memory. others: the undefended one, and the surrogate."""
    from advae.workflows.attack_selection import apply_threat_models
    from advae.workflows.run_recipes import prepare_run

    undefended, surrogate = others
    purified = subject.recipes.autoencoder is not None
    function = subject.function
    chosen = apply_threat_models(
        requests,
        purified=purified,
        tell=tell,
        scores_only=function.scores_only,
        samples=function.samples,
        on_code=subject.recipes.on_code,
    )
    for request in chosen:
        _require_others(request, undefended, surrogate)
    function = replace(
        subject.function,
        undefended=undefended.function.classify if undefended else None,
        surrogate=surrogate.function.differentiate if surrogate else None,
    )
    prepared = [
        prepare_run(
            subject.recipes,
            request,
            n_test=len(x),
            find_counterpart=lambda _: undefended.recipes.id if undefended else "",
            surrogate_id=surrogate.recipes.id if surrogate else None,
        ).recipe
        for request in chosen
    ]
    runs = [_run(function, recipe, x, y) for recipe in prepared]
    return Evaluation(tuple(runs), (subject, *filter(None, others)), (x, y))


def _require_others(request: AttackRequest, undefended: Subject | None, surrogate: Subject | None) -> None:
    """Raise UsageError where an attacker needs a model that was not given, or the model has no gradients."""
    needs = {"oblivious": ("undefended", undefended), "transfer": ("surrogate", surrogate)}
    if request.precision:
        raise UsageError("precision= is for pipelines of a registry; give home=, or leave it out")
    if request.threat not in needs:
        return
    name, other = needs[request.threat]
    if other is None:
        raise UsageError(
            f"threat {request.threat!r} needs {name}=, the model whose gradients the attacker uses: {name}=other_model"
        )
    if other.function.scores_only:
        raise UsageError(f"the {name} model gives scores only, and the attacker needs gradients: {name}=another_model")


def _run(function: Any, recipe: Any, x: FloatArray, y: IntArray) -> EvaluatedRun:
    """Return one attack on a pipeline in memory."""
    from advae.checks import check_run
    from advae.evaluation.evaluate import evaluate as score
    from advae.metrics import count_classes
    from advae.records import OUTCOMES
    from advae.sampling import choose_samples
    from advae.threats import THREATS

    ids = choose_samples(y, recipe.limit, recipe.sample)
    found = score(THREATS[recipe.threat].view(function), recipe, x[ids], y[ids], ids=ids)
    counts = count_classes(y, len(recipe.dataset.classes))
    metrics = found.metrics.model_copy(update={"test_counts": counts})
    metrics = metrics.model_copy(update={"verdicts": check_run(recipe, metrics)})
    return EvaluatedRun(recipe, metrics, found.arrays[OUTCOMES], found.arrays)
