"""What the report sets beside what: counterparts, rows, and their numbers in every format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.wording import NOT_RUN, format_eps, format_rate
from tests.report_fixtures import Lab, make_views, read_files


def test_defended_run_is_set_beside_the_undefended_one(lab: Lab, pair: list[Manifest]) -> None:
    undefended, defended = pair
    rows = compare_runs(lab.registry, pair).table_rows
    assert [(row.run.id, row.eps) for row in rows] == [(defended.id, 0.1), (defended.id, 0.3)]
    assert {row.undefended.run.id for row in rows if row.undefended} == {undefended.id}


def test_counterpart_is_found_in_the_registry_though_it_was_not_named(lab: Lab, pair: list[Manifest]) -> None:
    row = compare_runs(lab.registry, pair[1:]).table_rows[0]
    assert row.undefended is not None
    assert row.undefended.run.id == pair[0].id


@pytest.mark.parametrize(
    "changes",
    [
        {"first_id": 5},
        {"n": 90},
        {"eps": (0.05, 0.2)},
        {"method": "fgsm"},
        {"target": 3},
        {"valid": False},
    ],
    ids=["other samples", "fewer samples", "other eps", "other method", "other target", "not clipped"],
)
def test_a_run_that_differs_is_no_counterpart(lab: Lab, tmp_path: Path, changes: dict[str, Any]) -> None:
    lab.add_run(lab.add_classifier(), **changes)
    defended = lab.add_run(lab.add_classifier(lab.add_autoencoder()))
    files = read_files(lab, [defended], tmp_path)
    row = json.loads(files["json"])["accuracy"][0]
    assert row["undefended_counterpart"] == {"status": NOT_RUN}
    assert row["robust_accuracy"] == defended.as_run()[1].results[0].accuracy
    assert NOT_RUN in files["html"]
    assert NOT_RUN in files["md"]
    assert next(csv.DictReader(files["csv"].splitlines()))["undefended_counterpart_robust_accuracy"] == NOT_RUN


def test_another_kind_of_classifier_is_no_counterpart(lab: Lab) -> None:
    lab.add_run(lab.add_classifier(model="lr"))
    defended = lab.add_run(lab.add_classifier(lab.add_autoencoder()))
    assert all(row.undefended is None for row in compare_runs(lab.registry, [defended]).rows)


def test_counterpart_with_the_same_seed_is_preferred_to_a_newer_one(lab: Lab) -> None:
    same = lab.add_run(lab.add_classifier(seed=0))
    lab.add_run(lab.add_classifier(seed=1))
    row = compare_runs(lab.registry, [lab.add_run(lab.add_classifier(lab.add_autoencoder()))]).rows[0]
    assert row.undefended is not None
    assert row.undefended.run.id == same.id


def test_newest_counterpart_is_taken_where_none_is_nearer(lab: Lab) -> None:
    lab.add_run(lab.add_classifier(seed=1))
    newest = lab.add_run(lab.add_classifier(seed=2))
    row = compare_runs(lab.registry, [lab.add_run(lab.add_classifier(lab.add_autoencoder()))]).rows[0]
    assert row.undefended is not None
    assert row.undefended.run.id == newest.id


def test_counterpart_with_other_steps_is_noted(lab: Lab) -> None:
    lab.add_run(lab.add_classifier(), steps=40)
    row = compare_runs(lab.registry, [lab.add_run(lab.add_classifier(lab.add_autoencoder()))]).rows[0]
    assert any("other options (steps 40" in note for note in row.notes)


def test_an_undefended_run_alone_has_a_row(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier())
    rows = json.loads(read_files(lab, [run], tmp_path)["json"])["accuracy"]
    assert [row["autoencoder"] for row in rows] == ["none", "none"]
    assert rows[0]["run"] == rows[0]["undefended_counterpart"]["run"] == run.id


# ---------------------------------------------------------------- numbers


def test_confusion_rows_sum_to_the_true_counts(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    runs = json.loads(read_files(lab, pair, tmp_path)["json"])["runs"]
    for run, manifest in ((run, lab.registry.manifest(run["id"])) for run in runs):
        labels = lab.registry.read_arrays(manifest, "outcomes.npz")["labels"]
        counts = np.bincount(labels, minlength=10)
        assert [one["eps"] for one in run["scores"]] == [None, 0.1, 0.3]
        for one in run["scores"]:
            assert np.sum(one["confusion_matrix"], axis=1).tolist() == counts.tolist()
            assert [one["classification_report"][str(k)]["support"] for k in range(10)] == counts.tolist()


def test_json_has_every_number_unrounded(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    document = json.loads(read_files(lab, pair, tmp_path)["json"])
    assert document["schema"] == 5
    stored = {run.id: run.metrics.model_dump(mode="json") for run in pair}
    # The checks are made anew.
    assert {run["id"]: run["metrics"] | {"verdicts": []} for run in document["runs"]} == stored
    names = {"accuracy": "robust_accuracy", "accuracy_interval": "robust_accuracy_interval"}
    for row in document["accuracy"]:
        result = next(r for r in stored[row["run"]]["results"] if r["eps"] == row["eps"])
        shown = {name: value for name, value in result.items() if names.get(name, name) in row}
        assert len(shown) == 11
        assert {name: row[names.get(name, name)] for name in shown} == shown
    assert document["networks"][0]["history"]["loss"] == [2.0, 0.9, 0.3, 0.1, 0.05]


def test_csv_has_a_line_for_each_run_and_eps(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    lines = list(csv.DictReader(read_files(lab, pair, tmp_path)["csv"].splitlines()))
    assert sorted((line["run"], line["eps"]) for line in lines) == sorted(
        (m.id, e) for m in pair for e in ("0.1", "0.3")
    )
    defended = next(line for line in lines if line["run"] == pair[1].id)
    assert float(defended["robust_accuracy"]) == pair[1].as_run()[1].results[0].accuracy
    assert float(defended["undefended_counterpart_robust_accuracy"]) == pair[0].as_run()[1].results[0].accuracy
    assert "" not in defended.values()


@pytest.mark.parametrize(
    ("eps", "text"), [(50 / 255, "0.196 (50/255)"), (0.3, "0.3 (76.5/255)"), (1.0, "1 (255/255)"), (0.0, "0 (0/255)")]
)
def test_eps_is_shown_in_both_scales(eps: float, text: str) -> None:
    assert format_eps(eps).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_missing_rate_is_never_a_blank() -> None:
    assert format_rate(None) == NOT_RUN


# ---------------------------------------------------------------- what was trained


def test_networks_behind_the_runs_come_first_then_those_that_no_run_rests_on(lab: Lab) -> None:
    purifier = lab.add_autoencoder(views=make_views())
    classifier = lab.add_classifier(purifier)
    run = lab.add_run(classifier)
    extra = [lab.add_autoencoder(activations=(name, name, name, "softplus")) for name in ("relu", "tanh", "elu")]
    networks = compare_runs(lab.registry, [run], [*extra, purifier]).networks
    ids = [network.id for network in networks]
    assert ids == [purifier.id, classifier.id, *sorted(entry.id for entry in extra)]
    assert networks[0].views is not None
    assert np.array_equal(networks[0].views["purified"], make_views()["purified"])
    assert [network.views for network in networks[1:]] == [None] * 4


def test_a_baseline_is_among_the_networks_where_it_has_images_to_show(lab: Lab) -> None:
    baselines = [
        lab.add_autoencoder(kind, views=views, network=None, loss=None, history=None, rescale="none")
        for kind, views in (("blur", make_views()), ("pca", None))
    ]
    runs = [lab.add_run(lab.add_classifier(baseline, model="lr", history=None)) for baseline in baselines]
    assert [network.id for network in compare_runs(lab.registry, runs).networks] == [baselines[0].id]
