"""What ``advae report`` shows at a terminal: the answer, the headline, and what did not pass."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.overview import list_overviews
from advae.report.analysis.tables import Findings
from advae.report.formats.terminal import list_excluded, summarize
from advae.report.formats.terminal_table import wrap_text
from tests.calls import call
from tests.report_fixtures import COUNTED, DIGITS, Lab, print_summary


@pytest.fixture
def several(lab: Lab) -> list[Manifest]:
    """Two autoencoders, a baseline and nothing in front of a classifier, one of the attacks with a failing check."""
    runs = [lab.add_run(lab.add_classifier(), keep=(0.3, 0.0), checked=True)]
    for type_, keep, found in (("vanilla", 0.4, {}), ("sparse", 0.5, {"probabilities": True}), ("blur", 0.2, {})):
        classifier = lab.add_classifier(lab.add_autoencoder(type_))
        runs.append(lab.add_run(classifier, keep=(keep, keep / 2), checked=True, found=found))
        runs.append(lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.8), checked=True))
    return runs


def test_the_summary_fits_80_columns_and_agrees_with_the_page(lab: Lab, several: list[Manifest]) -> None:
    comparison = compare_runs(lab.registry, several)
    text = print_summary(comparison)
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    (overview,) = list_overviews(Findings(comparison))
    assert " ".join(overview.summary.rpartition("\n")[0].split()) in words
    assert "logits FAIL (1 of 4 pipelines, first sparse, nn on digits): the classifier returns probabilities" in words
    oblivious, adaptive = (run.as_run()[1] for run in (several[4], several[3]))
    clean, left = adaptive.clean_accuracy, adaptive.results[1].accuracy
    found = oblivious.results[1].accuracy
    numbers = (left, *adaptive.results[1].accuracy_interval, found, found - left, clean)
    (row,) = (line for line in text.splitlines() if re.match(r" +sparse .*established", line))
    assert re.findall(r"\d+\.\d", row) == [f"{100 * number:.1f}" for number in numbers]
    assert f"{100 * left:.1f}* [" in row
    assert row.rstrip().endswith("not established")
    assert "* not reliable" in text
    assert "black-box (4)" in words


def test_every_pipeline_has_one_row(lab: Lab, several: list[Manifest]) -> None:
    text = print_summary(compare_runs(lab.registry, several))
    rows = [line for line in text.splitlines() if re.match(r"^ +(vanilla|sparse|blur|undefended) +[0-9]", line)]
    assert len(rows) == 4


def test_a_number_from_other_images_is_marked_and_its_attack_named(lab: Lab) -> None:
    for kind in ("vanilla", "denoising", "sparse"):
        classifier = lab.add_classifier(lab.add_autoencoder(kind))
        lab.add_run(classifier, eps=(0.3,), keep=(0.5,), n=400, limit=None, checked=True)
    lab.add_run(classifier, eps=(0.3,), keep=(0.0,), method="pgd", steps=80, restarts=1, checked=True)
    text = print_summary(compare_runs(lab.registry, lab.registry.entries("run")))
    assert [line.split()[0] for line in text.splitlines() if re.search(r"\d\*?\+ \[", line)] == ["sparse"]
    assert "+ from another attack than the other rows: pgd, 80 steps, eps 0.3, n = 100" in " ".join(text.split())


def test_entries_that_are_excluded_for_one_reason_are_named_once() -> None:
    gone = {f"run-{place}": f"run-{place} has no artifact" for place in range(6)}
    assert list(list_excluded(gone | {"cert-1": "other"})) == [
        "run-0 is excluded: run-0 has no artifact (and 5 more for the same reason: run-1, run-2, run-3, ...)",
        "cert-1 is excluded: other",
    ]


def test_no_number_is_broken_from_its_sign() -> None:
    for width in range(20, 60):
        lines = wrap_text(
            "robust accuracy 97.3 % (n = 1000 of 10000, eps 0.3), and 4.4 % at eps 0.1", width
        ).splitlines()
        assert not any(line.strip().startswith(("%", "=")) for line in lines)
        assert not any(re.search(r"(\bn|=|\beps)$", line.strip()) for line in lines)


def test_at_most_twelve_lines_quote_checks(lab: Lab) -> None:
    """Also where as much as can fail does."""
    bad = {"probabilities": True, "finite": False, "zero_gradient_fraction": 0.9, "lost_fraction": 0.5}
    classifier = lab.add_classifier(lab.add_autoencoder())
    lab.add_run(classifier, keep=(0.2, 0.9), clean=0.4, n=20, checked=True, found=bad)
    lab.add_run(classifier, threat="oblivious", keep=(0.1, 0.1), n=20, checked=True)
    lab.add_run(classifier, method="fgsm", steps=None, keep=(0.0, 0.0), n=20, valid=False, checked=True)
    comparison = compare_runs(lab.registry, lab.registry.entries("run"))
    _, _, found, *_ = summarize(comparison, width=80, encoding="utf-8")
    assert isinstance(found, str)
    paragraphs = [line for line in found.splitlines() if not line.startswith("  ")]
    assert 5 <= len(paragraphs) <= 12
    assert any(line.startswith("gradients FAIL") for line in paragraphs)


# ---------------------------------------------------------------- where it is shown


def test_the_largest_gap_is_explained(lab: Lab, several: list[Manifest]) -> None:
    words = " ".join(print_summary(compare_runs(lab.registry, several)).split())
    assert re.search(r"Largest illusion gap, digits: nn behind [^:]*blur", words)


@pytest.mark.parametrize("width", [40, 59])
def test_text_is_wrapped_to_a_narrow_terminal(lab: Lab, several: list[Manifest], width: int) -> None:
    said, _, *rest = summarize(compare_runs(lab.registry, several), width=width, encoding="utf-8")
    assert all(len(line) <= width for text in (said, *rest) for line in str(text).splitlines())
    shown = print_summary(compare_runs(lab.registry, several), width=width)
    assert "…" not in shown
    assert re.search(r"^   white-box \d+\.\d\* \[\d+\.\d, \d+\.\d\]$", shown, re.MULTILINE)


def test_an_ascii_terminal_gets_ascii(lab: Lab, several: list[Manifest]) -> None:
    """Encoding is strict here: a character too many would raise."""
    text = print_summary(compare_runs(lab.registry, several), encoding="ascii")
    assert "vanilla" in text
    assert "\\x" not in text


def test_without_colour_no_escape_is_written(lab: Lab, several: list[Manifest]) -> None:
    def draw(*, no_color: bool) -> str:
        stream = io.StringIO()
        console = Console(file=stream, width=80, force_terminal=True, no_color=no_color, color_system="standard")
        for part in summarize(compare_runs(lab.registry, several), width=80, encoding="utf-8"):
            console.print(part)
        return stream.getvalue()

    assert "\x1b[1;33mweak" in draw(no_color=False)
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", draw(no_color=True))


def test_names_from_files_are_no_markup_and_move_no_cursor(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", DIGITS.model_copy(update={"name": "[red]x\x1b[2J"}))
    lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True)
    text = print_summary(compare_runs(lab.registry, lab.registry.entries("run")))
    assert "[red]x\\x1b[2J" in text
    assert "\x1b" not in text


def test_stdout_is_the_path_and_nothing_else(lab: Lab, several: list[Manifest], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = call("report", *(run.id for run in several), "--home", lab.registry.home, "--out", out, "--format", "html")
    assert shown.out == f"{out / 'report.html'}\n"
    assert "In front" not in shown.err
    assert "sparse" in shown.err
    assert "┤" not in shown.err, "stderr is no terminal here"
    quiet = call("report", "--home", lab.registry.home, "--out", out, "--format", "json", "-q")
    assert (quiet.out, quiet.err) == (f"{out / 'report.json'}\n", "")


def test_every_check_has_its_name_in_the_summary(lab: Lab) -> None:
    """None is passed over: without an adaptive run all are NOT RUN."""
    lab.add_run(lab.add_classifier(lab.add_autoencoder()), threat="oblivious", checked=True)
    words = " ".join(print_summary(compare_runs(lab.registry, lab.registry.entries("run"))).split())
    assert all(f"{check} (1)" in words for check in COUNTED)
