"""The checks across runs: each planted fault is found by the check meant for it, the sound counterpart passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from advae.checks import PipelineRuns, ScoredRun, check_together, list_made_checks
from advae.metrics import mcnemar
from advae.records import CheckResult
from tests.checks.builder import N, attack, build_pipeline_runs, certify

WORST = attack(
    (0.2,), eps=(0.3,), name="worst", method="worst", steps=None, queries=1000, result={"lost_fraction": None}
)
"""An ensemble's run: it has no steps, and does not probe what its attacks lose on the way."""

SUBJECT = attack((0.6, 0.2))
OF_ALL = list_made_checks(random=False)


def run_checks(pipeline: PipelineRuns) -> dict[str, CheckResult]:
    results = check_together(pipeline)
    assert [result.check for result in results] == list_made_checks(random=pipeline.random)
    return {result.check: result for result in results}


def find(check: str, pipeline: PipelineRuns) -> str:
    return run_checks(pipeline)[check].status


def complete(subject: list[ScoredRun] = SUBJECT) -> PipelineRuns:
    """Return runs of a pipeline to which nothing is missing."""
    return build_pipeline_runs(
        subject,
        attack((0.7, 0.4), name="step", method="fgsm", steps=None),
        attack((0.8, 0.5), name="oblivious", threat="oblivious"),
        attack((0.97, 0.96), name="noise", threat="noise", method="noise", steps=None),
        attack((0.6, 0.2), name="longer", steps=20),
        attack((0.65, 0.25), name="black", threat="black-box", method="square", steps=None, queries=1000),
        attack((0.61, 0.21), name="once", method="pgd", restarts=1),
        attack((0.61, 0.21), name="often", method="pgd", restarts=5),
        attack((0.0,), name="full", eps=(1.0,)),
        attack((0.59, 0.2), name="all", method="worst", steps=None, queries=1000, result={"lost_fraction": None}),
        undefended=attack((0.3, 0.0), name="bare", classifier="bare", clean=0.985),
        certificates=[certify((0.4, 0.1))],
    )


def test_a_complete_and_healthy_case_passes_every_check() -> None:
    assert {check: result.status for check, result in run_checks(complete()).items()} == dict.fromkeys(OF_ALL, "PASS")


def test_checks_that_need_another_run_are_not_run_for_a_single_run() -> None:
    found = run_checks(build_pipeline_runs(SUBJECT))
    needs_another = {"samples", "clean-accuracy", "iterative", "full-budget", "adaptive", "black-box", "convergence"}
    not_run = {check for check, result in found.items() if result.status == "NOT RUN"}
    assert not_run == needs_another | {"restarts", "undefended", "ensemble", "certificate"}
    assert all(found[check].sentence for check in not_run)


# ---------------------------------------------------------------- the same samples


def test_permuted_labels_and_predictions_are_found_by_samples() -> None:
    """The accuracy of the run stays what it was: only beside another one does it show."""
    order = np.random.default_rng(0).permutation(1000)
    swapped = [
        replace(
            row,
            labels=row.labels[order],
            predictions=row.predictions[order],
            clean_predictions=row.clean_predictions[order],
        )
        for row in attack((0.8, 0.5), name="other", threat="oblivious")
    ]
    assert np.mean(swapped[0].right) == 0.8
    result = run_checks(build_pipeline_runs(SUBJECT, swapped))["samples"]
    assert (result.status, "the same labels" in result.sentence) == ("FAIL", True)
    assert find("samples", build_pipeline_runs(SUBJECT, attack((0.8, 0.5), name="other", threat="oblivious"))) == "PASS"


@pytest.mark.parametrize("what", ["ids", "images", "unchanged images"])
def test_other_samples_are_found(what: str) -> None:
    other = attack((0.8, 0.5), name="other", metrics={"samples_digest": "6" * 64} if what == "images" else {})
    if what == "ids":
        other = [replace(row, sample_ids=row.sample_ids + 1) for row in other]
    if what == "unchanged images":
        other = [replace(row, clean_predictions=row.clean_predictions[::-1]) for row in other]
    result = run_checks(build_pipeline_runs(SUBJECT, other))["samples"]
    assert result.status == "FAIL"
    assert what in result.sentence


# ---------------------------------------------------------------- a weaker attack that is ahead


@pytest.mark.parametrize(("left", "status"), [(0.1, "FAIL"), (0.199, "WARN"), (0.2, "PASS"), (0.4, "PASS")])
def test_an_ensemble_weaker_than_one_of_its_attacks_is_found(left: float, status: str) -> None:
    alone = attack((left,), eps=(0.3,), name="alone", method="pgd", restarts=1)
    result = run_checks(build_pipeline_runs(alone, WORST))["ensemble"]
    assert result.status == status
    assert "robust accuracy 20.00 % under worst" in result.sentence
    assert find("ensemble", build_pipeline_runs(SUBJECT, WORST)) == "NOT RUN"


@pytest.mark.parametrize(
    ("ahead", "noise", "status"), [(0.1, 0.3, "FAIL"), (0.005, 0.0, "WARN"), (0.0, 0.3, "PASS"), (-0.1, 0.3, "PASS")]
)
def test_behind_a_pipeline_that_samples_the_expected_accuracies_are_compared(
    ahead: float, noise: float, status: str
) -> None:
    rng = np.random.default_rng(0)
    rate = rng.uniform(0.3, 0.7, N).astype("f4")
    (alone,) = attack((0.2,), eps=(0.3,), name="alone", method="pgd", restarts=1)
    alone = replace(alone, success_rate=rate + ahead + noise * rng.permutation(np.linspace(-1, 1, N)).astype("f4"))
    # By one draw the attack alone is far ahead, or far behind.
    (ensemble,) = attack((0.4 if ahead <= 0 else 0.1,), eps=(0.3,), name="worst", method="worst", steps=None)
    result = run_checks(build_pipeline_runs([alone], [replace(ensemble, success_rate=rate)]))["ensemble"]
    assert (result.status, result.number) == (status, pytest.approx(ahead, abs=0.01))
    assert result.sentence.startswith("expected robust accuracy")


@pytest.mark.parametrize(("left", "status"), [(0.1, "FAIL"), (0.199, "PASS")])
def test_of_records_with_one_draw_only_what_is_beyond_chance_counts(left: float, status: str) -> None:
    sampling = {"stochastic": True}
    alone = attack((left,), eps=(0.3,), name="alone", method="pgd", restarts=1, metrics=sampling)
    worst = attack((0.2,), eps=(0.3,), name="worst", method="worst", steps=None, queries=1000, metrics=sampling)
    assert find("ensemble", build_pipeline_runs(alone, worst)) == status


@pytest.mark.parametrize(("left", "status"), [(0.1, "FAIL"), (0.199, "WARN"), (0.2, "PASS"), (0.4, "PASS")])
def test_an_iterative_attack_weaker_than_one_step_is_found(left: float, status: str) -> None:
    step = attack((0.7, left), name="step", method="fgsm", steps=None)
    assert find("iterative", build_pipeline_runs(SUBJECT, step)) == status


def test_robust_accuracy_at_eps_0_is_no_evidence() -> None:
    """There every attack is inside its budget, and no attack is ahead of another."""
    step = attack((0.98, 0.2), eps=(0.0, 0.3), name="step", method="fgsm", steps=None)
    many = attack((0.98, 0.2), eps=(0.0, 0.3), name="many")
    found = run_checks(build_pipeline_runs(many, step))
    assert [found[check].sentence.endswith("at eps 0.3") for check in ("budget", "iterative")] == [True, True]
    assert find("iterative", build_pipeline_runs(many[:1], step[:1])) == "NOT RUN"


@pytest.mark.parametrize("threat", ["oblivious", "noise", "transfer"])
@pytest.mark.parametrize(("left", "status"), [(0.1, "FAIL"), (0.199, "WARN"), (0.2, "PASS"), (0.4, "PASS")])
def test_an_adaptive_attack_weaker_than_an_ignorant_one_is_found(threat: str, left: float, status: str) -> None:
    weaker = attack((0.7, left), name="weaker", threat=threat)
    assert find("adaptive", build_pipeline_runs(SUBJECT, weaker)) == status


def test_samples_that_only_weaker_attackers_broke_are_a_warning() -> None:
    weaker = [replace(row, predictions=row.predictions.copy()) for row in attack((0.7, 0.5), threat="oblivious")]
    # Adaptive breaks more, but not these.
    weaker[-1].predictions[:50] = (weaker[-1].labels[:50] + 1) % 10
    result = run_checks(build_pipeline_runs(SUBJECT, weaker))["adaptive"]
    assert (result.status, result.number) == ("WARN", 0.05)


@pytest.mark.parametrize(("left", "status"), [(0.197, "FAIL"), (0.198, "PASS"), (0.3, "PASS")])
def test_a_black_box_more_than_a_fifth_of_a_point_ahead_is_found(left: float, status: str) -> None:
    black = attack((0.6, left), name="black", threat="black-box", method="square", steps=None, queries=1000)
    assert find("black-box", build_pipeline_runs(SUBJECT, black)) == status


@pytest.mark.parametrize(("left", "status"), [(0.25, "WARN"), (0.205, "WARN"), (0.202, "PASS"), (0.1, "PASS")])
def test_an_ensemble_that_asks_for_scores_does_not_vouch_for_its_gradients(left: float, status: str) -> None:
    """Its number counts what queries find; that gradients alone find less is a warning all the same."""
    black = attack((0.2,), eps=(0.3,), name="black", threat="black-box", method="square", steps=None, queries=1000)
    assert find("black-box", build_pipeline_runs(WORST, black)) == "NOT RUN"
    assert find("black-box", build_pipeline_runs(WORST, black, attack((left,), eps=(0.3,), method="pgd"))) == status
    # The strongest of them speaks, on the same samples at the same eps.
    weaker = attack((0.9,), eps=(0.3,), method="fgsm", steps=None), attack((0.0,), eps=(0.1,), method="pgd")
    assert (
        find("black-box", build_pipeline_runs(WORST, black, *weaker, attack((left,), eps=(0.3,), method="pgd")))
        == status
    )


@pytest.mark.parametrize(("before", "status"), [(0.25, "WARN"), (0.203, "WARN"), (0.202, "PASS"), (0.2, "PASS")])
@pytest.mark.parametrize("beside", [True, False])
def test_an_ensemble_whose_queries_break_what_its_gradients_left_is_found(
    before: float, status: str, beside: bool
) -> None:
    """AutoAttack's flag of its last attack, from one run alone."""
    members = [
        {"attack": "apgd", "loss": "ce", "attacked": N, "accuracy": 0.4},
        {"attack": "apgd-t", "loss": None, "attacked": 4 * N // 10, "accuracy": before},
        {"attack": "square", "loss": None, "attacked": 1, "accuracy": 0.2},
    ]
    ensemble = attack((0.2,), eps=(0.3,), method="autoattack", steps=None, result={"members": members})
    black = attack((0.2,), eps=(0.3,), name="black", threat="black-box", method="square", steps=None, queries=1000)
    found = run_checks(build_pipeline_runs(ensemble, *([black] if beside else [])))["black-box"]
    assert found.status == status
    assert "20.00 % after square" in found.sentence


def test_an_attack_that_is_weak_at_one_eps_only_is_found_there() -> None:
    """Where the largest eps breaks everything, all attacks look alike; the numbers at the smaller ones stand too."""
    subject = attack((0.6, 0.0))
    others = {
        "black-box": attack((0.5, 0.0), name="black", threat="black-box", method="square", steps=None, queries=1000),
        "adaptive": attack((0.5, 0.0), name="transfer", threat="transfer"),
        "convergence": attack((0.5, 0.0), name="longer", steps=20),
    }
    for check, other in others.items():
        result = run_checks(build_pipeline_runs(subject, other))[check]
        assert (result.status, result.sentence[-10:]) == ("FAIL", " (eps 0.1)"), check


def test_attacks_at_another_eps_or_norm_or_outside_the_budget_are_not_compared() -> None:
    others = (
        attack((0.0,), name="a", threat="oblivious", eps=(0.4,)),
        attack((0.0, 0.0), name="b", threat="oblivious", norm="l2"),
        attack((0.0, 0.0), name="c", threat="oblivious", result={"within_budget": False}),
    )
    assert find("adaptive", build_pipeline_runs(SUBJECT, *others)) == "NOT RUN"


# ---------------------------------------------------------------- enough effort


@pytest.mark.parametrize(("left", "status"), [(0.1, "FAIL"), (0.195, "PASS"), (0.2, "PASS")])
def test_twice_the_steps_that_lower_the_robust_accuracy_are_found_from_either_run(left: float, status: str) -> None:
    """Once the longer run is there it is the strongest, and the subject: the shorter one beside it must count too."""
    longer = attack((0.6, left), name="longer", steps=20)
    assert find("convergence", build_pipeline_runs(SUBJECT, longer)) == status
    assert find("convergence", build_pipeline_runs(longer, SUBJECT)) == status


def test_steps_of_another_attack_do_not_count_for_convergence() -> None:
    others = attack((0.5, 0.1), name="a", steps=20, method="pgd"), attack((0.5, 0.1), name="b", steps=15)
    assert find("convergence", build_pipeline_runs(SUBJECT, *others)) == "NOT RUN"


@pytest.mark.parametrize(("left", "status"), [(0.3, "FAIL"), (0.395, "PASS")])
def test_an_ensemble_has_converged_where_the_strongest_of_its_attacks_has(left: float, status: str) -> None:
    """At its own eps: a PASS of another attack at a smaller eps does not validate the reported robust accuracy."""
    smaller = attack((0.9,), eps=(0.1,), name="a", method="pgd"), attack((0.9,), eps=(0.1,), method="pgd", steps=20)
    once = attack((0.4,), eps=(0.3,), name="b", method="pgd")
    assert find("convergence", build_pipeline_runs(WORST, *smaller)) == "NOT RUN"
    assert find("convergence", build_pipeline_runs(WORST, *smaller, once)) == "NOT RUN"
    twice = attack((left,), eps=(0.3,), name="c", method="pgd", steps=20)
    result = run_checks(build_pipeline_runs(WORST, *smaller, once, twice))["convergence"]
    assert result.status == status
    assert result.sentence.startswith("pgd: robust accuracy 40.00 % after 10 iterations")
    assert result.sentence.endswith("(eps 0.3)")


def test_checks_of_iterations_are_made_on_the_attacks_of_an_ensemble() -> None:
    lost, unused = {"result": {"lost_fraction": 0.5}}, (0.2, 0.6)
    for others, expected in (
        ([attack((0.9, 0.4), method="pgd")], {"best-iterate": "PASS", "monotone": "PASS"}),
        ([attack((0.9, 0.4), method="pgd", **lost)], {"best-iterate": "WARN", "monotone": "PASS"}),
        ([attack(unused, method="pgd")], {"best-iterate": "PASS", "monotone": "FAIL"}),
        # Another threat model, an attack that is none of them, another budget.
        ([attack((0.9, 0.4), method="pgd", threat="oblivious")], {"best-iterate": "NOT RUN", "monotone": "NOT RUN"}),
        ([attack((0.9, 0.4), method="bim")], {"best-iterate": "NOT RUN", "monotone": "NOT RUN"}),
        ([attack((0.9,), eps=(0.1,), method="pgd")], {"best-iterate": "NOT RUN", "monotone": "NOT RUN"}),
    ):
        found = run_checks(build_pipeline_runs(WORST, *others))
        assert {check: found[check].status for check in expected} == expected
    # No other attack speaks for one that is no ensemble.
    alone = attack((0.2,), eps=(0.3,), method="bim")
    assert find("monotone", build_pipeline_runs(alone, attack((0.9, 0.4), method="pgd"))) == "NOT RUN"


def test_restarts_that_bring_more_are_a_warning_and_need_a_run_with_fewer() -> None:
    once = attack((0.6, 0.2), name="once", method="pgd", restarts=1)
    often = attack((0.5, 0.1), name="often", method="pgd", restarts=5)
    assert find("restarts", build_pipeline_runs(once, often)) == "WARN"
    assert (
        find("restarts", build_pipeline_runs(once, attack((0.6, 0.2), name="often", method="pgd", restarts=5)))
        == "PASS"
    )
    assert find("restarts", build_pipeline_runs(often)) == "NOT RUN"
    # What more steps of another attack bring is not what restarts bring.
    assert find(
        "restarts", build_pipeline_runs(attack((0.9, 0.6)), once, attack((0.6, 0.2), method="pgd", restarts=5))
    ) == ("PASS")


@pytest.mark.parametrize(("left", "status"), [(0.05, "PASS"), (0.1, "PASS"), (0.11, "WARN"), (0.3, "FAIL")])
def test_all_the_budget_there_is_must_reach_chance(left: float, status: str) -> None:
    assert find("full-budget", build_pipeline_runs(SUBJECT, attack((left,), name="full", eps=(1.0,)))) == status


@pytest.mark.parametrize(("left", "status"), [(0.0, "PASS"), (0.7, "WARN"), (0.985, "FAIL")])
def test_an_undefended_counterpart_that_does_not_break_is_found(left: float, status: str) -> None:
    bare = attack((left, left), name="bare", classifier="bare", clean=0.985)
    assert find("undefended", build_pipeline_runs(SUBJECT, undefended=bare)) == status


def test_a_bare_classifier_that_holds_at_a_larger_eps_counts_at_a_smaller_one() -> None:
    """Not the other way round: a budget too small to break it says nothing of a larger one that does."""
    for left, status in (((0.0, 0.985), "FAIL"), ((0.985, 0.0), "PASS")):
        bare = attack(left, name="bare", classifier="bare", clean=0.985)
        subject = SUBJECT[0] if status == "FAIL" else SUBJECT[1]
        pipeline = replace(build_pipeline_runs(SUBJECT, undefended=bare), subject=subject)
        assert find("undefended", pipeline) == status


def test_a_pair_on_few_samples_does_not_count_for_one_on_many() -> None:
    """The single step is further ahead on ten samples, where that is chance, than on all, where it is not."""
    step = attack((0.15,), eps=(0.3,), name="step", method="fgsm", steps=None)
    few = [attack((left,), eps=(0.3,), name=f"few {left}", n=10, **more) for left, more in
           ((0.4, {}), (0.1, {"method": "fgsm", "steps": None}))]  # fmt: skip
    assert find("iterative", build_pipeline_runs(SUBJECT, step, *few)) == "FAIL"
    level = attack((0.2,), eps=(0.3,), name="step", method="fgsm", steps=None)
    assert find("iterative", build_pipeline_runs(SUBJECT, level, *few)) == "PASS"


def test_the_full_budget_on_few_samples_does_not_count_for_many() -> None:
    full = attack((0.3,), name="full", eps=(1.0,))
    few = attack((0.0,), name="few", eps=(1.0,), n=2)
    assert find("full-budget", build_pipeline_runs(SUBJECT, full, few)) == "FAIL"


@pytest.mark.parametrize(("clean", "status"), [(0.99, "PASS"), (0.999, "PASS"), (1.0, "PASS")])
def test_a_purifier_that_costs_two_points_or_less_passes(clean: float, status: str) -> None:
    bare = attack((0.1, 0.0), name="bare", classifier="bare", clean=clean)
    assert find("clean-accuracy", build_pipeline_runs(SUBJECT, undefended=bare)) == status


def test_a_purifier_that_costs_accuracy_is_a_warning() -> None:
    subject, bare = attack((0.6, 0.2), clean=0.95), attack((0.1, 0.0), classifier="bare", clean=0.98)
    assert find("clean-accuracy", build_pipeline_runs(subject, undefended=bare)) == "WARN"


def test_without_a_purifier_there_is_nothing_to_compare_it_with() -> None:
    found = run_checks(build_pipeline_runs(SUBJECT, defended=False))
    for check in ("clean-accuracy", "undefended"):
        assert (found[check].status, found[check].sentence) == ("NOT RUN", "there is no purifier")


def test_a_stored_fail_of_a_run_counts() -> None:
    stuck = attack((0.6, 0.2), result={"loss_curve": ((0, 1.0), (10, 0.5))})
    assert find("convergence", build_pipeline_runs(stuck, attack((0.6, 0.2), name="longer", steps=20))) == "FAIL"


def test_mcnemar_is_the_binomial_test_on_the_samples_that_differ() -> None:
    from scipy.stats import binomtest

    rng = np.random.default_rng(3)
    for n in (20, 500, 10_000):
        one, other = rng.random(n) < 0.5, rng.random(n) < 0.52
        first, second = int((one & ~other).sum()), int((other & ~one).sum())
        assert mcnemar(one, other) == pytest.approx(binomtest(first, first + second).pvalue, rel=1e-9)
    assert mcnemar(one, one) == 1.0
