"""What a request to attack becomes: the revision of its recipe, by which old results are told from new ones."""

from __future__ import annotations

from typing import Any

import pytest

from advae.attacks import ATTACKS
from advae.cli.attack_options import parse_eps
from advae.errors import BudgetError, UsageError
from advae.records import RunRecipe, entry_id
from advae.requests import AttackRequest, AutoencoderRequest, NetworkRequest, note_zero, read_float
from advae.workflows.counterparts import PipelineRecipes
from advae.workflows.run_recipes import RUN_REV, prepare_run
from tests.entries import make_autoencoder_recipe, make_classifier_recipe


def prepare(method: str, classes: int, **changes: Any) -> RunRecipe:
    recipe = make_classifier_recipe(autoencoder=None)
    dataset = recipe.dataset.model_copy(update={"classes": tuple(map(str, range(classes)))})
    recipes = PipelineRecipes(recipe.model_copy(update={"dataset": dataset}))
    request = AttackRequest(**({"method": method, "threat": "adaptive", "eps": (0.1,)} | changes))
    return prepare_run(recipes, request, n_test=100, find_counterpart=lambda undefended: undefended.id).recipe


@pytest.mark.parametrize(
    ("method", "options", "raised"),
    [
        ("apgd", {}, 1),
        ("pgd", {"loss": "dlr"}, 1),
        ("worst", {}, 1),
        ("worst", {"norm": "l2"}, 1),
        ("pgd", {}, 0),
        ("apgd", {"loss": "margin"}, 0),
    ],
)
def test_on_two_classes_only_what_follows_a_ratio_has_a_new_revision(
    method: str, options: dict[str, Any], raised: int
) -> None:
    assert prepare(method, 3, **options).recipe_rev == RUN_REV + ATTACKS[method].revision
    assert prepare(method, 2, **options).recipe_rev == RUN_REV + ATTACKS[method].revision + raised


@pytest.mark.parametrize(("threat", "raised"), [("adaptive", 2), ("gray-box", 2), ("encoded", 0)])
@pytest.mark.parametrize("sample", [True, False])
def test_only_what_meets_other_draws_has_a_new_revision(threat: str, raised: int, sample: bool) -> None:
    purifier = make_autoencoder_recipe(type="variational", options={"kl_weight": 1.0, "sample": sample})
    classifier = make_classifier_recipe(autoencoder=entry_id(purifier))
    request = AttackRequest(method="fgsm", threat=threat, eps=(0.1,))
    recipes = PipelineRecipes(classifier, purifier)
    made = prepare_run(recipes, request, n_test=100, find_counterpart=lambda undefended: undefended.id).recipe
    assert made.recipe_rev == RUN_REV + (raised if sample else 0)


@pytest.mark.parametrize("text", ["-0.0", "5e-324", "1e-400", "1e-40", "1e-400/255", "0/255"])
def test_an_eps_that_is_0_in_float32_is_the_recipe_of_0(text: str) -> None:
    eps = parse_eps(text)
    assert prepare("fgsm", 3, eps=eps) == prepare("fgsm", 3, eps=(0.0,))
    assert entry_id(prepare("fgsm", 3, eps=eps)) == entry_id(prepare("fgsm", 3, eps=(0.0,)))
    assert bool(note_zero(eps)) is (text != "0/255")
    with pytest.raises(BudgetError, match="an eps is given twice"):
        prepare("fgsm", 3, eps=(*eps, 0.0))


@pytest.mark.parametrize("number", ["5e-324", "1e-400", "1e-40"])
def test_a_number_that_must_not_be_0_must_not_be_0_in_float32(number: str) -> None:
    value = read_float(number)
    for ask, option in (
        (lambda: AttackRequest(method="pgd", threat="adaptive", eps=(0.1,), step_size=value), "step-size"),
        (lambda: NetworkRequest(learning_rate=value), "learning-rate"),
        (lambda: AutoencoderRequest(type="robust", options={"train_eps": value}), "train-eps"),
    ):
        with pytest.raises(UsageError, match=rf"^bad --{option} \S+: it is 0 in float32; the smallest"):
            ask()
    assert str(AutoencoderRequest(type="denoising", options={"noise_level": -0.0}).options["noise_level"]) == "0.0"
