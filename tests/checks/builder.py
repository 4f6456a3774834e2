"""Scored runs made from records and arrays, consistent with each other until a test plants a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from advae.checks import PipelineRuns, ProvedImages, ScoredRun, check_run
from advae.metrics import accuracy, count_classes, wilson_interval
from advae.records import (
    CertificateMetrics,
    CertificateRecipe,
    CertifiedEps,
    DatasetRef,
    EpsResult,
    ImageRanges,
    RunMetrics,
    RunRecipe,
)

DIGITS = DatasetRef(name="digits", digest="d" * 64, side=8, classes=tuple("0123456789"))
N = 1000


def attack(
    left: Sequence[float],
    *,
    name: str = "subject",
    classifier: str = "defended",
    eps: Sequence[float] = (0.1, 0.3),
    n: int = N,
    clean: float | Sequence[int] = 0.98,
    metrics: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    **recipe: Any,
) -> list[ScoredRun]:
    """Return a run, a row for each eps.

    left: the share of samples that stay right at each eps, always the first ones; clean: before the attack, or the
    predictions themselves. metrics, result: fields of the run's metrics and of its results that are otherwise than a
    healthy attack's; recipe: fields of its recipe. The check results are computed from these.
    """
    fields: dict[str, Any] = {
        "method": "bim", "threat": "adaptive", "classifier": classifier, "twin": None, "dataset": DIGITS, "eps": eps,
        "target": None, "steps": 10, "step_size": None, "loss": "scaled", "clip": True, "limit": None,
        "save_adversarial": False, "seed": 0, "recipe_rev": 2,
    }  # fmt: skip
    made = RunRecipe(**(fields | {"eps": tuple(eps)} | recipe))
    labels = np.arange(n) % 10
    unchanged = _keep(labels, clean) if isinstance(clean, float) else np.asarray(clean)
    predictions = [_keep(labels, share) for share in left]
    results = tuple(
        _score(size, labels, predicted, result or {}) for size, predicted in zip(eps, predictions, strict=True)
    )
    rate, interval = accuracy(labels, unchanged)
    healthy: dict[str, Any] = {
        "n": n, "clean_accuracy": rate, "clean_accuracy_interval": interval, "results": results,
        "samples_digest": "5" * 64, "start_range": (0.0, 1.0), "clipped_fraction": 0.1, "probabilities": False,
        "stochastic": False, "backward": "exact", "class_counts": count_classes(labels, 10),
        "predicted_counts": count_classes(unchanged, 10), "test_counts": (n,) * 10, "classes_predicted": 10,
        "image_ranges": ImageRanges(train=(0.0, 1.0), test=(0.0, 1.0)),
    }  # fmt: skip
    measured = RunMetrics(**(healthy | (metrics or {})))
    measured = measured.model_copy(update={"verdicts": check_run(made, measured)})
    return [
        ScoredRun(name, made, measured, i, np.arange(n), labels, unchanged, predictions[i]) for i in range(len(eps))
    ]


def _keep(labels: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, Any]:
    """Return predictions that are right for the first samples only."""
    return np.where(np.arange(len(labels)) < round(share * len(labels)), labels, (labels + 1) % 10)


def _score(eps: float, labels: Any, predicted: Any, changes: dict[str, Any]) -> EpsResult:
    rate, interval = accuracy(labels, predicted)
    healthy: dict[str, Any] = {
        "eps": eps, "accuracy": rate, "accuracy_interval": interval, "attack_success_rate": 0.5,
        "target_hit_rate": None, "linf_max": eps, "norm_max": eps, "l2_mean": 1.0, "zero_gradient_fraction": 0.0,
        "within_budget": True, "pixel_range": (0.0, 1.0), "finite": True, "accuracy_8bit": rate,
        "loss_curve": ((0, -1.0), (10, 2.0)), "lost_fraction": 0.0,
    }  # fmt: skip
    return EpsResult(**(healthy | changes))


def certify(
    proved: Sequence[float],
    *,
    name: str = "proof",
    classifier: str = "defended",
    eps: Sequence[float] = (0.1, 0.3),
    ids: Sequence[int] = range(N),
    clean: float = 0.98,
    **recipe: Any,
) -> ProvedImages:
    """Return a certificate, as ``attack`` returns a run.

    proved: the share of all test images that is certified at each eps, always the first ones; ids: the images that it
    is about; clean: clean accuracy; recipe: fields of its recipe.
    """
    every = np.arange(N) % 10
    chosen = np.asarray(ids)
    labels, predictions = every[chosen], _keep(every, clean)[chosen]
    certified = np.stack([chosen < round(share * N) for share in proved])
    rate, interval = accuracy(labels, predictions)
    results = tuple(
        CertifiedEps(
            eps=size,
            certified_accuracy=float(row.mean()),
            certified_accuracy_interval=wilson_interval(int(row.sum()), len(row)),
        )
        for size, row in zip(eps, certified, strict=True)
    )
    fields: dict[str, Any] = {
        "method": "ibp", "norm": "linf", "classifier": classifier, "dataset": DIGITS, "eps": tuple(eps),
        "limit": None, "recipe_rev": 1,
    }  # fmt: skip
    metrics = CertificateMetrics(
        n=len(chosen), clean_accuracy=rate, clean_accuracy_interval=interval, results=results,
        samples_digest="5" * 64, seconds=1.0,
    )  # fmt: skip
    made = CertificateRecipe(**(fields | recipe))
    return ProvedImages(name, made, metrics, chosen, labels, predictions, certified)


def build_pipeline_runs(
    subject: list[ScoredRun],
    *others: list[ScoredRun],
    undefended: Sequence[ScoredRun] = (),
    defended: bool = True,
    certificates: Sequence[ProvedImages] = (),
) -> PipelineRuns:
    """Return the runs of a pipeline, about a run's last eps, beside other runs of the pipeline and its certificates."""
    own = [*subject, *(row for run in others for row in run)]
    return PipelineRuns(subject[-1], own, undefended, defended, certificates=certificates)
