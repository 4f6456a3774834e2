"""The report: what it compares, what it refuses to claim, and that its files are inert and the same each time."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from advae.errors import CorruptError, DiskError, NotFoundError, UsageError
from advae.records import Manifest
from advae.report import FORMATS, build_terminal_table, compare_runs, write_report
from advae.report.commands import list_commands
from advae.report.drawing import create_axes, render_svg, styled
from advae.report.figures import FIGURES, draw_figures
from advae.report.headlines import write_headlines
from advae.report.markdown import escape
from advae.report.notes import describe_threat
from advae.report.scores import score_runs, select_shown
from advae.report.strips import encode_png_uri
from advae.report.wording import NOT_RUN, format_eps, format_rate, show_name
from advae.threats import THREATS
from tests.report_fixtures import DIGITS, Lab

HOSTILE = "<script>alert(1)</script>|x| $\\frac{ [red]`"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "home")


@pytest.fixture
def pair(lab: Lab) -> list[Manifest]:
    """The same attack with and without an autoencoder, on the same samples."""
    undefended = lab.add_run(lab.add_classifier(), keep=(0.3, 0.0))
    return [undefended, lab.add_run(lab.add_classifier(lab.add_autoencoder()))]


def read_files(lab: Lab, runs: list[Manifest], out: Path) -> dict[str, str]:
    return {name: path.read_text("utf-8") for name, path in write_report(lab.registry, runs, out).items()}


def print_table(table: Table) -> str:
    stream = io.StringIO()
    Console(width=400, file=stream).print(table)
    return stream.getvalue()


class Tags(HTMLParser):
    """Collects every start tag of a page, and what its attributes could fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")]
        self.ids += [value or "" for name, value in attrs if name == "id"]


# ---------------------------------------------------------------- the files


def test_writes_every_format_and_nothing_else(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    files = write_report(lab.registry, pair, tmp_path / "deep" / "out")
    assert tuple(files) == FORMATS == ("html", "md", "json", "csv")
    assert sorted(tmp_path.joinpath("deep/out").iterdir()) == sorted(files.values())


def test_writes_only_the_formats_asked_for(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    write_report(lab.registry, pair, tmp_path / "out", formats=["json", "json"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]


def test_equal_records_give_equal_bytes(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    first = read_files(lab, pair, tmp_path / "a")
    assert first == read_files(lab, pair[::-1] + pair, tmp_path / "b")


def test_page_asks_nothing_of_any_server(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    page = read_files(lab, pair, tmp_path)["html"]
    links = Tags(page).links
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert set(re.findall(r"url\((?!#)[^)]*", page)) == set()
    assert "@import" not in page


def test_page_has_no_id_twice_and_no_dangling_link(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    page = read_files(lab, pair, tmp_path)["html"]
    tags = Tags(page)
    assert len(tags.ids) == len(set(tags.ids))
    targets = {link[1:] for link in tags.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]*)\)", page))
    assert targets <= set(tags.ids)


def test_unknown_format_is_a_usage_error(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'htm'; did you mean 'html'"):
        write_report(lab.registry, pair, tmp_path, formats=["htm"])
    assert not list(tmp_path.glob("report.*"))


def test_no_runs_is_an_error_and_not_an_empty_page(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="advae attack"):
        write_report(lab.registry, [], tmp_path)


def test_unwritable_folder_is_one_line(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(DiskError) as caught:
        write_report(lab.registry, pair, blocked / "out", formats=["json"])
    assert "\n" not in str(caught.value)


def test_an_entry_that_is_no_run_is_refused(lab: Lab) -> None:
    with pytest.raises(CorruptError, match="is not a run"):
        compare_runs(lab.registry, [lab.add_classifier()])


def test_arrays_that_do_not_fit_the_recipe_are_refused(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier())
    outcomes = lab.registry.read_arrays(run, "outcomes.npz")
    samples = lab.registry.read_arrays(run, "samples.npz")
    for change in ({"labels": outcomes["labels"][:-1]}, {"predictions": outcomes["predictions"] + 90}):
        arrays = {"outcomes.npz": outcomes | change, "samples.npz": samples}
        bad = lab.registry.publish(run.recipe, run.metrics, arrays, replace=True)
        with pytest.raises(CorruptError, match="does not fit its recipe"):
            compare_runs(lab.registry, [bad])


# ---------------------------------------------------------------- with and without


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
    row = json.loads(files["json"])["rows"][0]
    assert row["without"] == {"status": NOT_RUN}
    assert row["with"]["accuracy"] == defended.metrics.results[0].accuracy  # type: ignore[union-attr]
    assert NOT_RUN in files["html"]
    assert NOT_RUN in files["md"]
    assert next(csv.DictReader(files["csv"].splitlines()))["without_accuracy"] == NOT_RUN


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


def test_undefended_run_alone_keeps_its_row(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier())
    rows = json.loads(read_files(lab, [run], tmp_path)["json"])["rows"]
    assert [row["autoencoder"] for row in rows] == ["none", "none"]
    assert rows[0]["with"] == {"status": NOT_RUN}
    assert rows[0]["without"]["run"] == run.id


# ---------------------------------------------------------------- honesty


def test_what_left_the_budget_is_marked_everywhere(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(model="lr"), method="non-targeted", valid=False)
    files = read_files(lab, [run], tmp_path)
    mark = "outside the budget: not a valid result (largest change 0.18"
    assert all(mark in text for text in files.values())
    assert "not valid" in files["html"]
    assert "* outside the budget: not a valid result" in print_table(
        build_terminal_table(compare_runs(lab.registry, [run]))
    )


def test_pipeline_without_adaptive_run_is_not_called_robust(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), threat="oblivious")
    files = read_files(lab, [run], tmp_path)
    assert all("robustness not established" in files[name] for name in ("html", "md", "csv"))
    assert json.loads(files["json"])["headlines"][0]["robustness_established"] is False


def test_adaptive_run_outside_the_budget_establishes_nothing(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), valid=False)
    assert compare_runs(lab.registry, [run]).pipelines[0].doubt


@pytest.mark.parametrize(
    ("eps", "stuck", "established"), [(0.0, 0.0, False), (0.05, 0.0, False), (0.1, 0.5, False), (0.1, 0.0, True)]
)
def test_robustness_is_established_by_an_adaptive_attack_of_that_eps_with_gradients(
    lab: Lab, eps: float, stuck: float, established: bool
) -> None:
    """Neither a smaller budget than the weaker attacker had, nor an attack that stands still, establishes anything."""
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [
        lab.add_run(classifier, threat="oblivious", eps=(0.1,), keep=(0.3,)),
        lab.add_run(classifier, eps=(eps,), keep=(0.9,), stuck=stuck),
    ]
    comparison = compare_runs(lab.registry, runs)
    assert (comparison.pipelines[0].doubt is None) is established
    oblivious = next(row for row in comparison.rows if row.run.recipe.threat == "oblivious")
    assert any(note.startswith("robustness not established") for note in oblivious.notes) is not established


def test_a_headline_from_one_step_attacks_says_so(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, method="fgsm", steps=None)]
    for said in (True, False):
        (headline,) = write_headlines(compare_runs(lab.registry, runs))
        assert any("one-step" in warning for warning in headline.warnings) is said
        runs.append(lab.add_run(classifier))


def test_headline_is_the_worst_valid_row_at_the_smallest_eps_that_reaches_it(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [
        lab.add_run(classifier, eps=(0.1, 0.2, 0.3), keep=(0.5, 0.0, 0.0)),
        lab.add_run(classifier, threat="encoded", keep=(0.4, 0.0)),
        lab.add_run(classifier, method="fgsm", keep=(0.0, 0.0), valid=False),
    ]
    strongest = compare_runs(lab.registry, runs).pipelines[0].find_strongest(["adaptive"])
    assert strongest is not None
    assert (strongest.run.id, strongest.eps) == (runs[0].id, 0.2)


def test_encoded_rows_say_where_the_budget_applies(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 45.0)))
    row = compare_runs(lab.registry, [lab.add_run(classifier, threat="encoded")]).rows[0]
    assert any("applied to the purified data, whose range is 0 to 45 here" in note for note in row.notes)


def test_every_threat_model_of_the_table_is_described() -> None:
    assert all(describe_threat(name) == row.explanation for name, row in THREATS.items())
    assert "not know" in describe_threat("of a later version")


def test_collapsed_classifier_is_noted(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(), clean=0.1)
    assert any("cannot be told from chance (10.0" in note for note in compare_runs(lab.registry, [run]).rows[0].notes)


def test_small_samples_are_flagged(lab: Lab, pair: list[Manifest]) -> None:
    assert all("small sample (n = 100 < 1000)" in row.notes for row in compare_runs(lab.registry, pair).rows)


def test_threat_models_are_explained(lab: Lab, tmp_path: Path) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, threat=threat) for threat in ("adaptive", "gray-box", "oblivious", "encoded")]
    page = read_files(lab, runs, tmp_path)["html"]
    for phrase in ("knows everything", "but not the autoencoder", "does not know of the defence", "stands behind"):
        assert phrase in page


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


def test_json_keeps_every_number_unrounded(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    document = json.loads(read_files(lab, pair, tmp_path)["json"])
    assert document["schema"] == 1
    stored = {manifest.id: manifest.metrics.model_dump(mode="json") for manifest in pair}
    assert {run["id"]: run["metrics"] for run in document["runs"]} == stored
    for row in document["rows"]:
        result = next(r for r in stored[row["run"]]["results"] if r["eps"] == row["eps"])
        assert {name: row["with"][name] for name in result if name != "targets"} == {
            name: value for name, value in result.items() if name != "targets"
        }
    assert document["networks"][0]["history"]["loss"] == [2.0, 0.9, 0.3, 0.1, 0.05]


def test_csv_has_a_line_for_each_run_and_eps(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    lines = list(csv.DictReader(read_files(lab, pair, tmp_path)["csv"].splitlines()))
    assert sorted((line["run"], line["eps"]) for line in lines) == sorted(
        (m.id, e) for m in pair for e in ("0.1", "0.3")
    )
    defended = next(line for line in lines if line["run"] == pair[1].id)
    assert float(defended["accuracy"]) == pair[1].metrics.results[0].accuracy  # type: ignore[union-attr]
    assert float(defended["without_accuracy"]) == pair[0].metrics.results[0].accuracy  # type: ignore[union-attr]
    assert "" not in defended.values()


@pytest.mark.parametrize(
    ("eps", "text"), [(50 / 255, "0.196 (50/255)"), (0.3, "0.3 (76.5/255)"), (1.0, "1 (255/255)"), (0.0, "0 (0/255)")]
)
def test_eps_is_shown_in_both_scales(eps: float, text: str) -> None:
    assert format_eps(eps).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_missing_rate_is_never_a_blank() -> None:
    assert format_rate(None) == NOT_RUN


# ---------------------------------------------------------------- names from users' files


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Lab, list[Manifest]]:
    classes = (HOSTILE, "accuracy", "", "$x", '"><img src=x onerror=alert(1)>', "\x1b[2J\n")
    dataset = DIGITS.model_copy(update={"name": f"={HOSTILE}", "classes": classes})
    lab = Lab(tmp_path / "home", dataset)
    return lab, [lab.add_run(lab.add_classifier(lab.add_autoencoder()), method="tfgsm", target=0)]


def test_hostile_names_stay_inert_on_the_page(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    page = read_files(*hostile, tmp_path)["html"]
    assert Tags(page).tags.count("script") == 1
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\x1b" not in page


def test_hostile_names_break_no_markdown_table(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    text = read_files(*hostile, tmp_path)["md"]
    assert "<script>alert" not in text.split("## How to run this again")[0]
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_hostile_names_are_no_formula_and_no_markup(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    lab, runs = hostile
    lines = csv.DictReader(read_files(lab, runs, tmp_path)["csv"].splitlines())
    assert {line["dataset"] for line in lines} == {f"'={HOSTILE}"}
    assert "[red]" in print_table(build_terminal_table(compare_runs(lab.registry, runs)))


def test_names_lose_what_a_terminal_would_obey() -> None:
    assert show_name("a\x1b[2J\nb") == "a\ufffd[2J\ufffdb"


def test_markdown_escape_leaves_one_line() -> None:
    assert escape("a|b\n<c>*") == "a\\|b &lt;c&gt;\\*"


def test_commands_are_quoted_for_a_shell(hostile: tuple[Lab, list[Manifest]]) -> None:
    lab, runs = hostile
    commands = list_commands(compare_runs(lab.registry, runs).runs)
    assert [command.split()[1] for command in commands] == ["train-ae", "train-clf", "attack"]
    assert f"--dataset '={HOSTILE}'" in commands[0]


# ---------------------------------------------------------------- figures


def test_every_figure_draws_something(lab: Lab, pair: list[Manifest]) -> None:
    comparison = compare_runs(lab.registry, pair)
    with styled():
        for name, draw in FIGURES.items():
            drawings = list(draw(comparison))
            assert drawings, name
            assert all(drawing.label and drawing.caption and drawing.markup for drawing in drawings)


def test_captions_say_what_was_attacked(lab: Lab, pair: list[Manifest]) -> None:
    figures = draw_figures(compare_runs(lab.registry, pair))
    for caption in (drawing.caption for drawing in figures[pair[1].id]):
        for fact in ("bim", "adaptive", "/255)", "n = 100", "seed 0", pair[1].id):
            assert fact in caption


def test_svg_ids_differ_between_figures_and_not_between_writes() -> None:
    figure, axes = create_axes()
    axes.fill_between([0, 1], [0, 1])
    one, other = render_svg(figure, "a"), render_svg(figure, "b")
    assert one == render_svg(figure, "a")
    assert not set(re.findall(r'id="([^"]+)"', one)) & set(re.findall(r'id="([^"]+)"', other))


def test_png_is_one_that_others_read() -> None:
    from matplotlib.image import imread

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    content = base64.b64decode(encode_png_uri(pixels).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.rint(imread(io.BytesIO(content)) * 255).astype(np.uint8), pixels)


def test_many_matrices_are_cut_to_the_largest_eps_and_all_stay_in_json(
    lab: Lab, pair: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = score_runs(compare_runs(lab.registry, pair))
    monkeypatch.setattr("advae.report.scores.MAX_CELLS", 400)
    assert [[one.eps for one in scores] for scores in select_shown(findings).values()] == [[None, 0.3]] * 2
    monkeypatch.setattr("advae.report.scores.MAX_CELLS", 399)
    assert set(select_shown(findings).values()) == {()}


# ---------------------------------------------------------------- weight


def test_import_is_light_and_writing_loads_no_network(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import advae.report
heavy = {{"numpy", "matplotlib", "jinja2", "sklearn", "tensorflow", "keras"}} & set(sys.modules)
assert not heavy, heavy
from advae.registry import Registry
registry = Registry(Path({str(lab.registry.home)!r}))
advae.report.write_report(registry, registry.entries("run"), Path({str(tmp_path / "out")!r}))
loaded = {{"tensorflow", "keras", "matplotlib.pyplot"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
