"""Names from users' files: they stay inert in every format."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.data.commands import list_commands
from advae.report.formats.markdown import escape
from tests.report_fixtures import DIGITS, Lab, list_executed, print_summary, read_files

HOSTILE = "<script>alert(1)</script>|x| $\\frac{ [red]`"


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Lab, list[Manifest]]:
    classes = (HOSTILE, "accuracy", "", "$x", '"><img src=x onerror=alert(1)>', "\x1b[2J\n")
    dataset = DIGITS.model_copy(update={"name": f"={HOSTILE}", "classes": classes})
    lab = Lab(tmp_path / "home", dataset)
    return lab, [lab.add_run(lab.add_classifier(lab.add_autoencoder()), method="tfgsm", target=0)]


def test_hostile_names_stay_inert_on_the_page(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    page = read_files(*hostile, tmp_path)["html"]
    assert list_executed(page) == [""]
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\x1b" not in page


def test_hostile_names_break_no_markdown_table(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    text = read_files(*hostile, tmp_path)["md"]
    assert "<script>alert" not in re.sub(r"^(`{3,})sh\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_hostile_names_are_no_formula_and_no_markup(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    lab, runs = hostile
    lines = csv.DictReader(read_files(lab, runs, tmp_path)["csv"].splitlines())
    assert {line["dataset"] for line in lines} == {f"'={HOSTILE}"}
    assert "[red]" in print_summary(compare_runs(lab.registry, runs))


def test_hostile_names_are_no_formula_in_any_table(hostile: tuple[Lab, list[Manifest]], tmp_path: Path) -> None:
    lab, _ = hostile
    runs = [lab.add_run(lab.add_classifier(lab.add_autoencoder(kind))) for kind in ("vanilla", "blur")]
    runs.append(lab.add_run(lab.add_classifier(lab.add_autoencoder(seed=1), seed=1)))
    tables = {key: text for key, text in read_files(lab, runs, tmp_path).items() if key.startswith("csv")}
    assert {"csv", "csv-headlines", "csv-threat-models", "csv-matrices", "csv-scores"} <= tables.keys()
    for key, text in tables.items():
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        for name, cell in ((name, cell) for row in rows for name, cell in zip(header, row, strict=True)):
            assert not re.match(r"[=@\t\r]|[+-](?![0-9.e+-]+$)", cell), (key, name)
            assert "\x1b" not in cell


def test_markdown_escape_leaves_one_line() -> None:
    assert escape("a|b\n<c>*") == "a\\|b &lt;c&gt;\\*"


def test_commands_are_quoted_for_a_shell(hostile: tuple[Lab, list[Manifest]]) -> None:
    lab, runs = hostile
    commands = list_commands(compare_runs(lab.registry, runs))
    assert [command.split()[1] for command in commands] == ["train-ae", "train-clf", "attack"]
    assert f"--dataset '={HOSTILE}'" in commands[0]
