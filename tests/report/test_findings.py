"""The answer that the report opens with, and the table below it: what is claimed, and what is not."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import list_headlines
from advae.report.analysis.tables import Findings
from advae.report.data.word_tables import Cell
from advae.report.wording import NBSP, format_rate, format_share
from tests.report_fixtures import COUNTED, DIGITS, NETWORK, Lab, read_files, read_headlines

BAD = {"probabilities": True}

ADAPTIVE, OBLIVIOUS = "robust accuracy, adaptive", "robust accuracy, oblivious"


def compare(lab: Lab) -> Any:
    return compare_runs(lab.registry, lab.registry.entries("run"))


def say(lab: Lab) -> str:
    return answer(Findings(compare(lab))).replace(NBSP, " ")


def defend(lab: Lab, type_: str = "vanilla", *, model: str = "nn", **changes: Any) -> Manifest:
    return lab.add_run(lab.add_classifier(lab.add_autoencoder(type_), model=model), **({"checked": True} | changes))


def read_rate(run: Manifest, index: int = 1) -> str:
    result = run.as_run()[1].results[index]
    low, high = result.accuracy_interval
    return f"{100 * result.accuracy:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


# ---------------------------------------------------------------- the answer


def test_the_answer_on_one_defence_with_every_result(lab: Lab) -> None:
    bare = lab.add_run(lab.add_classifier(), keep=(0.3, 0.1), checked=True)
    run = defend(lab)
    oblivious = lab.add_run(lab.registry.manifest(run.parents[0]), threat="oblivious", keep=(0.9, 0.8), checked=True)
    left, without, seems = (one.as_run()[1].results[1].accuracy for one in (run, bare, oblivious))
    text = say(lab)
    assert text.startswith(
        f"The vanilla autoencoder in front of nn on digits has {read_rate(run)} robust accuracy under an "
        f"adaptive attack (bim, 10 steps, eps 0.3 (76.5/255), n = 100); undefended {100 * without:.1f} %. "
        f"Under an oblivious attacker, who does not know of it, it is {100 * seems:.1f} %: overestimated by "
        f"{100 * (seems - left):.1f} points, the illusion gap. No check fails: 1 WARN, "
    )


def test_the_best_of_several(lab: Lab) -> None:
    defend(lab, "vanilla", keep=(0.3, 0.1))
    best = defend(lab, "sparse", keep=(0.5, 0.4))
    text = say(lab)
    assert text.startswith(f"The best of 2 autoencoders in front of nn on digits, sparse, has {read_rate(best)}")
    assert "was NOT RUN" in text
    assert "No check fails on sparse (1 WARN, " in text
    assert re.search(rf", nor on any other \(\d+ of {len(COUNTED)} NOT RUN\)\.$", text)


def test_a_higher_number_with_a_failing_check_is_not_the_best(lab: Lab) -> None:
    honest = defend(lab, "vanilla", keep=(0.3, 0.1))
    defend(lab, "sparse", keep=(0.9, 0.8), found=BAD)
    text = say(lab)
    assert text.startswith("Of 2 autoencoders in front of nn on digits, one has a reliable result: vanilla has")
    assert read_rate(honest) in text
    assert text.endswith("1 of 2 is not reliable.")


def test_a_number_that_is_not_reliable_follows_its_warning(lab: Lab) -> None:
    run = defend(lab, keep=(0.9, 0.8), found=BAD)
    text = say(lab)
    assert text.startswith("The robust accuracy of the vanilla autoencoder in front of nn on digits is not known: ")
    assert text.index(f"1 of {len(COUNTED)} checks fails, so it is not reliable") < text.index(read_rate(run))
    assert text.endswith("which is not a reliable result.")


def test_several_that_are_not_reliable(lab: Lab) -> None:
    defend(lab, "vanilla", keep=(0.3, 0.2), found=BAD)
    run = defend(lab, "sparse", keep=(0.9, 0.8), found=BAD)
    text = say(lab)
    assert text.startswith("The robust accuracy of 2 autoencoders in front of nn on digits is not known")
    assert text.index("is not reliable") < text.index(read_rate(run))


@pytest.mark.parametrize("kinds", [("vanilla",), ("vanilla", "sparse")])
def test_without_an_adaptive_attack_nothing_is_established(lab: Lab, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        defend(lab, kind, threat="oblivious", keep=(0.9, 0.9))
    text = say(lab)
    assert text.startswith("Robustness not established for ")
    assert "%" not in text, "the robust accuracy under an oblivious attacker is no answer"


def test_without_any_autoencoder_there_is_no_defence_to_speak_of(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(), checked=True)
    assert say(lab) == (
        f"No autoencoder in front of nn on digits was attacked. The undefended classifier has {read_rate(run)} "
        "robust accuracy (bim, 10 steps, eps 0.3 (76.5/255), n = 100)."
    )


def test_a_baseline_is_no_defence(lab: Lab) -> None:
    run = defend(lab, "blur")
    text = say(lab)
    assert text.startswith("No autoencoder in front of nn on digits was attacked. The baseline blur")
    assert read_rate(run) in text


def test_a_baseline_with_as_high_an_accuracy_is_named(lab: Lab) -> None:
    defend(lab, "vanilla", keep=(0.4, 0.2))
    blurred = defend(lab, "blur", keep=(0.6, 0.5))
    assert f"behind blur, which has learnt nothing, {read_rate(blurred).split(' [')[0]}" in say(lab)


def test_a_baseline_with_a_lower_accuracy_is_not(lab: Lab) -> None:
    defend(lab, "vanilla", keep=(0.6, 0.5))
    defend(lab, "blur", keep=(0.4, 0.2))
    assert "blur" not in say(lab)


def test_several_kinds_of_classifier_have_a_line_each(lab: Lab) -> None:
    defend(lab, "vanilla")
    defend(lab, "vanilla", model="lr", eps=(0.05, 0.1), keep=(0.9, 0.8))
    first, *lines = say(lab).split("\n")
    assert re.fullmatch(
        r"2 pipelines with an autoencoder were attacked \(lr on digits, nn on digits\); for each an adaptive attack "
        rf"was run and no check fails \(\d+ of {len(COUNTED)} NOT RUN\)\.",
        first,
    )
    assert all(re.search(r"No check fails: .*\d+ NOT RUN\.$", line) for line in lines)
    assert [("in front of lr on digits" in line, "in front of nn on digits" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]


def test_what_was_attacked_elsewhere_is_not_compared(lab: Lab) -> None:
    """80 per cent at eps 0.01 are not better than 20 at 0.3."""
    defend(lab, "vanilla", keep=(0.4, 0.2))
    defend(lab, "sparse", keep=(0.5, 0.3))
    defend(lab, "variational", eps=(0.01,), keep=(0.9,))
    assert say(lab).startswith("Of 3 autoencoders in front of nn on digits, 2 can be compared; the best, sparse, has")


def test_two_results_on_different_terms_are_both_listed(lab: Lab) -> None:
    runs = [
        defend(lab, kind, eps=(eps,), keep=(0.5,), n=n) for kind, eps, n in (("vanilla", 0.1, 80), ("sparse", 0.3, 100))
    ]
    text = say(lab)
    assert text.startswith(
        "Of 2 autoencoders in front of nn on digits, 2 have a reliable result, but no two can be compared"
    )
    for name, run, terms in zip(
        ("Vanilla", "Sparse"), runs, ("0.1 (25.5/255), n = 80", "0.3 (76.5/255), n = 100"), strict=True
    ):
        assert re.search(
            rf"\. {name} has {re.escape(read_rate(run, 0))} [^.]+ \(bim, 10 steps, eps {re.escape(terms)}\)\.", text
        )
    assert "one has" not in text
    assert "best" not in text


@pytest.mark.parametrize("alone", [True, False])
def test_of_those_that_keep_nothing_none_is_the_best(lab: Lab, alone: bool) -> None:
    for kind in ("vanilla", "sparse"):
        defend(lab, kind, keep=(0.0, 0.0))
    if not alone:
        defend(lab, "denoising", threat="oblivious")
    text = say(lab)
    assert re.search("(None of 2 autoencoders .*|2 can be compared; none of these) has more than 0.0 % ", text)
    assert "best" not in text


def test_l2_is_named_once_and_has_no_grey_levels(lab: Lab) -> None:
    run = defend(lab, norm="l2", method="pgd", eps=(1.5,), keep=(0.4,))
    assert "(pgd, L2, 10 steps, eps 1.5, n = 100)" in say(lab)
    assert read_table(lab)[run.parents[0]]["eps"] == "1.5, L2"


# ---------------------------------------------------------------- attacks on different images


@pytest.fixture
def two_plans(lab: Lab) -> dict[str, Manifest]:
    """A weak attack on many images and a strong one on the first 100 of three pipelines, the strong one on all."""
    runs = {}
    for kind, left in (("vanilla", 0.0), ("sparse", 0.1), ("denoising", 0.2)):
        classifier = lab.add_classifier(lab.add_autoencoder(kind))
        for threat, keep in (("adaptive", 0.5), ("oblivious", 0.9)):
            lab.add_run(classifier, eps=(0.3,), keep=(keep,), n=400, limit=None, threat=threat, checked=True)
        strong = {"eps": (0.3,), "keep": (left,), "method": "pgd", "steps": 80, "restarts": 1, "checked": True}
        runs[kind] = lab.add_run(classifier, **strong)
    return runs


def test_a_weak_attack_on_more_images_is_no_headline(lab: Lab, two_plans: dict[str, Manifest]) -> None:
    text, rows = say(lab), read_table(lab)
    assert text.startswith(
        f"The best of 3 autoencoders in front of nn on digits, denoising, has {read_rate(two_plans['denoising'], 0)}"
    )
    assert "(pgd, 80 steps, eps 0.3 (76.5/255), n = 100)" in text
    assert "The oblivious attack on denoising was NOT RUN on the same images" in text
    for run in two_plans.values():
        row = {title: cell.replace(NBSP, " ") for title, cell in rows[run.parents[0]].items()}
        assert (row["n"], row["attack"], row[ADAPTIVE]) == (
            "100",
            "pgd, 80 steps",
            read_rate(run, 0),
        )
        assert row[OBLIVIOUS].endswith("bim, 10 steps, eps 0.3, n = 400"), "its own attack: it is on other images"
        assert row["illusion gap"] == "NOT RUN"


def test_the_gap_is_taken_on_the_images_of_the_adaptive_number(lab: Lab, two_plans: dict[str, Manifest]) -> None:
    run = two_plans["denoising"]
    ignorant = lab.add_run(lab.registry.manifest(run.parents[0]), eps=(0.3,), keep=(0.8,), threat="oblivious")
    gap = read_table(lab)[run.parents[0]]["illusion gap"]
    assert isinstance(gap, Cell)
    assert gap.value == ignorant.as_run()[1].results[0].accuracy - run.as_run()[1].results[0].accuracy


@pytest.mark.parametrize(
    ("left", "eps", "refuted"), [(0.0, 0.3, True), (0.0, 0.2, True), (0.55, 0.3, False), (0.0, 0.4, False)]
)
def test_a_stronger_attack_within_the_same_budget_is_shown(lab: Lab, left: float, eps: float, refuted: bool) -> None:
    """More than chance it must be, and within the eps of the others, which are two and on 400 images."""
    defend(lab, "vanilla", eps=(0.3,), keep=(0.6,), n=400, limit=None)
    defend(lab, "denoising", eps=(0.3,), keep=(0.6,), n=400, limit=None)
    weak = defend(lab, "sparse", eps=(0.3,), keep=(0.5,), n=400, limit=None)
    strong = defend(lab, "sparse", eps=(eps,), keep=(left,), method="pgd", steps=80, restarts=1)
    cell = read_table(lab)[weak.parents[0]][ADAPTIVE].replace(NBSP, " ")
    expected = f"{read_rate(strong, 0)} pgd, 80 steps, eps {eps}, n = 100" if refuted else read_rate(weak, 0)
    assert cell == expected


@pytest.mark.parametrize(
    ("changes", "mark"),
    [({"found": BAD}, "not reliable"), ({"stuck": 0.02}, "not established"), ({}, None)],
)
def test_another_attack_does_not_vouch_for_the_number_shown(
    lab: Lab, changes: dict[str, Any], mark: str | None
) -> None:
    """The number at the eps of the others is not that of the strongest attack, which is at a larger one."""
    defend(lab, "vanilla", eps=(0.1,), keep=(0.6,))
    defend(lab, "denoising", eps=(0.1,), keep=(0.6,))
    shown = defend(lab, "sparse", eps=(0.1,), keep=(0.8,), **changes)
    defend(lab, "sparse", eps=(0.3,), keep=(0.5,), method="pgd", restarts=1)
    cell = read_table(lab)[shown.parents[0]][ADAPTIVE].replace(NBSP, " ")
    assert cell == read_rate(shown, 0) + (f", {mark}" if mark else "")


# ---------------------------------------------------------------- the table


def read_table(lab: Lab) -> dict[str, dict[str, str]]:
    grid = read_headlines(compare(lab))
    assert all(len(row) == len(grid.titles) and all(row) for row in grid.rows), "no blank cell"
    return {row[-1]: dict(zip(grid.titles, row, strict=True)) for row in grid.rows}


def test_the_table_has_a_row_for_each_pipeline_at_the_eps_that_they_share(lab: Lab) -> None:
    bare = lab.add_run(lab.add_classifier(), keep=(0.3, 0.1), checked=True)
    run = defend(lab, keep=(0.5, 0.3))
    oblivious = lab.add_run(lab.registry.manifest(run.parents[0]), threat="oblivious", keep=(0.9, 0.8), checked=True)
    other = defend(lab, "sparse", eps=(0.2, 0.3), keep=(0.1, 0.1))
    rows = read_table(lab)
    assert {*rows} == {one.parents[0] for one in (bare, run, other)}
    assert {row["eps"].replace(NBSP, " ") for row in rows.values()} == {"0.3 (76.5/255)"}
    own = rows[run.parents[0]]
    for title, manifest in ((ADAPTIVE, run), (OBLIVIOUS, oblivious)):
        cell, result = own[title], manifest.as_run()[1].results[1]
        assert isinstance(cell, Cell)
        assert cell.value == result.accuracy
        assert cell.replace(NBSP, " ") == read_rate(manifest)
    gap = own["illusion gap"]
    assert isinstance(gap, Cell)
    assert gap.value == oblivious.as_run()[1].results[1].accuracy - run.as_run()[1].results[1].accuracy
    assert gap == f"{100 * gap.value:.1f} points"
    assert (rows[other.parents[0]][OBLIVIOUS], rows[other.parents[0]]["illusion gap"]) == (
        "NOT RUN",
        "NOT RUN",
    )
    assert (rows[bare.parents[0]][OBLIVIOUS], rows[bare.parents[0]]["illusion gap"]) == (
        "n/a",
        "n/a",
    )


@pytest.mark.parametrize(
    ("changes", "mark"), [({}, None), ({"found": BAD}, "not reliable"), ({"checked": False, "stuck": 0.9}, "not ")]
)
def test_a_number_that_is_not_reliable_is_marked_in_its_own_cell(
    lab: Lab, changes: dict[str, Any], mark: str | None
) -> None:
    run = defend(lab, **changes)
    cell = read_table(lab)[run.parents[0]][ADAPTIVE].replace(NBSP, " ")
    assert cell.startswith(read_rate(run))
    assert (cell == read_rate(run)) if mark is None else (mark in cell.removeprefix(read_rate(run)))


def test_the_number_behind_the_checks_is_that_of_the_failing_ones(lab: Lab) -> None:
    run = defend(lab, found=BAD)
    cell = read_table(lab)[run.parents[0]]["checks"]
    assert isinstance(cell, Cell)
    assert cell.value == 1
    assert cell.startswith("1 FAIL, ")


@pytest.mark.parametrize(
    ("threat", "method", "words"),
    [
        ("adaptive", "bim", "--method bim --eps 0.1,0.3 --clf {} --threat oblivious"),
        ("oblivious", "bim", "--method bim --eps 0.1,0.3 --clf {} --threat adaptive"),
        ("noise", "noise", "--eps 0.1,0.3 --clf {} --limit 100 --seed 0 --method pgd --threat adaptive"),
        ("black-box", "square", "--eps 0.1,0.3 --clf {} --limit 100 --seed 0 --method pgd --threat adaptive"),
    ],
)
def test_what_is_not_run_has_its_command(lab: Lab, threat: str, method: str, words: str) -> None:
    run = defend(lab, threat=threat, method=method)
    (summary,) = list_headlines(Findings(compare(lab)))
    assert summary.command is not None
    assert words.format(run.parents[0]) in summary.command


def test_nothing_is_missing_where_both_were_run(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    for threat in ("adaptive", "oblivious"):
        lab.add_run(classifier, threat=threat)
    assert [summary.command for summary in list_headlines(Findings(compare(lab)))] == [None]


def test_budgets_that_reach_every_image_are_no_headline(lab: Lab) -> None:
    run = defend(lab, eps=(0.1, 1.0), keep=(0.4, 0.0))
    assert read_table(lab)[run.parents[0]][ADAPTIVE].replace(NBSP, " ") == read_rate(run, 0)


def test_seeds_in_names_distinguish_pipelines(lab: Lab) -> None:
    for seed in (0, 1):
        lab.add_run(lab.add_classifier(lab.add_autoencoder(seed=seed), seed=seed))
    assert {row["autoencoder"] for row in read_table(lab).values()} == {"vanilla", "vanilla, seed 1"}


def test_namesakes_have_their_id(lab: Lab) -> None:
    for epochs in (5, 35):
        autoencoder = lab.add_autoencoder(network=NETWORK.model_copy(update={"epochs": epochs}))
        lab.add_run(lab.add_classifier(autoencoder), checked=True)
    defend(lab, "sparse")
    rows = read_table(lab)
    names = {row["autoencoder"] for row in rows.values()}
    vanilla = {f"vanilla ({id_})" for id_, row in rows.items() if row["autoencoder"] != "sparse"}
    assert len(vanilla) == 2
    assert names == {"sparse"} | vanilla


def test_without_an_attack_in_the_headline_there_is_no_eps(lab: Lab) -> None:
    run = defend(lab, threat="noise", method="noise", steps=None)
    row = read_table(lab)[run.parents[0]]
    assert [row[title] for title in ("eps", "n", "attack", ADAPTIVE)] == ["n/a", "n/a", "n/a", "NOT RUN"]
    (line,) = csv.DictReader(io.StringIO(read_files(lab, [run], lab.registry.home / "out")["csv-headlines"]))
    assert [line[name] for name in ("eps", "n", "oblivious_n", "adaptive_run")] == ["n/a", "n/a", "NOT RUN", "NOT RUN"]


def test_programs_read_which_run_a_number_is_from(lab: Lab, two_plans: dict[str, Manifest]) -> None:
    files = read_files(lab, list(lab.registry.entries("run")), lab.registry.home / "out")
    lines = {line["classifier_id"]: line for line in csv.DictReader(io.StringIO(files["csv-headlines"]))}
    for run in two_plans.values():
        line, result = lines[run.parents[0]], run.as_run()[1].results[0]
        accuracies = [f"robust_accuracy{end}" for end in ("", "_low", "_high")]
        told = [line[f"adaptive_{what}"] for what in (*accuracies, "eps", "attack", "n", "run")]
        numbers = (result.accuracy, *result.accuracy_interval)
        assert told == [*map(str, numbers), "0.3", "pgd, 80 steps", "100", run.id]
        assert (line["oblivious_n"], line["oblivious_attack"]) == ("400", "bim, 10 steps")


def test_no_other_dataset_is_compared_with(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    defend(lab, keep=(0.9, 0.8))
    lab.dataset = DIGITS.model_copy(update={"name": "mine", "digest": "e" * 64})
    defend(lab, eps=(0.05,), keep=(0.5,))
    assert {row["dataset"]: row["eps"].split(NBSP)[0] for row in read_table(lab).values()} == {
        "digits": "0.3",
        "mine": "0.05",
    }


def test_rates_of_the_answer_are_those_of_the_table(lab: Lab) -> None:
    defend(lab)
    (summary,) = list_headlines(Findings(compare(lab)))
    assert format_rate(summary.adaptive.rate) in answer(Findings(compare(lab)))
    assert format_share(summary.clean.value) in read_headlines(compare(lab)).rows[0][5]
