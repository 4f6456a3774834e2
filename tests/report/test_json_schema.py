"""report.json and the JSON Schema that describes it: every report is valid, every field described, nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from advae.records import Manifest
from advae.report.formats.json_schema import describe_schema
from tests.report_fixtures import DIGITS, Lab, read_files

SCHEMA = describe_schema({})
VALIDATOR = Draft202012Validator(SCHEMA)
MODELS: dict[str, Any] = {"Document": SCHEMA, **SCHEMA["$defs"]}


def report_on(lab: Lab, runs: list[Manifest], out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read_files(lab, runs, out)["json"])
    return document


# ---------------------------------------------------------------- registries


def make_undefended(lab: Lab) -> list[Manifest]:
    return [lab.add_run(lab.add_classifier(), checked=True)]


def make_pair(lab: Lab) -> list[Manifest]:
    return [lab.add_run(lab.add_classifier()), lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True)]


def make_gaps(lab: Lab) -> list[Manifest]:
    """An oblivious run alone, an encoded one, one outside its budget, and a collapsed classifier."""
    classifier = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 45.0)))
    runs = [lab.add_run(classifier, threat=threat) for threat in ("oblivious", "encoded", "of-a-later-version")]
    runs.append(lab.add_run(classifier, norm="l2", valid=False, method="non-targeted"))
    return [*runs, lab.add_run(lab.add_classifier(model="lr"), clean=0.1, eps=(0.0, 0.1))]


def make_illusion(lab: Lab) -> list[Manifest]:
    classifier = lab.add_classifier(lab.add_autoencoder())
    return [lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.8)), lab.add_run(classifier)]


def make_baselines(lab: Lab) -> list[Manifest]:
    """One baseline that met the attack, one that met another, one that is missing."""
    kinds = {"vanilla": {}, "sparse": {}, "blur": {}, "pca": {"steps": 20}}
    return [lab.add_run(lab.add_classifier(lab.add_autoencoder(kind)), **options) for kind, options in kinds.items()]


def make_baselines_and_more(lab: Lab) -> list[Manifest]:
    return [lab.add_run(lab.add_classifier()), *make_baselines(lab)]


def make_seeds(lab: Lab) -> list[Manifest]:
    behind = [lab.add_run(lab.add_classifier(lab.add_autoencoder(seed=seed), seed=seed)) for seed in (0, 1)]
    return [
        *behind,
        lab.add_run(
            lab.add_classifier(),
            restarts=5,
            queries=10,
            draws=16,
            surrogate=lab.add_classifier(seed=2).id,
            precision="bfloat16",
        ),
    ]


REGISTRIES = (
    make_undefended,
    make_pair,
    make_gaps,
    make_illusion,
    make_baselines,
    make_baselines_and_more,
    make_seeds,
)


@pytest.mark.parametrize("make", REGISTRIES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_every_report_is_valid(make: Any, lab: Lab, tmp_path: Path) -> None:
    document = report_on(lab, make(lab), tmp_path)
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert (document["$schema"], document["schema"]) == (SCHEMA["$id"], 5)


def test_strange_names_are_valid(tmp_path: Path) -> None:
    names = ("<script>", "accuracy", "", "macro avg", "\x1b[2J\n", "\N{PILE OF POO}")
    lab = Lab(tmp_path / "home", DIGITS.model_copy(update={"name": "=1+1\n", "classes": names}))
    document = report_on(lab, make_pair(lab), tmp_path)
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert document["runs"][0]["recipe"]["dataset"]["classes"] == list(names)


# ---------------------------------------------------------------- the schema


def find_objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from find_objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from find_objects(value)


def test_the_schema_is_one_and_asks_nothing_of_any_server() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"].startswith("urn:")
    references = set(find_values(SCHEMA, "$ref"))
    assert references
    assert all(reference.removeprefix("#/$defs/") in SCHEMA["$defs"] for reference in references)


def find_values(schema: Any, key: str) -> Iterator[str]:
    for name, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if name == key and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from find_values(value, key)


def test_every_object_lists_its_fields_and_allows_no_other() -> None:
    objects = list(find_objects(SCHEMA))
    assert len(objects) > 30
    for schema in objects:
        # What has no fields of its own is a map, and says what its values are.
        assert schema["additionalProperties"] is False if "properties" in schema else schema["additionalProperties"]


def test_every_field_and_every_model_is_described() -> None:
    for name, model in MODELS.items():
        assert model["description"].endswith("."), name
        for field, facts in model["properties"].items():
            assert facts["description"].endswith("."), f"{name}.{field}"


def test_a_field_too_many_or_too_few_or_of_another_version_is_refused(lab: Lab, tmp_path: Path) -> None:
    document = report_on(lab, make_pair(lab), tmp_path)

    def spoil(change: Any) -> list[str]:
        spoilt = deepcopy(document)
        change(spoilt)
        return [error.message for error in VALIDATOR.iter_errors(spoilt)]

    assert spoil(lambda d: None) == []
    assert spoil(lambda d: d.update(more=1))
    assert spoil(lambda d: d.update(schema=1))
    assert spoil(lambda d: d["accuracy"][0].pop("mcnemar_p"))
    assert spoil(lambda d: d["runs"][0]["metrics"].pop("n"))
    assert spoil(lambda d: d["runs"][0]["recipe"].update(more=1))
    assert spoil(lambda d: d["accuracy"][0].update(with_=None))
    assert spoil(lambda d: d["accuracy"][0].update(clean_accuracy=1.01))
    assert spoil(lambda d: d["accuracy"][0]["undefended_counterpart"].update(status="NOT RUN"))
