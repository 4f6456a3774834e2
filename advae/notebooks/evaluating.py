"""Robust accuracy of any model on any images, computed as ``advae attack`` computes it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.backend import start_tensorflow
from advae.errors import UsageError, unknown
from advae.notebooks.evaluation_result import EvaluatedRun, Evaluation
from advae.notebooks.homes import Home, open_registry
from advae.notebooks.image_arrays import read_images, read_labels
from advae.notebooks.loaded import LoadedPipeline
from advae.run_options import NORMS, RUN_OPTIONS
from advae.threats import ALL

if TYPE_CHECKING:
    from pathlib import Path

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
    from advae.notebooks.subjects import build_subject, count_classes_of, describe_images

    requests = _make_requests(methods, eps, threat, options)
    start_tensorflow()
    images = read_images(x, model.shape if isinstance(model, LoadedPipeline) else None)
    if home is not None:
        labels = read_labels(y, images=len(images.x), classes=_count_stored(model))
        _refuse_in_registry(purifier=purifier, undefended=undefended)
        return _evaluate_stored(home, model, images, labels, requests, surrogate)
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

    bare = _find_undefended(model, classifier, undefended, subject)
    others = (read_other(bare) if bare is not None else None), read_other(surrogate)
    return _evaluate_here(subject, others, images.x, labels, requests)


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


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=2)


# ---------------------------------------------------------------- in memory


def _find_undefended(model: Any, classifier: Any, undefended: Any, subject: Subject) -> Any:
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
) -> Evaluation:
    """Return the result of attacks on a pipeline in memory. others: the undefended one, and the surrogate."""
    from advae.workflows.attack_selection import apply_threat_models
    from advae.workflows.run_recipes import prepare_run

    undefended, surrogate = others
    purified = subject.recipes.autoencoder is not None
    chosen = apply_threat_models(requests, purified=purified, tell=_warn, scores_only=subject.function.scores_only)
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


# ---------------------------------------------------------------- in a registry


def _count_stored(model: Any) -> int:
    """Return how many classes a loaded pipeline has. Raises UsageError for another model."""
    if not isinstance(model, LoadedPipeline):
        raise UsageError(
            "home= stores runs of pipelines that are in the registry; add the model with `advae add-clf` and load it, "
            "or leave home= out"
        )
    model.require()
    return len(model.classes)


def _refuse_in_registry(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name}= does not fit home=: what is stored consists of entries of the registry")


def _evaluate_stored(
    home: Home | str | Path,
    model: LoadedPipeline,
    images: GivenImages,
    labels: IntArray,
    requests: Sequence[AttackRequest],
    surrogate: Any,
) -> Evaluation:
    """Return the stored runs on the first test images of a pipeline's dataset, computed where they are missing."""
    from advae.records import OUTCOMES
    from advae.workflows import AttackCommand, Workspace, run_attacks
    from advae.workflows.workspace import load_dataset_of

    registry = (home if isinstance(home, Home) else open_registry(home)).registry
    if surrogate is not None and not isinstance(surrogate, LoadedPipeline):
        raise UsageError("surrogate= must be in the registry, too, where home= is given")
    workspace = Workspace(registry, tell=_warn)
    manifest = registry.resolve(model.id, "clf")
    dataset = load_dataset_of(workspace, manifest, None)
    limit = _find_limit(images.x, labels, dataset.x_test, dataset.y_test, dataset.ref.name)
    if limit is not None:
        requests = [request.model_copy(update={"limit": min(limit, request.limit or limit)}) for request in requests]
    command = AttackCommand(requests, surrogate=surrogate.id if surrogate else None)
    made = run_attacks(workspace, model.id, None, command)
    runs = []
    for one in made.requested:
        recipe, metrics = one.manifest.as_run()
        arrays = registry.read_arrays(one.manifest, OUTCOMES)
        runs.append(EvaluatedRun(recipe, metrics, arrays, {}, one.manifest))
    return Evaluation(tuple(runs), registry=registry)


def _find_limit(x: FloatArray, y: IntArray, x_test: FloatArray, y_test: IntArray, name: str) -> int | None:
    """Return how many of the first test images x and y are, None for all. Raises UsageError where they are others."""
    import numpy as np

    n = len(x)
    same = n <= len(x_test) and np.array_equal(x, x_test[:n]) and np.array_equal(y, y_test[:n])
    if not same:
        raise UsageError(
            f"home= stores runs on the test images of the pipeline's dataset, and x, y are not the first {n} of "
            f"{name!r}; leave home= out"
        )
    return n if n < len(x_test) else None
