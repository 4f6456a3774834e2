"""What a report says of pipelines that sample: any-of-k is their robust accuracy, beside one shot and majority."""

from __future__ import annotations

import json
from pathlib import Path

from advae.report.analysis.collecting import compare_runs
from tests.report_fixtures import Lab, check_classifier, read_files

FOUND = {"stochastic": True, "eot_agreement": (0.95, 0.97)}


def test_the_headline_of_a_pipeline_that_samples_is_any_of_k_beside_the_others(lab: Lab, tmp_path: Path) -> None:
    purifier = lab.add_autoencoder("variational", options={"sample": True})
    run = lab.add_run(
        lab.add_classifier(purifier), eps=(0.1,), keep=(0.8,), checked=True, luck=0.1, draws=16, found=FOUND
    )
    result, metrics = run.as_run()[1].results[0], run.as_run()[1]
    any_, majority = result.any_of_k_accuracy, result.majority_of_k_accuracy
    assert any_ is not None
    assert majority is not None
    assert any_ < 0.5 < majority
    assert result.accuracy > 0.5
    files = read_files(lab, [run], tmp_path)
    document = json.loads(files["json"])
    (row,), (headline,) = document["accuracy"], document["headlines"]
    assert (row["robust_accuracy"], row["one_shot_accuracy"]) == (any_, result.accuracy)
    assert (row["any_of_k_accuracy"], row["majority_of_k_accuracy"], row["k_draws"]) == (any_, majority, 10)
    assert row["clean_any_of_k_accuracy"] == metrics.clean_any_of_k_accuracy
    assert (headline["adaptive"]["robust_accuracy"], headline["adaptive"]["k_draws"]) == (any_, 10)
    for text in (files["md"], files["html"]):
        assert "on every one of 10 draws" in text
        assert "majority of 10" in text
        assert "clean, any of k" in text
    (pipeline,) = compare_runs(lab.registry, [run]).pipelines
    assert pipeline.subject is not None
    assert pipeline.subject.right.mean() == any_
    checks = {check.check: check.status for check in check_classifier(lab.registry, pipeline.id).checks}
    assert checks["eot"] == "PASS"
    threats = {one["threat"] for one in document["threat_models"]}
    assert "fixed-randomness" in threats


def test_a_report_without_randomness_does_not_speak_of_draws(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), eps=(0.1,), keep=(0.8,), checked=True)
    files = read_files(lab, [run], tmp_path)
    document = json.loads(files["json"])
    assert {one["check"] for one in document["checks"]}.isdisjoint({"eot"})
    assert {one["threat"] for one in document["threat_models"]}.isdisjoint({"fixed-randomness"})
    for text in (files["md"], files["html"]):
        assert not any(words in text for words in ("any of k", "any of 10", "majority of"))
        assert "fixed-randomness" not in text
