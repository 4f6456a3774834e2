"""Synthetic registry entries for the report's tests: consistent with their arrays, and made without a network."""

from __future__ import annotations

import base64
import gzip
import io
import re
from collections.abc import Callable, Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from advae.checks import CHECKS, check_run
from advae.datasets.table import DATASETS
from advae.evaluation.purifier_draws import KEPT_DRAWS, SCORING_DRAWS
from advae.metrics import (
    ABSTAINS,
    ESTIMATING,
    SELECTING,
    decide_radii,
    digest_samples,
    find_aims,
    measure_attacked,
    measure_clean,
    measure_lengths,
    wilson_interval,
)
from advae.records import (
    Activations,
    AutoencoderMetrics,
    AutoencoderRecipe,
    CertificateMetrics,
    CertificateRecipe,
    CertifiedEps,
    ClassifierMetrics,
    ClassifierRecipe,
    DatasetRef,
    EpsResult,
    History,
    Manifest,
    Metrics,
    NetworkOptions,
    Recipe,
    Retraining,
    RetrainingRound,
    RetrainOptions,
    RunMetrics,
    RunRecipe,
)
from advae.registry import Registry
from advae.report import write_report
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.headline_records import list_headlines
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.tables import Findings
from advae.report.data.contents import AttackedPipeline, Comparison
from advae.report.data.word_tables import Grid
from advae.report.formats.record_tables import tabulate_headlines
from advae.report.formats.terminal import summarize
from tests.entries import digest_parents

SIDE = 8
DIGITS = DatasetRef(name="digits", digest=DATASETS["digits"].digest, side=SIDE, classes=tuple("0123456789"))
MNIST = DIGITS.model_copy(update={"name": "mnist", "digest": DATASETS["mnist"].digest})
NETWORK = NetworkOptions(
    hidden=41, code=8, activations=("relu", "relu", "exponential", "softplus"), epochs=5, batch_size=32,
    learning_rate=0.001,
)  # fmt: skip
HISTORY = History(loss=(2.0, 0.9, 0.3, 0.1, 0.05), validation_loss=(1.9, 0.8, 0.35, 0.2, 0.18), seconds=1.0)

RETRAINED = RetrainOptions(rounds=3, method="bim", eps=0.1, steps=10, attack_rev=1)


def describe_round(examples: int, new: int, clean: int, robust: int) -> RetrainingRound:
    """Return a round whose accuracies are of 100 images."""
    return RetrainingRound(
        examples=examples,
        evading=new,
        new=new,
        clean_accuracy=clean / 100,
        clean_accuracy_interval=wilson_interval(clean, 100),
        robust_accuracy=robust / 100,
        robust_accuracy_interval=wilson_interval(robust, 100),
    )


ROUNDS = Retraining(attacked=50, rounds=(describe_round(0, 30, 95, 10), describe_round(30, 0, 94, 70)))


COUNTED = [name for name, check in CHECKS.items() if not (check.optional or check.random)]
"""Names of the checks that are counted where there is no certificate."""


def resize_images(x: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """Return 8 x 8 images, float32 (n, 64), as (n, side * side), each pixel repeated or left out."""
    steps = np.arange(side) * SIDE // side
    return x.reshape(-1, SIDE, SIDE)[:, steps][:, :, steps].reshape(len(x), -1)


@cache
def load_all_images() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def load_images(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return real 8 x 8 digits: float32 (n, 64) in [0, 1] and int64 (n,)."""
    x, y = load_all_images()
    return (x[:n] / 16).astype(np.float32), y[:n].astype(np.int64)


def make_views(*, plane: bool = False, side: int = SIDE, along: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    """Return what an autoencoder keeps for the report. plane: with what a code of two numbers adds."""
    rng = np.random.default_rng(11)
    x, labels = load_images(15)
    x = resize_images(x, side)
    views = {"labels": labels, "x": x, "purified": (0.8 * x).astype(np.float32)}
    if not plane:
        return views
    codes = rng.normal(size=(200, 2)).astype(np.float32)
    axes = np.stack([np.linspace(-2, 2, along), np.linspace(-3, 1, along)]).astype(np.float32)
    generated = rng.random((along**2, side**2), dtype=np.float32)
    return views | {"codes": codes, "code_labels": np.arange(200) % 10, "axes": axes, "generated": generated}


class Lab:
    """A registry under a temporary home with short ways to publish what a report reads."""

    def __init__(self, home: Path, dataset: DatasetRef = DIGITS) -> None:
        self.registry = Registry(home)
        self.dataset = dataset
        self.source: str | None = None

    def _publish(
        self, recipe: Recipe, metrics: Metrics, arrays: dict[str, dict[str, np.ndarray[Any, Any]]]
    ) -> Manifest:
        """Publish what may rest on entries that are not there."""
        parent_digests = digest_parents(self.registry, recipe)
        return self.registry.publish(recipe, metrics, arrays, source=self.source, parent_digests=parent_digests)

    def add_autoencoder(
        self,
        type_: str = "vanilla",
        *,
        views: dict[str, np.ndarray[Any, Any]] | None = None,
        reach: tuple[float, float] = (0.0, 1.0),
        history: History | None = HISTORY,
        activations: Activations = NETWORK.activations,
        **changes: Any,
    ) -> Manifest:
        """Publish an autoencoder. views: what it keeps for the report, None as one from before there was that."""
        fields: dict[str, Any] = {
            "type": type_, "dataset": self.dataset, "network": NETWORK.model_copy(update={"activations": activations}),
            "loss": "categorical_crossentropy", "rescale": "intensity", "options": {}, "seed": 0, "recipe_rev": 1,
        }  # fmt: skip
        recipe = AutoencoderRecipe(**(fields | changes))
        metrics = AutoencoderMetrics(history=history, test_mse=0.01, output_range=reach)
        return self._publish(recipe, metrics, {"samples.npz": views} if views else {})

    def add_classifier(
        self,
        autoencoder: Manifest | None = None,
        *,
        model: str = "nn",
        seed: int = 0,
        history: History | None = HISTORY,
        classes_predicted: int | None = None,
        origin: str | None = None,
        retraining: Retraining | None = None,
        **changes: Any,
    ) -> Manifest:
        """Publish a classifier. changes: fields of the recipe."""
        fields: dict[str, Any] = {
            "model": model, "dataset": self.dataset, "autoencoder": autoencoder.id if autoencoder else None,
            "options": NETWORK, "seed": seed, "recipe_rev": 1, "origin": origin,
        }  # fmt: skip
        recipe = ClassifierRecipe(**(fields | changes))
        metrics = ClassifierMetrics(
            train_accuracy=1.0, test_accuracy=0.95, test_accuracy_interval=(0.9, 0.99), n_test=100, history=history,
            classes_predicted=classes_predicted, retraining=retraining,
        )  # fmt: skip
        return self._publish(recipe, metrics, {})

    def add_run(
        self,
        classifier: Manifest,
        *,
        eps: Sequence[float] = (0.1, 0.3),
        keep: Sequence[float] = (0.6, 0.2),
        n: int = 100,
        valid: bool = True,
        first_id: int = 0,
        clean: float = 0.95,
        constant: int | None = None,
        stuck: float = 0.0,
        checked: bool = False,
        luck: float | None = None,
        found: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Manifest:
        """Publish a run.

        keep: the share of samples that survives each eps; clean: clean accuracy; constant: the class that is predicted
        for every image, None for none; stuck: the share without a gradient; checked: whether the run is of revision 2,
        with all newer measurements and its check results; luck: the chance that a draw of a pipeline that samples is
        wrong on an image that survives, None for one that does not sample; found: fields of such a run's metrics and
        results that are otherwise than a healthy attack's; changes: fields of the recipe.
        """
        fields: dict[str, Any] = {
            "method": "bim", "threat": "adaptive", "classifier": classifier.id, "twin": None, "dataset": self.dataset,
            "eps": tuple(eps), "target": None, "steps": 10, "step_size": None, "loss": "scaled", "clip": valid,
            "limit": n, "save_adversarial": False, "seed": 0, "recipe_rev": 1,
        }  # fmt: skip
        recipe = RunRecipe(**(fields | changes))
        low, high = (found or {}).get("start_range", (0.0, 1.0 if checked else 2.0))
        outcomes, samples, pixels = _attack(recipe, keep, n, first_id, clean, scale=high - low)
        if constant is not None:
            for name in ("clean_predictions", "predictions"):
                outcomes[name] = np.full_like(outcomes[name], constant)
            samples["predictions"] = np.full_like(samples["predictions"], constant)
        outcomes["zero_gradient"][:, : round((found or {}).get("zero_gradient_fraction", stuck) * n)] = True
        outcomes |= _draw(outcomes, luck) if luck is not None else {}
        arrays = {"outcomes.npz": outcomes, "samples.npz": samples}
        metrics = _measure(recipe, outcomes)
        own = {"pixel_range": pixels, "samples_digest": digest_samples(load_attacked(recipe, n), outcomes["labels"])}
        measured = _check(recipe, metrics, own | (found or {})) if checked else metrics
        return self.registry.publish(recipe, measured, arrays, source=self.source)

    def add_certificate(
        self,
        classifier: Manifest,
        *,
        eps: Sequence[float] = (0.1, 0.3),
        proved: Sequence[float] = (0.3, 0.1),
        n: int = 100,
        first_id: int = 0,
        like: Manifest | None = None,
        radii: Sequence[float] | None = None,
        found: dict[str, Any] | None = None,
        spoil: Callable[[dict[str, Any]], object] = lambda arrays: None,
        **changes: Any,
    ) -> Manifest:
        """Publish a certificate.

        proved: the share of the images that is certified at each eps, the first of those that are classified correctly;
        like: the run whose images and predictions without attack it has, of which no image that an attack breaks at its
        smallest eps is certified; radii: the certified radii, for randomised smoothing, which abstains at 0; found:
        fields of its metrics; spoil: changes its arrays; changes: fields of its recipe.
        """
        fields: dict[str, Any] = {
            "method": "ibp", "norm": "linf", "classifier": classifier.id, "dataset": self.dataset, "eps": tuple(eps),
            "limit": n, "recipe_rev": 1,
        }  # fmt: skip
        noise = {"method": "smoothing", "norm": "l2", "sigma": 0.5, "samples": 10_000, "select": 10, "alpha": 0.001,
                 "seed": 0}  # fmt: skip
        recipe = CertificateRecipe(**(fields | (noise if radii else {}) | changes))
        arrays = _prove(self, recipe, proved, n, first_id, like, radii)
        metrics = _measure_proved(recipe, arrays)
        spoil(arrays)
        measured = metrics.model_copy(update=found or {})
        return self._publish(recipe, measured, {"certificates.npz": arrays})


def _prove(
    lab: Lab,
    recipe: CertificateRecipe,
    proved: Sequence[float],
    n: int,
    first_id: int,
    like: Manifest | None,
    radii: Sequence[float] | None,
) -> dict[str, Any]:
    outcomes = lab.registry.read_arrays(like, "outcomes.npz") if like else {}
    labels = outcomes.get("labels", load_images(n)[1] % len(recipe.dataset.classes))
    predictions = outcomes.get("clean_predictions", np.where(np.arange(n) < 0.9 * n, labels, (labels + 1) % 10))
    kept = (outcomes["predictions"] == labels).all(axis=0) if outcomes else np.ones(n, dtype=bool)
    rank = np.cumsum(kept & (predictions == labels))
    certified = np.stack([kept & (predictions == labels) & (rank <= share * n) for share in proved])
    ids = outcomes.get("sample_ids", np.arange(n, dtype=np.int64) + first_id)
    arrays = {"sample_ids": ids, "labels": labels, "predictions": predictions, "certified": certified}
    if radii is None:
        return arrays
    counts = _count(recipe, predictions, np.resize(np.asarray(radii, np.float64), n))
    decided, reach = decide_radii(counts, sigma=recipe.sigma or 0, samples=recipe.samples or 0, alpha=recipe.alpha or 0)
    certified = (predictions == labels) & (reach > np.asarray(recipe.eps)[:, None])
    return arrays | {"certified": certified, "radii": reach, "abstained": decided == ABSTAINS, "counts": counts}


def _count(recipe: CertificateRecipe, predictions: np.ndarray[Any, Any], radii: np.ndarray[Any, Any]) -> Any:
    """Return counts of a smoothed pipeline with these predictions, whose radii are the next that counts can give."""
    samples, rows, classes = recipe.samples or 0, np.arange(len(predictions)), len(recipe.dataset.classes)
    table = np.zeros((samples + 1, 2, 2), np.int64)
    table[:, SELECTING, 0], table[:, ESTIMATING, 0] = 1, np.arange(samples + 1)
    _, reached = decide_radii(table, sigma=recipe.sigma or 0, samples=samples, alpha=recipe.alpha or 0)
    hits = np.searchsorted(reached, radii)
    counts = np.zeros((len(rows), 2, classes), np.int64)
    counts[rows, SELECTING, predictions], counts[rows, ESTIMATING, predictions] = recipe.select, hits
    counts[rows, ESTIMATING, (predictions + 1) % classes] = samples - hits
    return counts


def _measure_proved(recipe: CertificateRecipe, arrays: dict[str, Any]) -> CertificateMetrics:
    abstained = arrays.get("abstained")
    right = (arrays["predictions"] == arrays["labels"]) & (True if abstained is None else ~abstained)
    n = len(right)
    return CertificateMetrics(
        n=n,
        clean_accuracy=float(right.mean()),
        clean_accuracy_interval=wilson_interval(int(right.sum()), n),
        results=tuple(
            CertifiedEps(
                eps=eps,
                certified_accuracy=float(row.mean()),
                certified_accuracy_interval=wilson_interval(int(row.sum()), n),
            )
            for eps, row in zip(recipe.eps, arrays["certified"], strict=True)
        ),
        abstained=None if abstained is None else int(abstained.sum()),
        samples_digest="5" * 64,
        seconds=2.0,
    )


def load_attacked(recipe: RunRecipe, n: int) -> np.ndarray[Any, Any]:
    return resize_images(load_images(n)[0], recipe.dataset.side)


def _attack(
    recipe: RunRecipe, keep: Sequence[float], n: int, first_id: int, accuracy_: float, *, scale: float
) -> tuple[dict[str, Any], dict[str, Any], tuple[float, float]]:
    """Return outcomes, samples, and the range of the attacked pixels. scale: of what is added to behind a purifier."""
    rng = np.random.default_rng(recipe.seed + 7)
    x, labels = load_attacked(recipe, n), load_images(n)[1]
    classes = len(recipe.dataset.classes)
    labels = labels % classes
    wrong = (labels + rng.integers(1, max(classes, 2), n)) % classes
    clean = np.where(rng.random(n) < accuracy_, labels, wrong)
    order = rng.random(n)
    predictions = np.stack([np.where(order < share, clean, wrong) for share in keep])
    # Unclipped, an attack goes further than its budget.
    step = (1.0 if recipe.clip else 1.8) / (1.0 if recipe.norm == "linf" else recipe.dataset.side)
    delta = step * rng.choice([-1.0, 1.0], x.shape)
    start = x if recipe.threat != "encoded" else (x * scale).astype(np.float32)
    upper = 1.0 if recipe.threat != "encoded" else np.inf
    x_adv = np.stack([start + eps * delta for eps in recipe.eps])
    x_adv = (np.clip(x_adv, 0, upper) if recipe.clip else x_adv).astype(np.float32)
    chosen = np.array([int(np.argmax(labels == label)) for label in range(classes) if (labels == label).any()])
    seen = x_adv if recipe.threat in ("encoded", "plain") else (0.8 * x_adv + 0.1).astype(np.float32)
    ids = np.arange(n, dtype=np.int64) + first_id
    outcomes = {
        "sample_ids": ids, "labels": labels, "clean_predictions": clean, "predictions": predictions,
        "linf": np.abs(x_adv - start).max(axis=2), "l2": np.linalg.norm(x_adv - start, axis=2),
        "zero_gradient": np.zeros((len(recipe.eps), n), dtype=bool),
    }  # fmt: skip
    samples = {
        "ids": ids[chosen], "labels": labels[chosen], "x": x[chosen], "start": start[chosen],
        "x_adv": x_adv[:, chosen], "seen": seen[:, chosen], "predictions": predictions[:, chosen],
    }  # fmt: skip
    return outcomes, samples, (float(x_adv.min()), float(x_adv.max()))


def _draw(outcomes: dict[str, Any], luck: float) -> dict[str, Any]:
    """Return the outcomes of fresh draws of a pipeline that samples, wrong by chance or where the image is lost."""
    rng = np.random.default_rng(3)
    found = {}
    for prefix, name in (("clean_", "clean_predictions"), ("", "predictions")):
        lost = outcomes[name] != outcomes["labels"]
        wrong = lost[..., None] | (rng.random((*lost.shape, SCORING_DRAWS)) < luck)
        found |= {f"{prefix}success_rate": wrong.mean(axis=-1).astype(np.float32)}
        found |= {f"{prefix}wrong_draws": wrong[..., :KEPT_DRAWS]}
    return found


def _measure(recipe: RunRecipe, outcomes: dict[str, Any]) -> RunMetrics:
    """Return the metrics of a run as revision 1 kept them."""
    clean = measure_clean(outcomes, len(recipe.dataset.classes))
    results = []
    for index, eps in enumerate(recipe.eps):
        targets = _aim(recipe)
        found = measure_attacked(outcomes, index, find_aims(outcomes["labels"], recipe.target, targets))
        lengths = measure_lengths(outcomes, index, recipe.norm) | {"norm_max": None}
        results.append(EpsResult(eps=eps, **found, **lengths, within_budget=recipe.clip, targets=targets))
    counts: dict[str, Any] = dict.fromkeys(("class_counts", "predicted_counts"))
    counts |= {"fresh_draws": SCORING_DRAWS, "k_draws": KEPT_DRAWS} if "wrong_draws" in outcomes else {}
    return RunMetrics(**(clean | counts), results=tuple(results))


def _aim(recipe: RunRecipe) -> tuple[int, ...] | None:
    """Return the next class of each as its natural target and the one before as its non-natural one."""
    step = {"natural": 1, "non-natural": -1}.get(recipe.method)
    classes = len(recipe.dataset.classes)
    return tuple((label + step) % classes for label in range(classes)) if step else None


def _check(recipe: RunRecipe, metrics: RunMetrics, found: dict[str, Any]) -> RunMetrics:
    """Return metrics with all that revision 2 measures, and the results on it."""
    own = {"start_range": (0.0, 1.0), "clipped_fraction": 0.1, "probabilities": False, "stochastic": False}
    each = {"finite": True, "loss_curve": ((0, -1.0), (10, 2.0)), "lost_fraction": 0.0}
    results = tuple(
        result.model_copy(
            update=each
            | {"norm_max": result.linf_max if recipe.norm == "linf" else None, "accuracy_8bit": result.accuracy}
            | {name: value for name, value in found.items() if name in EpsResult.model_fields}
        )
        for result in metrics.results
    )
    changes = {name: value for name, value in found.items() if name in RunMetrics.model_fields}
    measured = metrics.model_copy(update={"results": results} | own | changes)
    return measured.model_copy(update={"verdicts": check_run(recipe, measured)})


# ---------------------------------------------------------------- what was written


PACKED = re.compile(r'<script type="text/plain" class="packed">([A-Za-z0-9+/=]*)</script>')
"""A part of a page that its script builds when it is opened."""


def read_files(lab: Lab, runs: list[Manifest], out: Path) -> dict[str, str]:
    """Write a report and return its files by name, the page with all its parts built."""
    more = {"surfaces": lab.registry.entries("surface"), "code_attacks": lab.registry.entries("code")}
    files = {name: path.read_text("utf-8") for name, path in write_report(lab.registry, runs, out, **more).items()}
    return files | {"html": unpack_page(files["html"])}


def list_executed(page: str) -> list[str]:
    """Return the attributes of each script of a page that a browser runs; data are in scripts of another type."""
    scripts = re.findall(r"<script\b([^>]*)>", page)
    return [one for one in scripts if not one.startswith((' type="application/json"', ' type="text/plain"'))]


def unpack_page(page: str) -> str:
    """Return a page as it is when all of its parts are built."""
    return PACKED.sub(lambda match: gzip.decompress(base64.b64decode(match[1])).decode(), page)


def check_classifier(registry: Registry, classifier_id: str, runs: list[Manifest] | None = None) -> AttackedPipeline:
    """Return a classifier with its purifier, checked as ``attack --check`` does. runs: None for all of the registry."""
    own = [run for run in runs or registry.entries("run") if run.parents[0] == classifier_id]
    (pipeline,) = compare_runs(registry, own, asked=[run.id for run in runs or ()]).pipelines
    return pipeline


def read_headlines(comparison: Comparison) -> Grid:
    """Return the table of headlines that a report has."""
    findings = Findings(comparison)
    return tabulate_headlines(findings.collect(list_headlines), findings.collect(list_first_numbers))


def print_summary(comparison: Comparison, *, width: int = 80, encoding: str = "utf-8") -> str:
    """Return what the terminal's summary looks like there, its words as they are broken."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(width=width, file=stream, soft_wrap=True, markup=False)
    for part in summarize(comparison, width=width, encoding=encoding):
        console.print(part)
    return raw.getvalue().decode(encoding)


class Tags(HTMLParser):
    """Collects every start tag of a page, and what its attributes could fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.styles: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.styles |= {style for name, value in attrs if name == "class" for style in (value or "").split()}
