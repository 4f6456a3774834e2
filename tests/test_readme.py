"""The documents show what is recorded, and what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from advae.attacks import ATTACKS
from advae.checks import CHECKS
from advae.cli.app import COMMANDS
from advae.experiments import EXPLANATIONS, list_published
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import CLASSIFIERS
from advae.report.formats.catalogue import ACCURACY, TABLES
from advae.threats import THREATS
from tests.benchmarks import reproduction, robust, speed_tables, threat_models
from tests.benchmarks.results_table import (
    CERTIFICATES,
    README,
    RESULTS_README,
    is_far,
    is_lost,
    list_paper,
    load_record,
    render_blocks,
    replace_blocks,
)

ROOT = README.parent
DOCUMENTS = [README, RESULTS_README, *sorted((ROOT / ".github").rglob("*.md"))]
MOST_LINES = 150


@pytest.mark.parametrize("path", [README, RESULTS_README, CERTIFICATES], ids=["README", "results", "certificates"])
def test_the_tables_are_made_from_the_records(path: Path) -> None:
    assert path.read_text() == replace_blocks(path), "run tests.benchmarks.results_table"
    assert path in render_blocks()


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_the_figure_of_scaling_and_all_robust_cases_are_recorded() -> None:
    assert speed_tables.FIGURE.exists()
    assert [row["name"] for row in load_record(robust.RESULTS)["rows"]] == list(robust.CASES)


def test_an_adaptive_attacker_breaks_the_vanilla_autoencoder() -> None:
    """And the paper's own protocol fails the check on the scale of its budget."""
    rows = load_record(threat_models.RESULTS)["rows"]
    (adaptive,) = (
        row["accuracy"]
        for row in rows
        if (row["autoencoder"], row["threat"], row["method"], row["eps"]) == ("vanilla", "adaptive", "bim", 0.3)
    )
    assert adaptive <= 0.01
    raw = [row for row in rows if row["autoencoder"] == "vanilla, raw output" and row["threat"] == "encoded"]
    assert raw
    assert all("proportion" in row["failed"] for row in raw)


def test_every_accuracy_of_the_paper_was_measured() -> None:
    """But where the training of the pipeline diverges, which is a result, too."""
    document = load_record(reproduction.RESULTS)
    entries = list_paper(document)
    assert [entry["figure"] for entry in entries] == [one.figure for one in list_published()]
    assert [entry["figure"] for entry in entries if entry["adaptive"]["status"] != "measured"] == []
    unmeasured = [entry["figure"] for entry in entries if entry["protocol"]["status"] != "measured"]
    assert unmeasured == [entry["figure"] for entry in entries if is_lost(document, entry)]


def test_what_the_paper_broke_undefended_is_broken_as_much() -> None:
    """The linear attacks on MNIST under the paper's own protocol, and the attacks on Fashion-MNIST's network."""
    entries = {entry["figure"]: entry for entry in list_paper(load_record(reproduction.RESULTS))}
    linear = [entries[figure] for figure in (9, 17, 19, 21)]
    assert [entry["attack"] for entry in linear] == ["non-targeted", "natural", "non-natural", "one-target"]
    networks = [entries[figure] for figure in (85, 87, 89)]
    assert [entry["attack"] for entry in networks] == ["fgsm", "tfgsm", "bim"]
    for entry, model in [
        *((one, ("mnist", "lr")) for one in linear),
        *((one, ("fashion-mnist", "nn")) for one in networks),
    ]:
        assert (entry["dataset"], entry["classifier"], entry["autoencoder"]) == (*model, "none")
        assert entry["protocol"]["accuracy"] <= entry["accuracy"], entry["figure"]


def test_what_differs_from_the_paper_is_explained() -> None:
    document = load_record(reproduction.RESULTS)
    explained = {figure for figures in EXPLANATIONS for figure in figures}
    assert {one["figure"] for one in list_paper(document) if is_far(document, one)} - explained == set()


def test_our_attacks_are_as_strong_as_the_papers_and_our_networks_as_good() -> None:
    """Attacked without autoencoder: at most two points above the paper; clean behind one: at most one point below."""
    weak = [
        (entry["figure"], side)
        for entry in list_paper(load_record(reproduction.RESULTS))
        for side in SIDES
        if entry["attack"] != "none"
        and entry["autoencoder"] == "none"
        # A clipped image is another attack than the paper's on the linear model, which leaves the range.
        and not (entry["classifier"] == "lr" and side == "adaptive")
        and entry[side]["accuracy"] > entry["accuracy"] + 0.02
    ]
    poor = [
        entry["figure"]
        for entry in list_paper(load_record(reproduction.RESULTS))
        if entry["attack"] == "none" and entry["autoencoder"] != "none" and entry["figure"] != OUT_OF_REACH
        if entry["adaptive"]["accuracy"] < entry["accuracy"] - 0.01
    ]
    assert (weak, poor) == ([], [])


SIDES = ("protocol", "adaptive")
OUT_OF_REACH = 8
"""The figure that repeats figure 7 by mistake: logistic regression cannot reach it."""


def read_all() -> str:
    return "\n".join(path.read_text() for path in DOCUMENTS)


def test_every_table_row_and_command_is_named() -> None:
    text = read_all()
    for name in (*AUTOENCODERS, *CLASSIFIERS, *ATTACKS, *THREATS, *CHECKS):
        assert f"`{name}`" in text, name
    assert [name for name in COMMANDS if f"`advae {name}" not in README.read_text()] == []


def test_every_command_and_option_that_is_shown_exists() -> None:
    """Words after ``advae`` in code are commands, and every long option is offered by one of them."""
    shown = [
        line
        for path in DOCUMENTS
        if path.name != "CHANGELOG.md"
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)
        for line in re.findall(r"(?<![\w./-])advae ([^|&\n)#]*)", block)
    ]
    assert len(shown) > 30
    assert {line.split()[0] for line in shown} - {*COMMANDS} == set()
    source = "".join(path.read_text() for path in (ROOT / "advae").rglob("*.py"))
    found = {*re.findall(r"[\w-]+", source)}
    options = {option for line in shown for option in re.findall(r"--[a-z][a-z-]+", line)}
    unknown = {option for option in options if not {option, option[2:].replace("-", "_")} & found}
    assert unknown == set()


def test_the_document_says_what_a_raised_check_means() -> None:
    text = " ".join((ROOT / ".github" / "docs" / "checks.md").read_text().split())
    assert [name for name, check in CHECKS.items() if f"- `{name}`: {check.raised}" not in text] == []


def test_every_csv_file_of_the_report_is_named() -> None:
    text = (ROOT / ".github" / "docs" / "report.md").read_text()
    for name in {*TABLES, "paper"} - {ACCURACY}:
        assert f"`{name.replace('_', '-')}`" in text, name


def test_there_is_one_block_for_each_set_up() -> None:
    for name in ("run", "test"):
        assert len(re.findall(rf"<!-- setup: {name} -->\s*```sh\n.*?```", README.read_text(), re.DOTALL)) == 1


RETIRED = re.compile(
    r"\b(twins?|rungs?|ladder|climbs?|whoever|nobody|somebody|fooled|verdicts?|what is left|stands)\b", re.IGNORECASE
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_retired_words_are_not_used(path: Path) -> None:
    """But in stored names, as code; old changelog entries stay as they were."""
    text = path.read_text().partition("## 0.3.0")[0] if path.name == "CHANGELOG.md" else path.read_text()
    assert RETIRED.findall(re.sub(r"`[^`\n]*`", "", text)) == []


def make_anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_resolves(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), target
        assert not anchor or anchor in make_anchors(linked.read_text()), target


def test_every_file_and_module_that_a_document_names_exists() -> None:
    text = read_all()
    files = {*re.findall(r"\b((?:tests|advae|completions)/[\w/]+\.\w+)", text)}
    modules = {*re.findall(r"python -m (tests\.[\w.]*\w)", text)}
    assert len(files) > 10
    assert len(modules) > 5
    assert [name for name in sorted(files) if not (ROOT / name).is_file()] == []
    paths = {module: ROOT / module.replace(".", "/") for module in modules}
    assert [module for module, path in paths.items() if not (path.with_suffix(".py").is_file() or path.is_dir())] == []


def test_the_architecture_names_every_room_in_order() -> None:
    from tests.test_architecture import LAYERS

    text = (ROOT / ".github" / "ARCHITECTURE.md").read_text()
    cells = [re.match(r"\| ((?:`\w+`(?:, )?)+) \|", line) for line in text.splitlines()]
    named = [{*re.findall(r"`(\w+)`", cell[1])} for cell in cells if cell]
    assert named == [layer for layer in LAYERS if layer != {"__init__", "__main__"}]


def test_every_table_that_the_architecture_names_exists() -> None:
    text = (ROOT / ".github" / "ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| [\w' ]+ \| `([A-Z_]+)` \| `(advae/[\w/]+\.py)` \|$", text, re.MULTILINE)
    assert len(rows) > 5
    missing = [(table, name) for table, name in rows if not re.search(rf"^{table}\b", (ROOT / name).read_text(), re.M)]
    assert missing == []


def test_every_test_that_security_names_exists() -> None:
    text = (ROOT / ".github" / "SECURITY.md").read_text()
    files = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(?:tests/(?:\w+/)*)?(test_\w+\.py)(?:::(\w+))?`", text)
    assert len(named) > 50
    assert [one for one in named if f"def {one[1]}" not in files.get(one[0], "")] == []
