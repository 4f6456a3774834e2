"""What each run measured at each eps, as records: the accuracy table, and what other records share with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from advae.records import EpsResult, Norm
from advae.report.analysis.certified_accuracy import CertifiedRange, describe_bounds
from advae.report.analysis.check_results import summarize_stored
from advae.report.analysis.tables import (
    Findings,
    Ids,
    NotRun,
    PipelineRecord,
    ShownInterval,
    ShownShare,
    TableRecord,
    join_rate,
    read_pipeline,
)
from advae.report.data.runs import Measured, Rate
from advae.report.wording import name_attack, name_autoencoder
from advae.run_options import RUN_OPTIONS, values_of


class _Attack(TableRecord):
    """The attack of one run at one eps."""

    status: str = "measured"
    """Whether it was measured."""
    run: str | None
    """The run's id in the registry; null where nothing was measured."""
    threat: str
    """What the attacker knows, as `advae attack --threat` takes it."""
    norm: Norm
    """The norm that bounds the perturbation: linf, the largest change of a pixel, or l2, Euclidean."""
    eps: float
    """The budget: radius of the norm's ball around the image, in units of an image's range, 0 to 1."""
    method: str | None
    """The attack, as `advae attack --method` takes it."""
    attack: str | None
    """The attack in words: method, target, norm, loss, iterations and restarts."""
    n: int | None
    """Number of test images."""


if TYPE_CHECKING:
    _Options = _Attack
else:
    _Options = create_model(
        "_Options",
        __base__=_Attack,
        **{
            name: (option.type | None, Field(description=option.description))
            for name, option in RUN_OPTIONS.items()
            if name not in _Attack.model_fields
        },
    )


class RunResult(_Options):
    """What one run measured at one eps, with every option of its attack."""

    clean_accuracy: ShownShare | None
    """Share of the unchanged images that are classified correctly, 0 to 1."""
    clean_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of the clean accuracy."""
    robust_accuracy: ShownShare | None
    """Share of the images still classified correctly under attack, 0 to 1; of a pipeline that samples any-of-k."""
    robust_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of the robust accuracy."""
    attack_success_rate: ShownShare | None
    """Share of the initially correct images that the attack changes, 0 to 1; null where none was correct."""
    target_hit_rate: ShownShare | None
    """Share of the images not of the target's class that ended in it, 0 to 1; null for an untargeted attack."""
    expected_accuracy: ShownShare | None
    """Mean share of fresh samples of the pipeline's randomness on which it is right, 0 to 1; null where it has none."""
    k_draws: int | None
    """Number k of fresh samples of the pipeline's randomness by which an image counts; null where it has none."""
    one_shot_accuracy: ShownShare | None
    """Robust accuracy by one fresh sample of the pipeline's randomness, 0 to 1; null where it has none."""
    one_shot_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of the one-shot accuracy."""
    any_of_k_accuracy: ShownShare | None
    """Share of the images under attack on which all k samples are right, 0 to 1; null where there is no randomness."""
    any_of_k_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of it."""
    majority_of_k_accuracy: ShownShare | None
    """Share of the images under attack on which more of the k samples are right than wrong, 0 to 1; null likewise."""
    majority_of_k_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of it."""
    clean_any_of_k_accuracy: ShownShare | None
    """Share of the unchanged images on which all k samples are right, 0 to 1; null where there is no randomness."""
    clean_any_of_k_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of it."""
    clean_majority_of_k_accuracy: ShownShare | None
    """Share of the unchanged images on which more of the k samples are right than wrong, 0 to 1; null likewise."""
    clean_majority_of_k_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of it."""
    linf_max: float | None
    """Largest change of any pixel, in units of an image's range, measured on the result."""
    l2_mean: float | None
    """Mean Euclidean length of the perturbations, in units of an image's range."""
    norm_max: float | None
    """Largest perturbation in the attack's norm, in units of an image's range; null where it was not measured."""
    zero_gradient_fraction: ShownShare | None
    """Share of the images whose first gradient is zero or not finite, 0 to 1."""
    within_budget: bool | None
    """Whether the perturbation is a valid one: projected into the budget and clipped to the image's range."""
    accuracy_8bit: ShownShare | None
    """Robust accuracy after rounding to 8 bits, 0 to 1; null where they are no images, or it was not measured."""
    failed_checks: tuple[str, ...] | None
    """The checks stored with the run that end with FAIL or WARN, each with its status."""
    carried: int | None
    """Number of images that a smaller eps of the run broke: they keep that adversarial example and are not attacked
    again; null where every image is attacked at every eps."""
    median_smallest_eps: float | None
    """Median over the images of the smallest eps of the run that breaks them; null where more than half of them are not
    broken, and where every image is attacked at every eps."""
    over_budget: int | None
    """Number of examples from a file that are farther than eps and count as unchanged images; null for attacks made
    here."""
    images: str | None
    """Number of test images in words: of how many, and how they were chosen."""
    certified: CertifiedRange | None
    """The interval that contains the robust accuracy, by a certificate for this eps or a larger one; null where there
    is none."""
    samples: str | None
    """Digest of the images attacked: the same for runs on the very same images, in the same order; null where nothing
    was measured."""

    @property
    def clean(self) -> Rate | None:
        return join_rate(self.clean_accuracy, self.clean_accuracy_interval)

    @property
    def robust(self) -> Rate | None:
        return join_rate(self.robust_accuracy, self.robust_accuracy_interval)


RESULT_FIELDS = tuple(RunResult.model_fields.keys() & EpsResult.model_fields.keys())
"""What a result of a run is stored with under the same name."""


CLEAN_DRAWS = tuple(name for name in RunResult.model_fields if name.startswith(("clean_any", "clean_maj", "k_draws")))
"""What the metrics of a run are stored with under the same name, on the draws of a pipeline that samples."""


class MeasuredResult(RunResult):
    """What one run measured at one eps, where it was measured."""

    status: Literal["measured"] = "measured"
    """Always measured."""


class AccuracyRecord(PipelineRecord, MeasuredResult):
    """One run at one eps, beside the same attack without the purifier."""

    undefended_counterpart: MeasuredResult | NotRun
    """The same attack at the same eps on the same images, without the purifier; NOT RUN where the registry holds no
    such run; the run's own result for a classifier without purifier."""
    mcnemar_p: ShownShare | NotRun | None
    """How likely so large a difference to the undefended counterpart is by accident, 0 to 1: McNemar's exact test on
    the same images; NOT RUN where there is no such run, null for a classifier without purifier."""
    notes: tuple[str, ...]
    """Warnings about the number, the most serious first."""
    imported: Ids
    """Ids of what came from a bundle: the run, or an entry that it depends on; empty where nothing did."""
    purifier_name: str
    """The purifier in words; none where there is none."""

    @property
    def undefended(self) -> MeasuredResult | None:
        """The undefended counterpart, None where it was not run."""
        return None if isinstance(self.undefended_counterpart, NotRun) else self.undefended_counterpart

    @property
    def defended(self) -> MeasuredResult | None:
        """The result itself where it is one behind a purifier, or of a retrained classifier."""
        return self if self.autoencoder_id or self.retrained else None


def describe_result(side: Measured) -> dict[str, Any]:
    """Return the fields of a RunResult."""
    run, recipe, result = side.run, side.run.recipe, side.result
    fields = values_of(recipe) | {"threat": recipe.threat, "method": recipe.method}
    fields |= {name: getattr(result, name) for name in RESULT_FIELDS}
    fields |= {name: getattr(run.metrics, name) for name in CLEAN_DRAWS}
    clean, robust, one_shot = run.clean, side.attacked, side.one_shot if run.metrics.k_draws else None
    return fields | {
        "run": run.id,
        "attack": name_attack(run),
        "n": run.metrics.n,
        "clean_accuracy": clean.value,
        "clean_accuracy_interval": (clean.low, clean.high),
        "robust_accuracy": robust.value,
        "robust_accuracy_interval": (robust.low, robust.high),
        "one_shot_accuracy": one_shot.value if one_shot else None,
        "one_shot_accuracy_interval": (one_shot.low, one_shot.high) if one_shot else None,
        "failed_checks": summarize_stored(run),
        "median_smallest_eps": run.metrics.median_smallest_eps,
        "images": run.size,
        "certified": describe_bounds(side),
        "samples": run.sample_key,
    }


def list_accuracies(findings: Findings) -> Iterator[AccuracyRecord]:
    """Yield a record for each run and eps."""
    for row in findings.comparison.rows:
        run, other = row.run, row.undefended
        yield AccuracyRecord(
            **describe_result(row),
            **read_pipeline(run),
            undefended_counterpart=MeasuredResult(**describe_result(other)) if other else NotRun(),
            mcnemar_p=NotRun() if row.defended and other is None else row.p_value,
            notes=row.notes,
            imported=run.imported,
            purifier_name=name_autoencoder(run),
        )
