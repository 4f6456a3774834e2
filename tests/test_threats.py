"""Each threat differentiates and scores the functions that it says, in toy arithmetic that shows which."""

from __future__ import annotations

import math

import pytest

from advae.errors import UsageError
from advae.threats import THREATS, Pipeline, find_threat

PIPELINE = Pipeline(
    classify=lambda x: ("classify", x), purify=lambda x, draw: ("purify", x, draw), twin=lambda x: ("twin", x)
)
DEFENDED = ("classify", ("purify", "x", 1))


@pytest.mark.parametrize(
    ("name", "start", "craft", "decided"),
    [
        ("adaptive", "x", DEFENDED, DEFENDED),
        ("gray-box", "x", ("classify", "x"), DEFENDED),
        ("oblivious", "x", ("twin", "x"), DEFENDED),
        ("encoded", ("purify", "x", 1), ("classify", "x"), ("classify", "x")),
    ],
)
def test_what_each_threat_differentiates_and_what_decides(
    name: str, start: object, craft: object, decided: object
) -> None:
    surface = THREATS[name].view(PIPELINE)
    assert surface.start("x", 1) == start
    assert surface.craft("x", 1) == craft
    assert surface.classify(surface.see("x", 1)) == decided
    assert surface.upper == 1.0


def test_only_encoded_raw_output_has_no_upper_end() -> None:
    raw = Pipeline(PIPELINE.classify, PIPELINE.purify, PIPELINE.twin, unit_range=False)
    assert {name: threat.view(raw).upper for name, threat in THREATS.items()} == {
        "adaptive": 1.0,
        "gray-box": 1.0,
        "oblivious": 1.0,
        "encoded": math.inf,
    }


def test_a_classifier_without_purifier_knows_only_adaptive() -> None:
    surface = find_threat("adaptive", purified=False).view(Pipeline(PIPELINE.classify))
    assert surface.craft("x", 1) == surface.classify(surface.see("x", 1)) == ("classify", "x")
    for name in THREATS:
        if name != "adaptive":
            with pytest.raises(UsageError, match="only 'adaptive'"):
                find_threat(name, purified=False)
    with pytest.raises(UsageError, match="did you mean 'gray-box'"):
        find_threat("graybox", purified=True)
    with pytest.raises(UsageError, match="twin"):
        THREATS["oblivious"].view(Pipeline(PIPELINE.classify, PIPELINE.purify))
