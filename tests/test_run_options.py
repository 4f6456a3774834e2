"""A line that is added to the table of run options: everything that takes, stores or shows an option has it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from advae.attacks import ATTACKS
from advae.records import RunRecipe
from advae.requests import AttackRequest
from advae.run_options import RUN_OPTIONS, RunOptions

ADD = """
import io, json, sys
from contextlib import redirect_stdout
from pathlib import Path
from advae.run_options import RUN_OPTIONS, NamedOption, RunOption

RUN_OPTIONS["patience"] = NamedOption("patience", int, True, None, RunOption(
    help="Iterations without gain of {attacks} before it stops; default {defaults}.",
    meaning="Iterations without gain before the attack stops; absent for others.",
    metavar="N", least=1, most=50, absent=True, named="{} patience".format,
    own=lambda row: 7 if row.restarts else None,
))
found = {}

from typer.testing import CliRunner
from advae.cli import main
shown = io.StringIO()
with redirect_stdout(shown):
    main(["attack", "--help"])
found["help"] = shown.getvalue()

from advae.cli.attack_options import ATTACK, build_requests
values = {name: default for name, (_, default) in ATTACK.options.items()}
options = ATTACK.build(values | {"patience": 3})
(request,) = build_requests("pgd", "0.1", options)
found["request"] = request.patience

from advae.experiments.plan import AttackPlan
plan = AttackPlan.model_validate(
    {"classifiers": ["nn"], "behind": ["none"], "methods": ["pgd"], "eps": [0.1], "patience": 4}
)
found["plan"] = [one.patience for one in plan.list_requests(0)]

sys.path.insert(0, "tests")
from advae.records import ClassifierRecipe, DatasetRef, NetworkOptions, RunRecipe, entry_id
from advae.workflows.counterparts import PipelineRecipes
from advae.workflows.run_recipes import prepare_run
ref = DatasetRef(name="digits", digest="0" * 64, side=8, classes=tuple("0123456789"))
network = NetworkOptions(
    hidden=8, code=2, activations=("relu",) * 4, epochs=1, batch_size=8, learning_rate=0.001
)
classifier = ClassifierRecipe(model="nn", dataset=ref, autoencoder=None, options=network, seed=0, recipe_rev=1)
def prepare(request):
    return prepare_run(PipelineRecipes(classifier), request, n_test=100, find_counterpart=lambda one: one.id).recipe
recipe = prepare(request)
found["recipe"] = recipe.patience
found["default"] = prepare(request.model_copy(update={"patience": None})).patience
other = prepare(request.model_copy(update={"patience": None, "method": "fgsm"}))
found["absent"] = "patience" in other.model_dump(mode="json")
found["ids differ"] = entry_id(recipe) != entry_id(recipe.model_copy(update={"patience": 4}))
try:
    prepare(request.model_copy(update={"method": "fgsm"}))
except Exception as error:
    found["refused"] = str(error)

from advae.run_options import values_of, write_options
found["values"] = values_of(recipe)["patience"]
found["command"] = write_options(recipe)["patience"]
from types import SimpleNamespace
from advae.checks.across_runs import ALL_BUT_STEPS
from advae.report.data.pairing import describe_differences, has_same_options, identify_attack
from advae.report.wording import name_attack
runs = [SimpleNamespace(recipe=recipe.model_copy(update={"patience": n})) for n in (3, 3, 4)]
found["named"] = name_attack(runs[0])
found["alike"] = [identify_attack(runs[0]) == identify_attack(other) for other in runs[1:]]
found["as hard"] = [has_same_options(runs[0], other) for other in runs[1:]]
found["warned of"] = [describe_differences(runs[0], other) for other in runs[1:]]
found["compared"] = [
    values_of(runs[0].recipe, ALL_BUT_STEPS) == values_of(other.recipe, ALL_BUT_STEPS) for other in runs[1:]
]

from advae.report.formats.json_schema import describe_schema
schema = json.dumps(describe_schema({}))
found["schema"] = "Iterations without gain before the attack stops" in schema
from advae.report.analysis.run_results import AccuracyRecord
from advae.report.analysis.tables import flatten_record
row = AccuracyRecord.model_construct(**dict.fromkeys(AccuracyRecord.model_fields) | {"patience": 3})
found["json"], found["csv"] = row.model_dump(mode="json")["patience"], flatten_record(row).get("patience")
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def added() -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", ADD], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_command_line_takes_it(added: dict[str, object]) -> None:
    assert "--patience" in str(added["help"])
    assert "before it stops" in " ".join(str(added["help"]).replace("│", " ").split())
    assert added["request"] == 3


def test_a_plan_takes_it(added: dict[str, object]) -> None:
    assert added["plan"] == [4]


def test_the_recipe_stores_it_and_leaves_the_ids_of_others_as_they_are(added: dict[str, object]) -> None:
    assert (added["recipe"], added["default"]) == (3, 7)
    assert added["absent"] is False
    assert added["ids differ"] is True
    assert added["refused"] == "--patience does not fit attack 'fgsm'"


def test_the_report_shows_it(added: dict[str, object]) -> None:
    assert (added["values"], added["command"]) == (3, 3)
    assert (added["json"], added["csv"]) == (3, 3)
    assert added["schema"] is True


def test_what_compares_attacks_compares_it(added: dict[str, object]) -> None:
    assert added["warned of"] == ["", "patience 3 instead of 4"]
    assert added["alike"] == added["as hard"] == added["compared"] == [True, False]


def test_an_attack_is_named_by_it(added: dict[str, object]) -> None:
    assert str(added["named"]).split(", ")[0] == "pgd"
    assert "3 patience" in str(added["named"]).split(", ")


@pytest.mark.parametrize("name", RUN_OPTIONS)
def test_each_option_is_typed_asked_for_and_stored(name: str) -> None:
    assert name in RunOptions.__annotations__
    assert AttackRequest.model_fields[name].default == RUN_OPTIONS[name].default
    stored = RunRecipe.model_fields[name]
    assert stored.description == RUN_OPTIONS[name].description
    assert (stored.exclude_if is not None) is RUN_OPTIONS[name].row.absent


@pytest.mark.parametrize("name", RUN_OPTIONS)
def test_each_option_fits_some_attack(name: str) -> None:
    assert any(map(RUN_OPTIONS[name].fits, ATTACKS.values()))
