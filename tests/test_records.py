"""The records: JSON both ways, identity by recipe, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from advae.errors import UsageError
from advae.identity import canonical_json
from advae.records import (
    Artifact,
    AutoencoderMetrics,
    AutoencoderRecipe,
    CheckResult,
    ClassifierMetrics,
    ClassifierRecipe,
    DatasetKey,
    DatasetRef,
    History,
    LogisticOptions,
    Manifest,
    NetworkOptions,
    Recipe,
    Record,
    RunRecipe,
    entry_id,
)
from advae.requests import AttackRequest, NetworkRequest
from tests.entries import (
    HISTORY,
    NETWORK,
    TINY,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_code_attack_recipe,
    make_metrics,
    make_run_recipe,
)

LOGISTIC = LogisticOptions(C=65025.0, intercept=False, max_iter=100)
RECIPES: dict[str, Recipe] = {
    "ae": make_autoencoder_recipe(),
    "ae-with-options": make_autoencoder_recipe(
        type="denoising", options={"noise": "gaussian", "noise_level": 0.5, "sample": True, "draws": 3}
    ),
    "ae-baseline": make_autoencoder_recipe(
        type="blur", network=None, loss=None, rescale="none", options={"sigma": 1.0}
    ),
    "clf-network": make_classifier_recipe(autoencoder="ae-0123456789ab"),
    "clf-logistic": make_classifier_recipe(model="lr", options=LOGISTIC),
    "run": make_run_recipe(),
    "code": make_code_attack_recipe(),
    "code-full": make_code_attack_recipe(target=1, limit=100, optimizer="l-bfgs-b"),
    "run-full": make_run_recipe(
        twin="clf-0123456789ab", eps=(50 / 255, 0.1, 1e-300), target=5, step_size=0.01, clip=False, limit=100
    ),
}
RECIPE_CASES = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def seal(recipe: Recipe) -> Manifest:
    """Return a manifest around a recipe."""
    return Manifest(
        id=entry_id(recipe),
        recipe=recipe,
        parents=recipe.parents,
        dataset=DatasetKey(name=recipe.dataset.name, digest=recipe.dataset.digest),
        metrics=make_metrics(recipe),
        artifacts={"weights.npz": Artifact(sha256="0" * 64, size=10)},
        source=None,
        versions={"python": "3.11"},
        created="2025-01-01T00:00:00.000000+00:00",
    )


# ---------------------------------------------------------------- JSON both ways


@RECIPE_CASES
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    back = type(recipe).model_validate_json(recipe.model_dump_json())
    assert back == recipe
    assert back.model_dump_json() == recipe.model_dump_json()
    assert entry_id(back) == entry_id(recipe)


@RECIPE_CASES
def test_a_manifest_survives_json_and_knows_its_kind(recipe: Recipe) -> None:
    manifest = seal(recipe)
    back = Manifest.model_validate(json.loads(json.dumps(manifest.model_dump(mode="json"))))
    assert back == manifest
    assert type(back.recipe) is type(recipe)
    assert type(back.metrics) is type(manifest.metrics)
    assert back.kind == recipe.kind
    assert back.parents == recipe.parents


def test_options_of_a_classifier_keep_their_type() -> None:
    for recipe in (RECIPES["clf-network"], RECIPES["clf-logistic"]):
        back = ClassifierRecipe.model_validate_json(recipe.model_dump_json())
        assert type(back.options) is type(recipe.options)


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)


@settings(max_examples=60)
@given(
    options=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), SCALARS, max_size=4),
    seed=st.integers(0, 2**31 - 1),
)
def test_any_options_survive_json_with_their_types(options: dict[str, Any], seed: int) -> None:
    recipe = make_autoencoder_recipe(options=options, seed=seed)
    back = AutoencoderRecipe.model_validate_json(recipe.model_dump_json())
    assert back == recipe
    assert {name: type(value) for name, value in back.options.items()} == {
        name: type(value) for name, value in options.items()
    }
    assert entry_id(back) == entry_id(recipe)


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_every_float_survives_json_exactly(eps: list[float]) -> None:
    recipe = make_run_recipe(eps=tuple(eps))
    back = RunRecipe.model_validate_json(recipe.model_dump_json())
    assert [value.hex() for value in back.eps] == [value.hex() for value in eps]


BEYOND: dict[str, tuple[Any, ...]] = {
    "metrics.n": (0, -1, 2**60),
    "metrics.clean_accuracy": (7.0, -0.1, "nan"),
    "metrics.clean_accuracy_interval": ([0.5, 0.4], [0.0, 1.1]),
    "metrics.results": ([],),
    "metrics.class_counts": ([-1],),
    "metrics.start_range": ([1.0, 0.0], [0.0, 1e308]),
    "metrics.samples_digest": ("\x1b[2J",),
    "metrics.results.0.eps": (1e308, -0.1),
    "metrics.results.0.accuracy": (1.0000001, -1e-9),
    "metrics.results.0.attack_success_rate": (2.0,),
    "metrics.results.0.linf_max": (-1.0, 1e308),
    "metrics.results.0.targets": ([-1], [65_536]),
    "metrics.results.0.loss_curve": ([[0, 1e308]], [[-1, 0.0]]),
    "recipe.eps": ([], [1e308], [-0.1]),
    "recipe.target": (-1,),
    "recipe.steps": (0,),
    "recipe.dataset.classes": ([], ["a"], ["a"] * 65_537),
    "recipe.dataset.name": ("a" * 100_001,),
}


@pytest.mark.parametrize(("field", "values"), BEYOND.items(), ids=list(BEYOND))
def test_a_number_beyond_its_range_is_refused(field: str, values: tuple[Any, ...]) -> None:
    for value in values:
        document = seal(RECIPES["run"]).model_dump(mode="json")
        *way, last = (int(part) if part.isdecimal() else part for part in field.split("."))
        node: Any = document
        for key in way:
            node = node[key]
        node[last] = value
        with pytest.raises(ValidationError):
            Manifest.model_validate(document)


@pytest.mark.parametrize("accuracy", [0.4999, 0.8751])
def test_a_classifier_with_an_accuracy_outside_its_interval_is_refused(accuracy: float) -> None:
    metrics = make_metrics(RECIPES["clf-network"]).model_dump()
    with pytest.raises(ValidationError, match="outside its confidence interval"):
        ClassifierMetrics.model_validate(metrics | {"test_accuracy": accuracy})


def test_what_a_training_that_diverges_measures_is_no_fault() -> None:
    History(loss=(1e30, 3e38), validation_loss=(-1e38,), seconds=0.0)
    AutoencoderMetrics(history=None, test_mse=3e38, output_range=(-3e38, 3e38))


# ---------------------------------------------------------------- identity


PINNED = {
    "ae-6a27953bfd0d": AutoencoderRecipe(
        type="sparse",
        dataset=DatasetRef(name="digits", digest="ab" * 32, side=8, classes=("zero", "one")),
        network=NetworkOptions(
            hidden=41,
            code=8,
            activations=("relu", "sigmoid", "exponential", "softplus"),
            epochs=35,
            batch_size=16,
            learning_rate=0.001,
        ),
        loss="categorical_crossentropy",
        rescale="intensity",
        options={"penalty": "kl", "rho": 0.05, "sparsity_weight": 0.5},
        seed=0,
        recipe_rev=1,
    ),
    "ae-9e6207b29509": AutoencoderRecipe(
        type="blur",
        dataset=DatasetRef(name="digits", digest="ab" * 32, side=8, classes=("zero", "one")),
        network=None,
        loss=None,
        rescale="none",
        options={"sigma": 1.0},
        seed=0,
        recipe_rev=1,
    ),
    "clf-8e8422898802": ClassifierRecipe(
        model="lr",
        dataset=DatasetRef(name="digits", digest="ab" * 32, side=8, classes=("zero", "one")),
        autoencoder="ae-0123456789ab",
        options=LogisticOptions(C=65025.0, intercept=False, max_iter=100),
        seed=3,
        recipe_rev=1,
    ),
    "run-741b499d8f0a": RunRecipe(
        method="bim",
        threat="oblivious",
        classifier="clf-0123456789ab",
        twin="clf-ba9876543210",
        dataset=DatasetRef(name="digits", digest="ab" * 32, side=8, classes=("zero", "one")),
        eps=(0.1, 50 / 255),
        target=None,
        steps=10,
        step_size=None,
        loss="scaled",
        clip=True,
        limit=100,
        save_adversarial=False,
        seed=0,
        recipe_rev=1,
    ),
}
"""Ids as they lie in people's registries. If one changes, all that they have computed is lost to them."""


@pytest.mark.parametrize("id_", PINNED)
def test_an_id_that_people_have_does_not_change(id_: str) -> None:
    assert entry_id(PINNED[id_]) == id_


def _differ(value: Any) -> Any:
    """Return another value of the same nature."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, tuple):
        return value[1:]
    return {**value, "other": 1} if isinstance(value, dict) else "other"


def _change_each_field(record: Record) -> Iterator[tuple[str, Any]]:
    """Yield (path of a field, the record with it changed), through nested records."""
    for name, value in record:
        if isinstance(value, Record):
            for inner, changed in _change_each_field(value):
                yield f"{name}.{inner}", record.model_copy(update={name: changed})
        else:
            yield name, record.model_copy(update={name: _differ(value)})


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@RECIPE_CASES
def test_every_field_is_part_of_the_id(recipe: Recipe) -> None:
    changed = {path: entry_id(other) for path, other in _change_each_field(recipe)}
    assert set(type(recipe).model_fields) == {path.partition(".")[0] for path in changed}
    unseen = [path for path, id_ in changed.items() if id_ == entry_id(recipe)]
    assert unseen == []
    assert len(set(changed.values())) == len(changed)


def test_each_entry_of_a_tuple_and_of_the_options_is_part_of_the_id() -> None:
    ids = {
        entry_id(recipe)
        for recipe in (
            make_run_recipe(eps=(0.1, 0.3)),
            make_run_recipe(eps=(0.3, 0.1)),
            make_run_recipe(eps=(0.1, 0.30000000000000004)),
            make_autoencoder_recipe(options={"rho": 0.05}),
            make_autoencoder_recipe(options={"rho": 0.06}),
            make_autoencoder_recipe(options={"rh": 0.05}),
        )
    }
    assert len(ids) == 6


def test_the_id_does_not_depend_on_the_order_of_names() -> None:
    forward = {"penalty": "kl", "rho": 0.05, "sparsity_weight": 0.5}
    backward = dict(reversed(forward.items()))
    assert list(forward) != list(backward)
    assert entry_id(make_autoencoder_recipe(options=forward)) == entry_id(make_autoencoder_recipe(options=backward))
    fields = dict(make_run_recipe())
    assert entry_id(RunRecipe(**dict(reversed(fields.items())))) == entry_id(RunRecipe(**fields))


def test_a_whole_number_and_its_float_are_one_recipe() -> None:
    assert entry_id(make_run_recipe(eps=(0, 1))) == entry_id(make_run_recipe(eps=(0.0, 1.0)))


@RECIPE_CASES
def test_an_id_is_its_kind_and_twelve_hex_digits(recipe: Recipe) -> None:
    kind, _, digits = entry_id(recipe).partition("-")
    assert kind == recipe.kind
    assert len(digits) == 12
    assert set(digits) <= set("0123456789abcdef")


def test_canonical_json_is_sorted_and_dense_and_finite() -> None:
    assert canonical_json({"b": [1, 0.1, None], "a": {"d": "é", "c": True}}) == (
        '{"a":{"c":true,"d":"\\u00e9"},"b":[1,0.1,null]}'
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_parents_are_what_a_recipe_names() -> None:
    assert make_autoencoder_recipe().parents == ()
    assert make_classifier_recipe().parents == ()
    assert make_classifier_recipe(autoencoder="ae-1").parents == ("ae-1",)
    assert make_run_recipe(classifier="clf-1").parents == ("clf-1",)
    assert make_run_recipe(classifier="clf-1", twin="clf-2").parents == ("clf-1", "clf-2")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_everywhere(number: float) -> None:
    with pytest.raises(ValidationError):
        make_run_recipe(eps=(0.1, number))
    with pytest.raises(ValidationError):
        make_run_recipe(step_size=number)
    with pytest.raises(ValidationError):
        make_autoencoder_recipe(options={"rho": number})
    with pytest.raises(ValidationError):
        NetworkOptions(**{**dict(NETWORK), "learning_rate": number})
    with pytest.raises(ValidationError):
        LogisticOptions(C=number, intercept=False, max_iter=1)
    with pytest.raises(ValidationError):
        History(loss=(0.5, number), validation_loss=(), seconds=1.0)
    with pytest.raises(ValidationError):
        AutoencoderMetrics(history=HISTORY, test_mse=number, output_range=(0.0, 1.0))
    with pytest.raises(UsageError, match="bad --eps"):
        AttackRequest(method="fgsm", threat="adaptive", eps=(number,))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"'])
def test_a_number_that_is_not_finite_is_refused_in_json(text: str) -> None:
    stored = make_run_recipe(eps=(0.5,)).model_dump_json().replace("[0.5]", f"[{text}]")
    assert text in stored
    with pytest.raises(ValidationError):
        RunRecipe.model_validate(json.loads(stored))


@RECIPE_CASES
def test_a_field_that_is_not_known_is_refused(recipe: Recipe) -> None:
    stored = recipe.model_dump(mode="json")
    with pytest.raises(ValidationError, match="extra"):
        type(recipe).model_validate(stored | {"surprise": 1})
    with pytest.raises(ValidationError, match="extra"):
        type(recipe).model_validate(stored | {"dataset": stored["dataset"] | {"surprise": 1}})
    with pytest.raises(ValidationError, match="extra"):
        Manifest.model_validate(seal(recipe).model_dump(mode="json") | {"surprise": 1})


@RECIPE_CASES
def test_a_field_that_is_missing_is_refused(recipe: Recipe) -> None:
    defaulted = {name for name, field in type(recipe).model_fields.items() if not field.is_required()}
    options = {"restarts", "surrogate", "examples", "draws", "queries", "precision", "sample"}
    trained = {"protects", "origin", "each_class", "added", "distilled", "noise_level", "retrained"}
    trained |= {"denoiser", "reduction", "code"}
    assert defaulted <= {"kind", "norm"} | trained | options
    for name in set(type(recipe).model_fields) - defaulted:
        stored = recipe.model_dump(mode="json")
        del stored[name]
        with pytest.raises(ValidationError):
            type(recipe).model_validate(stored)


@RECIPE_CASES
def test_a_record_is_frozen(recipe: Recipe) -> None:
    for record in (recipe, recipe.dataset, seal(recipe), make_metrics(recipe)):
        for name in type(record).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(record, name, getattr(record, name))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 2**31},
        {"seed": 0.5},
        {"rescale": "sometimes"},
        {"kind": "clf"},
        {"network": {**dict(NETWORK), "epochs": 0}},
        {"network": {**dict(NETWORK), "batch_size": 0}},
        {"network": {**dict(NETWORK), "learning_rate": 0.0}},
        {"network": {**dict(NETWORK), "code": 0}},
        {"network": {**dict(NETWORK), "hidden": 65_537}},
        {"network": {**dict(NETWORK), "activations": ("relu",) * 3}},
        {"dataset": {**dict(TINY), "side": "wide"}},
        {"options": {"rho": None}},
        {"options": {"rho": [0.05]}},
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_autoencoder_recipe(**changes)


def test_a_manifest_of_no_kind_is_refused() -> None:
    stored = seal(make_run_recipe()).model_dump(mode="json")
    with pytest.raises(ValidationError):
        Manifest.model_validate(stored | {"recipe": stored["recipe"] | {"kind": "pickle"}})


def test_a_request_has_none_for_defaults() -> None:
    request = NetworkRequest()
    assert request.model_dump(exclude_none=True) == {}


def test_what_a_check_finds_may_be_twice_what_a_number_may_be() -> None:
    assert CheckResult(check="convergence", status="NOT RUN", sentence="it rises", number=2e100).number == 2e100
