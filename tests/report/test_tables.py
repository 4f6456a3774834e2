"""Every table as CSV and in Markdown, and that a new table needs one row of TABLES."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from advae.checks import SINGLE, list_made_checks
from advae.errors import UsageError
from advae.records import Manifest
from advae.report import write_report
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.tables import Findings, Table, TableRecord
from advae.report.data.word_tables import Cell, Grid, Part, read_value
from advae.report.formats.catalogue import TABLES, name_keys
from advae.report.formats.json_schema import describe_schema
from tests.report.planted_surfaces import add_surface
from tests.report.steered_codes import add_code_attack
from tests.report_fixtures import MNIST, RETRAINED, ROUNDS, Lab, read_files

Lines = list[dict[str, str]]


def read_tables(lab: Lab, runs: list[Manifest], out: Path) -> dict[str, Lines]:
    """Return the lines of each CSV file that was written, by table."""
    files = read_files(lab, runs, out)
    written = {name: files[key] for name, key in name_keys({}).items() if key in files}
    return {name: list(csv.DictReader(text.splitlines())) for name, text in written.items()}


@pytest.fixture
def everything(tmp_path: Path) -> tuple[Lab, list[Manifest]]:
    """Runs to fill every table: checked, certified, of two seeds, beside a baseline, the paper's, with NOT RUN gaps."""
    lab = Lab(tmp_path / "all", MNIST)
    behind = [
        lab.add_classifier(lab.add_autoencoder(**options), seed=options.get("seed", 0))
        for options in (
            {"seed": 1},
            {"type_": "blur"},
            {"activations": ("tanh", "tanh", "tanh", "softplus")},
            {"rescale": "none", "reach": (0.0, 40.0)},
        )
    ]
    lab.add_certificate(behind[0])
    add_code_attack(lab, lab.registry.manifest(behind[0].parents[0]))
    lab.add_certificate(behind[0], radii=(0.0, 0.4, 0.9), eps=(0.5,))
    add_surface(lab, behind[0])
    return lab, [
        lab.add_run(lab.add_classifier(), keep=(0.3, 0.0)),
        lab.add_run(lab.add_classifier(lab.add_autoencoder())),
        lab.add_run(behind[0], threat="oblivious", keep=(0.9, 0.8)),
        lab.add_run(behind[0], checked=True, keep=(0.5, 0.1)),
        lab.add_run(behind[1], keep=(0.4, 0.0)),
        lab.add_run(behind[2], keep=(0.4, 0.0)),
        lab.add_run(behind[3], keep=(0.9, 0.8), threat="encoded"),
        lab.add_run(lab.add_classifier(retrained=RETRAINED, retraining=ROUNDS), keep=(0.7, 0.5)),
    ]


# ---------------------------------------------------------------- every table


def test_every_table_has_a_file_and_every_file_a_table(everything: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    tables = read_tables(*everything, tmp_path)
    assert set(tables) == set(TABLES)
    names = {path.name for path in tmp_path.glob("*.csv")}
    assert names == {"report.csv"} | {f"report-{name.replace('_', '-')}.csv" for name in TABLES if name != "accuracy"}
    for name, lines in tables.items():
        assert lines, name
        assert all("" not in line and None not in line for line in lines), name
        assert all(value != "" for line in lines for value in line.values() if value is not None), name


def test_markdown_has_every_table_under_the_headings_of_the_page(
    everything: tuple[Lab, list[Manifest]], tmp_path: Path
) -> None:
    lab, runs = everything
    text = read_files(lab, runs, tmp_path)["md"]
    more = {"surfaces": lab.registry.entries("surface"), "code_attacks": lab.registry.entries("code")}
    findings = Findings(compare_runs(lab.registry, runs, **more))
    parts = [part for table in TABLES.values() for part in table.tabulate(findings)]
    widths = sorted(line.count("---") for line in text.splitlines() if re.fullmatch(r"\|( --- \|)+", line))
    assert widths == sorted(len(part.grid.titles) for part in parts if part.grid.rows)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Robust accuracy under the strongest attack",
        "Robust accuracy of each pipeline",
        "Certified accuracy",
        "Certified accuracy of smoothed pipelines",
        "Retrained classifiers under their own attack and a stronger one",
        "Retraining, round by round",
        "Decision surfaces",
        "Decision surfaces by class",
        "Attacks on the code",
        "Activations of the hidden layers",
        "Accuracy, defended and undefended",
        "Autoencoders and baselines",
        "Robust accuracy over seeds",
        "Threat models: what the attacker knows",
        "Each pipeline",
        "How to run this again",
    ]


class Thing(TableRecord):
    """A line of a new table."""

    kind_of_thing: str
    """What it is."""
    share: float | None
    """A share, 0 to 1; null where it was not measured."""


def test_a_row_of_the_table_of_tables_is_all_that_a_new_table_takes(
    lab: Lab, pair: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = (Thing(kind_of_thing="=a|b", share=0.125), Thing(kind_of_thing="c", share=None))

    def tabulate(findings: Findings) -> Iterator[Part]:
        rows = (("=a|b", Cell("12.5 %", 0.125)), ("c", Cell("NOT RUN", None)))
        yield Part(Grid("New", ("kind of thing", "share"), rows), {})

    new = Table("A new one", "What it shows.", "report", tabulate, Thing, collect=lambda findings: things)
    monkeypatch.setitem(TABLES, "new", new)
    files = read_files(lab, pair, tmp_path)
    assert list(csv.DictReader(files["csv-new"].splitlines())) == [
        {"kind_of_thing": "'=a|b", "share": "0.125"},
        {"kind_of_thing": "c", "share": "n/a"},
    ]
    assert json.loads(files["json"])["new"] == [
        {"kind_of_thing": "=a|b", "share": 0.125},
        {"kind_of_thing": "c", "share": None},
    ]
    assert describe_schema({})["$defs"]["Thing"]["properties"]["kind_of_thing"]["description"] == "What it is."
    assert "## A new one\n\nWhat it shows.\n\n| kind of thing | share |" in files["md"]
    assert "=a\\|b | 12.5 % |" in files["md"]


def test_cells_carry_the_numbers_behind_their_words(everything: tuple[Lab, list[Manifest]]) -> None:
    """Whatever a cell with a number says of it, rounded, is that number."""
    lab, runs = everything
    findings = Findings(compare_runs(lab.registry, runs))
    seen = dict.fromkeys((name for name, table in TABLES.items() if [*table.tabulate(findings)]), 0)
    for name, table in TABLES.items():
        for cell in (cell for part in table.tabulate(findings) for row in part.grid.rows for cell in row):
            value = read_value(cell)
            if isinstance(value, str):
                assert not re.fullmatch(r"[+-]?[0-9.]+\s%( \[.*\])?", cell), (name, cell)
            elif value is None:
                assert cell in ("NOT RUN", "n/a") or cell.startswith("only "), (name, cell)
            elif re.search("FAIL|WARN|PASS|NOT RUN", cell):
                # Counts of check results: what they sort by is how many fail.
                assert value == sum(map(int, re.findall(r"(\d+) FAIL", cell))), name
            elif number := re.match(r"[+-]?[0-9]+(\.[0-9]+)?(?=( %)?)", _plain(cell)):
                points = _plain(cell)[0] in "+-" or "points" in cell
                scale = 100 if "%" in cell or points else 1
                assert float(number[0]) == pytest.approx(value * scale, abs=0.06 if scale == 100 else 0.001), name
                seen[name] += 1
    assert all(seen.values()), seen


def _plain(cell: str) -> str:
    return cell.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


# ---------------------------------------------------------------- each table's numbers


def test_threat_model_lines_have_the_strongest_attack_of_each(lab: Lab, tmp_path: Path) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier), lab.add_run(classifier, threat="oblivious", eps=(0.1,), keep=(0.8,), valid=False)]
    lines = {(line["threat"], line["eps"]): line for line in read_tables(lab, runs, tmp_path)["threat_models"]}
    result = runs[0].as_run()[1].results[1]
    line = lines["adaptive", "0.3"]
    assert (line["run"], line["status"], float(line["robust_accuracy"])) == (runs[0].id, "measured", result.accuracy)
    assert (float(line["robust_accuracy_low"]), float(line["robust_accuracy_high"])) == result.accuracy_interval
    assert (lines["gray-box", "0.1"]["status"], lines["gray-box", "0.1"]["robust_accuracy"]) == ("NOT RUN", "NOT RUN")
    assert lines["oblivious", "0.1"]["status"].startswith("only outside the budget")


def test_check_lines_are_the_check_results(lab: Lab, tmp_path: Path) -> None:
    run, old = lab.add_run(lab.add_classifier(), checked=True), lab.add_run(lab.add_classifier(seed=1))
    tables = read_tables(lab, [run, old], tmp_path)
    stored = [(line["check"], line["status"]) for line in tables["run_checks"] if line["run"] == run.id]
    assert stored == [(result.check, result.status) for result in run.as_run()[1].verdicts]
    made = [name for name in list_made_checks(random=False) if name in SINGLE]
    assert [line["check"] for line in tables["run_checks"] if line["run"] == old.id] == made
    pipelines = compare_runs(lab.registry, [run, old]).pipelines
    found = [(line["classifier_id"], line["check"], line["sentence"]) for line in tables["checks"]]
    assert found == [(p.id, result.check, result.sentence) for p in pipelines for result in p.checks]


def test_baseline_lines_compare_purifiers_under_one_attack(lab: Lab, tmp_path: Path) -> None:
    runs = {"none": lab.add_run(lab.add_classifier(), keep=(0.3, 0.0))}
    runs |= {kind: lab.add_run(lab.add_classifier(lab.add_autoencoder(kind))) for kind in ("vanilla", "blur")}
    lines = [line for line in read_tables(lab, [*runs.values()], tmp_path)["baselines"] if line["eps"] == "0.1"]
    assert [(line["role"], line["purifier"]) for line in lines] == [
        ("undefended", "none"),
        ("baseline", "blur"),
        ("baseline", "pca"),
        ("baseline", "binary"),
        ("autoencoder", "vanilla"),
    ]
    without = runs["none"].as_run()[1].results[0].accuracy
    for line in (*lines[:2], lines[4]):
        own = runs[line["purifier"]]
        assert (line["run"], float(line["robust_accuracy"])) == (own.id, own.as_run()[1].results[0].accuracy)
    blur, vanilla = (str(runs[kind].as_run()[1].results[0].accuracy - without) for kind in ("blur", "vanilla"))
    assert [line["benefit"] for line in lines] == ["n/a", blur, "NOT RUN", "NOT RUN", vanilla]
    assert {line["robust_accuracy"] for line in lines[2:4]} == {"NOT RUN"}


def test_seed_lines_have_mean_minimum_and_maximum(lab: Lab, tmp_path: Path) -> None:
    runs = [lab.add_run(lab.add_classifier(seed=seed), eps=(0.1,), keep=(keep,)) for seed, keep in ((0, 0.2), (1, 0.6))]
    (line,) = read_tables(lab, runs, tmp_path)["seeds"]
    values = [run.as_run()[1].results[0].accuracy for run in runs]
    assert [float(line[name]) for name in ("minimum", "maximum")] == [min(values), max(values)]
    assert float(line["mean"]) == pytest.approx(sum(values) / 2)
    assert {*line["runs"].split()} == {run.id for run in runs}


def test_matrix_lines_count_every_sample_once(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(), eps=(0.1,), keep=(0.6,))
    outcomes = lab.registry.read_arrays(run, "outcomes.npz")
    lines = read_tables(lab, [run], tmp_path)["matrices"]
    assert len(lines) == 2 * 10 * 10
    for eps, predicted in (("n/a", outcomes["clean_predictions"]), ("0.1", outcomes["predictions"][0])):
        found = {
            (int(li["true_label"]), int(li["predicted_label"])): int(li["count"]) for li in lines if li["eps"] == eps
        }
        pairs = list(zip(outcomes["labels"].tolist(), predicted.tolist(), strict=True))
        assert found == {pair: pairs.count(pair) for pair in found}
        assert sum(found.values()) == len(pairs)


def test_score_lines_are_precision_recall_and_f1(lab: Lab, tmp_path: Path) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    run = lab.add_run(lab.add_classifier(), eps=(0.1,), keep=(0.6,))
    outcomes = lab.registry.read_arrays(run, "outcomes.npz")
    lines = [line for line in read_tables(lab, [run], tmp_path)["scores"] if line["eps"] == "0.1"]
    expected = precision_recall_fscore_support(outcomes["labels"], outcomes["predictions"][0], zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [float(line[name]) for line in lines[:10]] == pytest.approx(values.tolist())
    assert [(line["label"], line["class"]) for line in lines[10:]] == [
        ("n/a", "macro average"),
        ("n/a", "weighted average"),
    ]


# ---------------------------------------------------------------- files


def test_the_file_of_a_table_that_became_empty_is_removed(
    everything: tuple[Lab, list[Manifest]], tmp_path: Path
) -> None:
    lab, runs = everything
    out = tmp_path / "out"
    out.mkdir()
    own = {"report-mine.csv", "report-threat-models.csv.bak", "report-.csv", "seeds.csv"}
    for name in own:
        (out / name).write_text("mine")
    write_report(lab.registry, runs, out, formats=["csv"])
    assert (out / "report-seeds.csv").exists()
    write_report(lab.registry, runs[:1], out, formats=["md"])
    assert (out / "report-seeds.csv").exists()
    files = write_report(lab.registry, runs[:1], out, formats=["csv"])
    assert not {"csv-seeds", "csv-baselines"} & files.keys()
    assert {path.name for path in out.iterdir()} == {path.name for path in files.values()} | own | {"report.md"}


def test_every_file_of_a_report_is_known_as_one_and_replaced(
    everything: tuple[Lab, list[Manifest]], tmp_path: Path
) -> None:
    lab, runs = everything
    more = {"surfaces": lab.registry.entries("surface"), "code_attacks": lab.registry.entries("code")}
    files = write_report(lab.registry, runs, tmp_path, **more)
    assert len(files) == len(TABLES) + 3
    assert all(table.marks for table in TABLES.values())
    before = {path: path.read_bytes() for path in files.values()}
    for path in files.values():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"edited")
    assert write_report(lab.registry, runs, tmp_path, **more) == files
    assert {path: path.read_bytes() for path in files.values()} == before


FOREIGN = {
    "report.html": "<!DOCTYPE html>\n<html><title>ours</title></html>\n",
    "report.md": "# My report\n",
    "report.json": '{"schema": 2}\n',
    "report.csv": "run,eps,accuracy\n1,2,3\n",
    "report-threat-models.csv": "",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_no_report_wrote_is_not_replaced(name: str, lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir()
    path.write_text(FOREIGN[name])
    line = f"{path} was not written by a report; rename it, or write elsewhere with --out DIR"
    with pytest.raises(UsageError, match=f"^{re.escape(line)}$"):
        write_report(lab.registry, pair, path.parent)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == FOREIGN[name]


def test_a_file_that_no_report_wrote_is_not_removed(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    """Where this report has no such table, and wrote nothing of that name before."""
    for text in ("figure,caption\n3,ours\n", "", "\n", "\xff\0"):
        (tmp_path / "report-paper.csv").write_text(text, encoding="latin-1")
        (tmp_path / "report-seeds.csv").mkdir(exist_ok=True)
        assert "csv-paper" not in write_report(lab.registry, pair, tmp_path, formats=["csv"])
        assert (tmp_path / "report-paper.csv").read_text(encoding="latin-1") == text
        assert (tmp_path / "report-seeds.csv").is_dir()
