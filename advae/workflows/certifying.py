"""``advae certify``: prove for test images that no perturbation of a ball changes their class."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae import metrics
from advae.certificates import ALPHA, CERTIFICATES, SAMPLES, SELECT, Images, ProofProgress, Traits, find_certificate
from advae.errors import AdvaeError, UsageError, unknown
from advae.evaluation.pipelines import load_pipeline
from advae.models import purifiers
from advae.models.classifiers import gives_gradients, is_linear
from advae.records import (
    NOISE_OPTIONS,
    PROVED,
    CertificateMetrics,
    CertificateRecipe,
    CertifiedEps,
    Dataset,
    Manifest,
    entry_id,
    key_eps,
)
from advae.registry import Registry
from advae.requests import CertificateRequest, note_zero
from advae.run_options import SAMPLINGS
from advae.sampling import choose_samples
from advae.workflows.classifier_choice import Target, choose_classifier
from advae.workflows.counterparts import PipelineRecipes, read_recipes
from advae.workflows.run_recipes import check_eps, find_largest_eps
from advae.workflows.workspace import Content, Made, Workspace, make_entry

if TYPE_CHECKING:
    from advae.certificates import CertifiedImages
    from advae.models.layers import Arrays

EXACT, INTERVALS, SMOOTHING = "exact", "ibp", "smoothing"
"""The methods among which the default is chosen."""

NOISE_DEFAULTS = {"samples": SAMPLES, "select": SELECT, "alpha": ALPHA, "seed": 0}
"""Options of randomised smoothing -> their defaults; sigma has none."""


@dataclass(frozen=True)
class Estimate:
    """What a certificate would cost."""

    recipe: CertificateRecipe
    """The recipe, with every default filled in."""
    n: int
    """Number of images."""
    seconds: float
    """About how long it takes; 0 where it is in the registry already."""
    made: Manifest | None
    """The entry, where it is in the registry already."""

    @property
    def id(self) -> str:
        return entry_id(self.recipe)


def certify_classifier(
    workspace: Workspace, clf_ref: str | None, dataset_name: str | None, request: CertificateRequest
) -> Made:
    """Return the certificate of a request; of several eps in one pass.

    clf_ref: None for the newest classifier (of the dataset, where one is named). Raises UsageError where the method
    does not fit the pipeline, BudgetError, NotFoundError.
    """
    target = choose_classifier(workspace, clf_ref, dataset_name)
    recipe = _prepare(workspace.registry, target, request)
    note = note_zero(recipe.eps)
    if note:
        workspace.tell(note)
    with workspace.registry.lease([entry_id(recipe), *recipe.parents]):
        return make_certificate(workspace, recipe, target)


def estimate_certificate(
    workspace: Workspace, clf_ref: str | None, dataset_name: str | None, request: CertificateRequest
) -> Estimate:
    """Return what ``certify_classifier`` would compute, and about how long that takes, measured on a few images."""
    from advae.backend import start_tensorflow

    target = choose_classifier(workspace, clf_ref, dataset_name)
    recipe = _prepare(workspace.registry, target, request)
    made = workspace.registry.find(entry_id(recipe))
    n = recipe.limit or target.classifier.as_classifier()[1].n_test
    if made and not workspace.force:
        return Estimate(recipe, n, 0.0, made)
    start_tensorflow(workspace.registry.folders.tmp)
    images = _choose_images(target.load(), recipe)
    pipeline = load_pipeline(workspace.registry, target.classifier)
    return Estimate(recipe, n, CERTIFICATES[recipe.method].estimate(pipeline, images, recipe), None)


def _prepare(registry: Registry, target: Target, request: CertificateRequest) -> CertificateRecipe:
    recipe, metrics = target.classifier.as_classifier()
    return prepare_certificate(read_recipes(registry, recipe), request, n_test=metrics.n_test)


def prepare_certificate(recipes: PipelineRecipes, request: CertificateRequest, *, n_test: int) -> CertificateRecipe:
    """Return the recipe of a request, with every default filled in; the pipeline need not be trained yet.

    n_test: number of test images of its dataset. Raises UsageError and BudgetError.
    """
    traits = _find_traits(recipes)
    method = request.method or _choose_method(request, traits)
    row = find_certificate(method)
    norm = request.norm or row.norms[0]
    if norm not in row.norms:
        raise UsageError(f"--method {method} has no --norm {norm}; it takes {', '.join(row.norms)}")
    if misfit := row.find_misfit(traits):
        raise UsageError(f"--method {method} does not fit {recipes.id}: {misfit}")
    dataset = recipes.classifier.dataset
    check_eps(request.eps, find_largest_eps(norm, dataset.shape))
    if request.sample and request.sample not in SAMPLINGS:
        raise UsageError(unknown("sample", request.sample, SAMPLINGS))
    if request.sample and request.limit is None:
        raise UsageError(f"--sample {request.sample} needs --limit N, how many test images to draw")
    limit = request.limit if request.limit and request.limit < n_test else None
    return CertificateRecipe(
        method=method,
        norm=norm,
        classifier=recipes.id,
        dataset=dataset,
        eps=tuple(eps if key_eps(eps) else 0.0 for eps in request.eps),
        limit=limit,
        sample="stratified" if request.sample and limit else None,
        recipe_rev=row.revision,
        **_fill_in_noise(request, method),
    )


def _find_traits(recipes: PipelineRecipes) -> Traits:
    """Return what is known of a classifier and its purifier without loading them."""
    classifier, purifier = recipes.classifier, recipes.autoencoder
    return Traits(
        affine=is_linear(classifier) and (purifier is None or purifiers.is_affine_purifier(purifier)),
        samples=recipes.samples,
        scores_only=not gives_gradients(classifier),
        outside_graph=purifier is not None and purifiers.is_outside_graph(purifier),
    )


def _choose_method(request: CertificateRequest, traits: Traits) -> str:
    """Return the method that fits. Raises UsageError where only smoothing does, which needs a choice of the noise."""
    if request.sigma is not None:
        return SMOOTHING
    if traits.affine:
        return EXACT
    reasons = {
        "in L2": request.norm == "l2",
        "of a random purifier": traits.samples,
        "of scores only": traits.scores_only,
        "of a purifier that Keras does not compute": traits.outside_graph,
    }
    why = next((reason for reason, holds in reasons.items() if holds), None)
    if why:
        raise UsageError(
            f"no proof {why} but randomised smoothing, of another pipeline: the one that answers by majority under "
            "noise; --method smoothing --sigma S certifies that, in L2"
        )
    return INTERVALS


def _fill_in_noise(request: CertificateRequest, method: str) -> dict[str, Any]:
    """Return the options of smoothing, none for another method. Raises UsageError for those that do not fit."""
    given = {name: getattr(request, name) for name in NOISE_OPTIONS}
    if not CERTIFICATES[method].smooths:
        for name, value in given.items():
            if value is not None:
                raise UsageError(f"--{name} does not fit --method {method}; it is for --method {SMOOTHING}")
        return {}
    if request.sigma is None:
        raise UsageError(
            "--method smoothing needs --sigma S, the standard deviation of its noise in units of a pixel's range, such "
            "as 0.5; the classifier should have been trained on such noise"
        )
    return {name: NOISE_DEFAULTS[name] if value is None else value for name, value in given.items()}


def make_certificate(workspace: Workspace, recipe: CertificateRecipe, target: Target, *, latest: bool = True) -> Made:
    """Return the certificate of a recipe, computed where it is missing; an interrupted proof continues.

    latest: whether ``latest`` names it afterwards.
    """
    checkpoint = workspace.registry.checkpoint(entry_id(recipe), workspace.tell)

    def compute() -> Content:
        if workspace.force:
            checkpoint.clear()
        start = time.monotonic()
        images = _choose_images(target.load(), recipe)
        pipeline = load_pipeline(workspace.registry, target.classifier)
        progress = ProofProgress(workspace.on_batch, checkpoint)
        found = CERTIFICATES[recipe.method].certify(pipeline, images, recipe, progress)
        return _measure(recipe, images, found, found.seconds_before + time.monotonic() - start), {
            PROVED: _collect(images, found)
        }

    made = make_entry(workspace, recipe, compute, target.classifier.source, latest=latest)
    if not made.cached:
        checkpoint.clear()
    return made


def _choose_images(dataset: Dataset, recipe: CertificateRecipe) -> Images:
    ids = choose_samples(dataset.y_test, recipe.limit, recipe.sample)
    # A slice for the first images, which makes no copy of the test set.
    chosen = ids if recipe.sample else slice(recipe.limit)
    return Images(dataset.x_test[chosen], dataset.y_test[chosen], ids)


def _measure(recipe: CertificateRecipe, images: Images, found: CertifiedImages, seconds: float) -> CertificateMetrics:
    """Return the metrics. Raises AdvaeError where an image is certified whose prediction is wrong: a defect."""
    abstained = found.more.get("abstained")
    right = found.predictions == images.y
    if abstained is not None:
        right &= ~abstained
    if (found.certified & ~right).any():
        raise AdvaeError("a certified image is misclassified: its bounds are not sound, which is a defect of advae")
    n = len(images.y)
    clean = int(right.sum())
    return CertificateMetrics(
        n=n,
        clean_accuracy=clean / n,
        clean_accuracy_interval=metrics.wilson_interval(clean, n),
        results=tuple(
            CertifiedEps(
                eps=eps,
                certified_accuracy=int(row.sum()) / n,
                certified_accuracy_interval=metrics.wilson_interval(int(row.sum()), n),
            )
            for eps, row in zip(recipe.eps, found.certified, strict=True)
        ),
        abstained=None if abstained is None else int(abstained.sum()),
        samples_digest=metrics.digest_samples(images.x, images.y),
        seconds=round(seconds, 3),
    )


def _collect(images: Images, found: CertifiedImages) -> Arrays:
    return {
        "sample_ids": images.ids,
        "labels": images.y,
        "predictions": found.predictions,
        "certified": found.certified,
        **found.more,
    }
