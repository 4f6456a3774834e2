"""Run plans that come with advae on real data, as ``advae reproduce --plan NAME`` does, and record what they find.

    python -m tests.benchmarks.recorded_plans NAME [NAME ...] --data-dir DIR --home DIR [--jobs N] [--dataset D]

The registry in --home makes it resumable. Each plan's JSON goes to tests/benchmarks/results/NAME.json, its figures
beside it, and ``results_table`` makes tables of results/README.md from them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advae.cli import main as run_command
from advae.experiments import read_experiment
from advae.named_plans import PLANS
from advae.report.formats.markdown import escape
from tests.benchmarks.machine import describe_machine

FOLDER = Path(__file__).parent / "results"

Document = dict[str, Any]


@dataclass(frozen=True)
class RecordedPlan:
    """What is recorded of a plan's report."""

    headings: tuple[str, ...] = ()
    """Headings of the sections of report.md that are recorded."""
    figures: tuple[str, ...] = ()
    """Beginnings of the names of the figures that are kept, of those that ``report --figures`` writes."""


RECORDED: dict[str, RecordedPlan] = {
    "all-defences": RecordedPlan(figures=("pipelines-",)),
}
"""Name of a plan -> what is recorded of it."""


def record(name: str, *, home: Path, data_dir: Path | None, jobs: int, dataset: str | None) -> Document:
    """Run a plan and return its record; its figures are written beside it."""
    where: list[str] = ["--home", str(home), *(["--data-dir", str(data_dir)] if data_dir else [])]
    more = ["--dataset", dataset] if dataset else []
    with tempfile.TemporaryDirectory() as folder:
        _call("reproduce", "--plan", name, "--jobs", str(jobs), "--out", folder, *where, *more)
        found = json.loads((Path(folder) / "report.json").read_text())
        text = (Path(folder) / "report.md").read_text()
        if RECORDED[name].figures:
            ids = [run["id"] for run in found["runs"]]
            _call("report", *ids, "--out", folder, "--figures", f"{folder}/figures", *where[:2])
            _keep_figures(name, Path(folder) / "figures")
    return describe_machine() | {
        "plan": name,
        "about": read_experiment(PLANS[name].path).about,
        "numbers": [one for one in found["numbers"] if one["headline"]],
        "sections": {heading: take_section(text, heading) for heading in RECORDED[name].headings},
    }


def _call(*line: str) -> None:
    code = run_command([*line])
    if code:
        raise SystemExit(code)


def _keep_figures(name: str, folder: Path) -> None:
    for path in sorted(folder.glob("*.svg")):
        if path.name.startswith(RECORDED[name].figures):
            (FOLDER / f"{name}-{path.name}").write_bytes(path.read_bytes())


def take_section(text: str, heading: str) -> str:
    """Return what report.md has below a heading of the second level. Raises ValueError where there is none."""
    found = re.search(rf"^## {re.escape(escape(heading))}\n+(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ValueError(f"the report has no section {heading!r}")
    return found[1].strip()


# ---------------------------------------------------------------- tables


def render_defences(document: Document) -> str:
    """Return the table of all purifiers, one row for each, the highest robust accuracy on the first dataset first."""
    datasets = list(dict.fromkeys(one["dataset"] for one in document["numbers"]))
    numbers = {(one["purifier_name"], one["classifier"], one["dataset"]): one for one in document["numbers"]}
    names = sorted({key[:2] for key in numbers}, key=lambda key: -_rank(numbers.get((*key, datasets[0]))))
    titles = [f"{name}: {title}" for name in datasets for title in COLUMNS]
    rows = [
        [name, f"`{model}`", *(cell for data in datasets for cell in _write_cells(numbers.get((name, model, data))))]
        for name, model in names
    ]
    lines = [["purifier", "classifier", *titles], ["---", "---", *["---:"] * len(titles)], *rows]
    return "\n".join([document["about"], "", *(f"| {' | '.join(line)} |" for line in lines)])


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
    white, certified = one["white_box"], one["certified"]
    low, high = white["robust_accuracy_interval"]
    mark = "" if one["reliability"]["result"] == "reliable" else " *"
    yield f"{100 * one['clean_accuracy']:.1f}"
    yield "" if one["oblivious"] is None else f"{100 * one['oblivious']['robust_accuracy']:.1f}"
    yield f"{100 * white['robust_accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]{mark}"
    yield f"{100 * certified['accuracy']:.1f}" if certified else ""


def main() -> None:
    """Parse the options, run each plan, and write its record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", nargs="+", choices=RECORDED)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--dataset")
    options = parser.parse_args()
    for name in options.plans:
        found = record(
            name, home=options.home, data_dir=options.data_dir, jobs=options.jobs, dataset=options.dataset
        )
        (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
