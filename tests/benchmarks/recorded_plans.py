"""Run plans that come with advae on real data, as ``advae reproduce --plan NAME`` does, and record what they find.

    python -m tests.benchmarks.recorded_plans NAME --data-dir DIR --home DIR [--jobs N] [--plan FILE]

--plan FILE records a reduced copy of the plan, whose ``about`` says what is reduced. The registry in --home makes it
resumable; figures are of all that it holds. The JSON goes to tests/benchmarks/results/NAME.json, figures beside it,
and ``results_table`` makes tables of results/README.md from them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advae.cli import main as run_command
from advae.experiments import read_experiment
from advae.experiments.chen2018.filter_section import CHEN_SECTION
from advae.experiments.printed_areas import PRINTED_SECTION
from advae.experiments.sahay2019.cascade_section import SAHAY_SECTION
from advae.named_plans import PLANS
from advae.report.formats.catalogue import TABLES
from tests.benchmarks.machine import describe_machine

FOLDER = Path(__file__).parent / "results"

Document = dict[str, Any]


@dataclass(frozen=True)
class RecordedPlan:
    """What is recorded of a plan's report."""

    headings: tuple[str, ...] = ()
    """Headings of the sections of report.md that are recorded."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Pattern of the names of figures that ``report --figures`` writes -> name of the file that is kept."""


CASCADE_VIEWS = ("published", "oblivious-fgsm", "adaptive-fgsm", "adaptive-pgd")
"""The charts of sahay2019, side by side in its section."""

RECORDED: dict[str, RecordedPlan] = {
    "all-defences": RecordedPlan(figures={f"pipelines-{name}.svg": name for name in ("mnist", "fashion-mnist")}),
    "chen2018": RecordedPlan((CHEN_SECTION.heading,)),
    "sahay2019": RecordedPlan(
        (SAHAY_SECTION.heading,), {f"*-training-{view}-accuracy.svg": view for view in CASCADE_VIEWS}
    ),
    "gondim-ribeiro2018": RecordedPlan((PRINTED_SECTION.heading,)),
    "retraining": RecordedPlan((TABLES["retrained"].heading,)),
    "yu2018": RecordedPlan((TABLES["surfaces"].heading,), {"decision-surfaces-*.png": "surfaces"}),
}
"""Name of a plan -> what is recorded of it."""


def record(name: str, plan: Path, *, home: Path, data_dir: Path | None, jobs: int) -> Document:
    """Run a plan and return its record; its figures are written beside it. plan: its file, or a reduced copy's."""
    where: list[str] = ["--home", str(home), *(["--data-dir", str(data_dir)] if data_dir else [])]
    asked = name if plan == PLANS[name].path else str(plan)
    with tempfile.TemporaryDirectory() as folder:
        _call("reproduce", "--plan", asked, "--jobs", str(jobs), "--out", folder, *where)
        found = json.loads((Path(folder) / "report.json").read_text())
        text = (Path(folder) / "report.md").read_text()
        if RECORDED[name].figures:
            _call("report", "--out", folder, "--figures", f"{folder}/figures", *where[:2])
            _keep_figures(name, Path(folder) / "figures")
    return describe_machine() | {
        "plan": name,
        "about": read_experiment(plan).about,
        "datasets": read_experiment(plan).datasets,
        "numbers": [one for one in found["numbers"] if one["headline"]],
        "sections": {heading: take_section(text, heading) for heading in RECORDED[name].headings},
    }


def _call(*line: str) -> None:
    code = run_command([*line])
    if code:
        raise SystemExit(code)


def _keep_figures(name: str, folder: Path) -> None:
    for pattern, kept in RECORDED[name].figures.items():
        for path in folder.glob(pattern):
            (FOLDER / f"{name}-{kept}{path.suffix}").write_bytes(path.read_bytes())


def take_section(text: str, heading: str) -> str:
    """Return what report.md has below a heading of the second level. Raises ValueError where there is none."""
    found = re.search(rf"^## {re.escape(heading)}\n+(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ValueError(f"the report has no section {heading!r}")
    return found[1].strip()


# ---------------------------------------------------------------- tables


def render_blocks() -> dict[str, str]:
    """Return the block of results/README.md of each recorded plan, by the plan's name."""
    found = {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in RECORDED}
    return {name: (render_sections if one["sections"] else render_defences)(one) for name, one in found.items()}


def render_sections(document: Document) -> str:
    """Return the sections that were recorded of a plan's report, below what the plan says that it does."""
    return "\n\n".join([document["about"].strip(), *document["sections"].values()])


def render_defences(document: Document) -> str:
    """Return the table of all purifiers, one row for each, the highest robust accuracy on the first dataset first."""
    datasets = document["datasets"]
    numbers = {
        (_PROTECTED.sub("", one["purifier_name"]), one["classifier"], one["dataset"]): one
        for one in document["numbers"]
    }
    names = sorted({key[:2] for key in numbers}, key=lambda key: (-_rank(numbers.get((*key, datasets[0]))), key))

    def cells(*key: str) -> Iterator[str]:
        return _write_cells(numbers.get(key))

    titles = [f"{name}: {title}" for name in datasets for title in COLUMNS]
    rows = [
        [name, f"`{model}`", *(cell for data in datasets for cell in cells(name, model, data))]
        for name, model in names
    ]
    lines = [["purifier", "classifier", *titles], ["---", "---", *["---:"] * len(titles)], *rows]
    return "\n".join([document["about"], "", *(f"| {' | '.join(line)} |" for line in lines)])


_PROTECTED = re.compile(r", for clf-\w+")
"""The id of a protected classifier in a purifier's name; the plan says which classifier it is."""

COLUMNS = ("clean", "oblivious", "adaptive", "certified")


def _rank(one: Document | None) -> float:
    return _read(one["white_box"]) or 0.0 if one else -1.0


def _read(found: Document | None) -> float | None:
    """Return the accuracy of a measured attack; None where it was not run."""
    return found.get("robust_accuracy") if found else None


def _write_cells(one: Document | None) -> Iterator[str]:
    """Yield clean, oblivious, adaptive and certified accuracy of a pipeline in %."""
    if one is None:
        yield from [""] * len(COLUMNS)
        return
    oblivious, certified = _read(one["oblivious"]), one["certified"]
    yield f"{100 * one['clean_accuracy']:.1f}"
    yield "" if oblivious is None else f"{100 * oblivious:.1f}"
    yield _write_strongest(one)
    yield f"{100 * certified['accuracy']:.1f}" if certified else ""


def _write_strongest(one: Document) -> str:
    white, rating = one["white_box"], one["reliability"]["result"]
    if _read(white) is None:
        return "not run"
    shares = (white["robust_accuracy"], *white["robust_accuracy_interval"])
    robust, low, high = (f"{100 * share:.1f}" for share in shares)
    return f"{robust} [{low}, {high}]{'' if rating == 'reliable' else ' *'}"


def main() -> None:
    """Parse the options, run each plan, and write its record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECORDED)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plan", type=Path)
    options = parser.parse_args()
    plan = options.plan or PLANS[options.name].path
    found = record(options.name, plan, home=options.home, data_dir=options.data_dir, jobs=options.jobs)
    (FOLDER / f"{options.name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
