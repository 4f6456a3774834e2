"""The attacks that ``--threat all`` and ``--check`` run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from advae.attacks import ATTACKS
from advae.records import ImageShape
from advae.requests import AttackRequest, note_zero
from advae.threats import THREATS, list_threats
from advae.workflows.attack_selection import apply_threat_models, list_comparisons, list_undefended

SHAPE = ImageShape(8, 8, 1)
OF_PURIFIERS = list_threats(purified=True)


def ask(method: str = "bim", threat: str = "adaptive", **changes: Any) -> AttackRequest:
    return AttackRequest(**({"method": method, "threat": threat, "eps": (0.1, 0.3)} | changes))


def apply_quietly(*requests: AttackRequest, purified: bool = True) -> list[AttackRequest]:
    told: list[str] = []
    chosen = apply_threat_models(requests, purified=purified, tell=told.append)
    assert told == []
    return chosen


def name(requests: list[AttackRequest]) -> list[tuple[str, str]]:
    return [(request.threat, request.method) for request in requests]


def test_all_is_every_threat_model_in_order_each_with_the_attack_that_fits() -> None:
    chosen = apply_quietly(ask("bim", "all", limit=50, seed=3))
    assert [request.threat for request in chosen] == OF_PURIFIERS
    assert {request.threat: request.method for request in chosen} == dict.fromkeys(OF_PURIFIERS, "bim") | {
        "noise": "noise",
        "black-box": "square",
    }
    assert {(request.eps, request.limit, request.seed) for request in chosen} == {((0.1, 0.3), 50, 3)}


def test_all_has_fixed_randomness_only_where_the_purifier_samples() -> None:
    for random in (True, False):
        chosen = apply_threat_models([ask("pgd", "all")], purified=True, tell=lambda line: None, samples=random)
        found = [(request.method, request.threat) for request in chosen]
        assert (found[-1] == ("pgd", "fixed-randomness")) is random
        assert [threat for _, threat in found] == list_threats(purified=True, samples=random)


def test_without_a_purifier_all_is_what_the_classifier_has() -> None:
    assert [request.threat for request in apply_quietly(ask("bim", "all"), purified=False)] == [
        "noise",
        "transfer",
        "adaptive",
        "black-box",
    ]


def test_two_methods_make_one_run_of_noise_and_of_queries() -> None:
    chosen = apply_quietly(ask("fgsm", "all"), ask("bim", "all"))
    assert len(chosen) == 2 * len(OF_PURIFIERS) - 2
    assert len({*name(chosen)}) == len(chosen)


def test_methods_and_threats_that_do_not_fit_are_replaced_with_a_message() -> None:
    told: list[str] = []
    chosen = apply_threat_models(
        [ask("bim", "black-box", steps=3, loss="ce"), ask("noise")], purified=True, tell=told.append
    )
    assert name(chosen) == [("black-box", "square"), ("noise", "noise")]
    # Options of the attack that was asked for are not those of the one that it comes to.
    assert (chosen[0].steps, chosen[0].loss, chosen[0].eps) == (None, None, (0.1, 0.3))
    assert told == [
        "bim does not fit black-box: running square under black-box instead",
        "noise does not fit adaptive: running noise under noise instead",
    ]


@pytest.mark.parametrize(
    ("eps", "said"),
    [
        ((0.0,), None),
        ((1e-40,), "an eps below 1.2e-38 is 0 in float32"),
        ((0.1, -0.0), "an eps below 1.2e-38 is 0 in float32"),
        ((0.1, 0.3), None),
        ((0.0, 0.1), "eps 0 changes no image"),
        ((0.1, 0.0), "eps 0 changes no image"),
        ((0.0, 1.0), "did you mean 0.1, with"),
        ((0.1, 0.0, 1.0), "did you mean 0.1, with"),
        ((0.0, math.inf), "eps 0 changes no image"),
    ],
)
def test_a_zero_among_several_radii_is_a_decimal_comma_perhaps(eps: tuple[float, ...], said: str | None) -> None:
    note = note_zero(eps)
    assert said in note if said and note else note == said
    assert note is None or ("did you mean" in note) is ("did you mean" in str(said))


def test_unknown_names_are_refused_later() -> None:
    assert name(apply_quietly(ask("fgms", "graybox"))) == [("graybox", "fgms")]


@pytest.mark.parametrize("method", [method for method, row in ATTACKS.items() if not row.threat])
@pytest.mark.parametrize("purified", [True, False])
def test_the_comparisons_are_the_runs_that_the_checks_need(method: str, purified: bool) -> None:
    norm = ATTACKS[method].norms[0]
    request = ask(method, norm=norm)
    found = [request, *list_comparisons([request], purified=purified, shape=SHAPE)]
    assert len(found) == len({repr(one) for one in found})
    adaptive = [one for one in found if one.threat == "adaptive"]
    threats = {one.threat for one in found}
    assert threats >= {"noise", "transfer", "black-box", "adaptive"}
    assert ("oblivious" in threats) == purified
    assert all(one.norm == norm and one.clip for one in found)
    strong = [one for one in adaptive if (one.restarts or 1) >= 5]
    assert strong
    steps = {one.steps or ATTACKS[one.method].steps for one in strong}
    assert max(steps) == 2 * min(steps)
    assert [one.eps for one in adaptive if one.eps not in [(0.1, 0.3)]] == [(1.0 if norm == "linf" else 8.0,)]
    if norm == "linf":
        assert any(one.method == "fgsm" for one in adaptive)
    assert list_undefended(found) == adaptive
    if members := ATTACKS[method].members:
        # What an ensemble is compared with.
        assert {one.method for one in adaptive if one.eps == request.eps} & {member.attack for member in members[norm]}


def test_checks_of_an_attack_that_is_no_attack_on_images_are_adaptive_ones() -> None:
    request = ask("non-targeted", "encoded", clip=False)
    checks = list_comparisons([request], purified=True, shape=SHAPE)
    assert {one.threat for one in checks} <= {*THREATS} - {"encoded", "gray-box"}
    assert all(one.clip for one in checks)
    assert any(one.threat == "adaptive" for one in checks)
