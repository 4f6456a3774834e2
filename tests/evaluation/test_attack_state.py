"""An interrupted attack continues after its last batch, and its record is that of an uninterrupted one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae import batching
from advae.attacks import ATTACKS
from advae.attacks.ensemble_members import Member
from advae.evaluation import attack_state
from advae.evaluation.attack_state import AttackState, Packing
from advae.evaluation.attacker import Attacker
from advae.evaluation.evaluate import Evaluated, evaluate
from advae.evaluation.run_artifacts import EpsScores, SavedSamples
from advae.records import RunRecipe
from advae.threats import THREATS, Pipeline
from tests.attacks.models import small_network
from tests.evaluation.test_evaluate import SIDE, make_recipe

N = 100
"""Three batches and a short one."""


class Kept:
    """A checkpoint in memory, which counts."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] | None = None
        self.saves = 0

    def load(self) -> dict[str, Any] | None:
        return None if self.arrays is None else {name: array.copy() for name, array in self.arrays.items()}

    def save(self, arrays: dict[str, Any]) -> None:
        assert all(array.dtype.kind in "buif" for array in arrays.values())
        self.arrays = {name: array.copy() for name, array in arrays.items()}
        self.saves += 1


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, Pipeline]:
    """Images in batches of 30, a network that is right about nine in ten of them, and a random purifier before it."""
    import tensorflow as tf

    monkeypatch.setattr(batching, "BATCH", 30)
    monkeypatch.setattr(attack_state, "UNSAVED_SECONDS", 0.0)
    monkeypatch.setattr(attack_state, "SAVE_COST", 0)
    members = (Member("fgsm"), Member("pgd"), Member("square", queries=5))
    monkeypatch.setitem(ATTACKS, "worst", dataclasses.replace(ATTACKS["worst"], members={"linf": members}))
    network = small_network(3)

    def classify(x: Any) -> Any:
        return network(x)[:, :4]

    def purify(x: Any, draw: Any) -> Any:
        return x + 0.1 * tf.random.stateless_normal(tf.shape(x), tf.stack([3, draw]))

    x = np.random.default_rng(3).random((N, SIDE * SIDE)).astype("f4")
    y = classify(x).numpy().argmax(axis=1)
    y[::10] = (y[::10] + 1) % 4
    return x, y, Pipeline(classify, purify, samples=True)


def attack(images: Any, recipe: RunRecipe, state: AttackState | None = None) -> Evaluated:
    x, y, random = images
    pipeline = random if recipe.draws else Pipeline(random.classify)
    return evaluate(THREATS[recipe.threat].view(pipeline), recipe, x, y, state=state)


def count_batches(images: Any, recipe: RunRecipe, kept: Kept, *, after: int = -1) -> tuple[int, Evaluated | None]:
    """Attack from where it was interrupted; return the number of batches made, and the result.

    after: batches until the next interrupt; -1: there is none, and the result is not None.
    """
    made = 0
    whole = Attacker._propose_best

    def count(self: Attacker, *parts: Any) -> Any:
        nonlocal made
        if made == after:
            raise KeyboardInterrupt
        made += 1
        return whole(self, *parts)

    lines = list[str]()
    state = AttackState(recipe, kept, lines.append)
    assert state.load() is (kept.saves > 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attacker, "_propose_best", count)
        try:
            found = attack(images, recipe, state)
            return made, found
        except KeyboardInterrupt:
            state.save(now=True)
            return made, None
        finally:
            assert lines == []


CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "a sweep that carries, in its first eps": ({"method": "pgd", "eps": (0.2, 0.1), "steps": 3}, (2,)),
    "every step at every eps, in the second": (
        {"method": "mim", "eps": (0.1, 0.2), "steps": 2, "clip": False, "save_adversarial": True},
        (6,),
    ),
    "an ensemble, in three of its members": (
        {"method": "worst", "eps": (0.1, 0.05), "steps": None, "queries": 5},
        (5, 5, 3),
    ),
    "a random purifier": ({"method": "pgd", "eps": (0.1,), "steps": 2, "draws": 2}, (1,)),
}
"""What is attacked, and after how many batches each interrupt comes."""


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_attack_has_the_record_of_an_uninterrupted_one(case: str, images: Any) -> None:
    changes, interrupts = CASES[case]
    recipe, kept = make_recipe(**changes), Kept()
    whole, expected = count_batches(images, recipe, Kept())
    assert expected
    for after in interrupts:
        assert count_batches(images, recipe, kept, after=after) == (after, None)
    made, found = count_batches(images, recipe, kept)
    assert found
    assert found.metrics == expected.metrics
    for name, arrays in expected.arrays.items():
        assert set(found.arrays[name]) == set(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(found.arrays[name][key], array, err_msg=f"{name} {key}")
    assert sum(interrupts) + made == whole


def test_the_state_of_another_attack_is_discarded_with_a_line() -> None:
    kept, lines = Kept(), list[str]()
    first = AttackState(make_recipe("pgd", eps=(0.1,)), kept)
    first.finish(0.1, {"finite": np.array([True])})
    first.save(now=True)
    other = AttackState(make_recipe("pgd", eps=(0.2,)), kept, lines.append)
    assert not other.load()
    assert other.find(0.2, finished=True) == {}
    assert "is of another attack" in lines[0]
    same = AttackState(make_recipe("pgd", eps=(0.1,)), kept, lines.append)
    assert same.load()
    assert set(same.find(0.1, finished=True)) == {"finite"}
    same.discard(0.1)
    assert same.find(0.1, finished=True) == {}
    assert "does not fit" in lines[1]


def test_arrays_that_do_not_fit_are_not_read() -> None:
    rows, recipe = np.arange(4), make_recipe("pgd")
    packing = Packing(rows, SavedSamples(np.array([1, 3]), np.array([3])), 5)
    ones = {name: np.ones(4, "f4") for name in ("linf", "l2")}
    scores = EpsScores(
        predictions=rows, rounded=None, success_rate=None, wrong_draws=None, **ones, x_adv=np.ones((2, 5), "f4"),
        seen=np.ones((1, 5), "f4"), targets=None, pixel_range=(0.0, 1.0), finite=True,
    )  # fmt: skip
    arrays = packing.pack(scores)
    found = packing.read(arrays, (recipe,))
    assert found
    assert packing.pack(found).keys() == arrays.keys()
    assert found.pixel_range == (0.0, 1.0)
    for name in ("predictions", "x_adv", "seen", "range", "finite"):
        assert packing.read(arrays | {name: arrays[name][:0]}, (recipe,)) is None
        assert packing.read({key: array for key, array in arrays.items() if key != name}, (recipe,)) is None
    members = {"attacked-by": np.array([4, 2]), "accuracy-after": np.array([0.5, 0.25])}
    assert packing.read(arrays, (recipe, recipe)) is None, "an ensemble has members"
    both = packing.read(arrays | members, (recipe, recipe))
    assert both
    assert [one.accuracy for one in both.members or ()] == [0.5, 0.25]
    assert packing.read(arrays | members | {"accuracy-after": np.array([0.5, np.nan])}, (recipe, recipe)) is None


def test_saving_that_is_slow_is_done_seldom(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow(Kept):
        def save(self, arrays: dict[str, Any]) -> None:
            nonlocal now
            now += 2.0
            super().save(arrays)

    monkeypatch.setattr(attack_state.time, "monotonic", lambda: now)
    monkeypatch.setattr(attack_state, "UNSAVED_SECONDS", 10.0)
    monkeypatch.setattr(attack_state, "SAVE_COST", 50)
    kept = Slow()
    state = AttackState(make_recipe("pgd", eps=(0.1,)), kept)
    for _ in range(1000):
        now += 1.0
        state.keep(0.1, lambda: {"batches": np.array([1])})
    # After ten seconds the first time, then every hundred.
    assert kept.saves == 10
    short = Slow()
    quick = AttackState(make_recipe("pgd", eps=(0.1,)), short)
    now += 9.0
    quick.keep(0.1, lambda: {"batches": np.array([1])})
    quick.finish(0.1, {"finite": np.array([True])})
    assert short.saves == 0, "an attack of seconds writes nothing"
