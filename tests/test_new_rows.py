"""A row that is added to a table is there everywhere: in help and completion, and a baseline in every form of a report.

Help and completion are made when the command line is imported: each case plants its row in a process of its own.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from advae.cli.report_output import SECTIONS
from advae.report.formats.json_schema import describe_schema

PLANTED = "planted"

TABLES = {
    "BASELINES": (
        "from dataclasses import replace; from advae.models.baselines import BASELINES as table; "
        "table['planted'] = replace(table['blur'], options={})",
        ("train-ae", "--type"),
    ),
    "AUTOENCODERS": (
        "from advae.models.autoencoders import AUTOENCODERS as table; table['planted'] = table['vanilla']",
        ("train-ae", "--type"),
    ),
    "CLASSIFIERS": (
        "from advae.models.classifiers import CLASSIFIERS as table; table['planted'] = table['nn']",
        ("train-clf", "--model"),
    ),
    "DATASETS": (
        "from advae.datasets.table import DATASETS as table; table['planted'] = table['digits']",
        ("train-ae", "--dataset"),
    ),
}
"""Table -> what plants a row in it, and a command and its option that take the row's name."""

RUN = "import sys; from advae.__main__ import run; sys.argv = ['advae', *sys.argv[1:]]; run()"


def run_planted(plant: str, script: str, *arguments: object, **environment: str) -> str:
    """Return the output of a script in a process in which a row was planted before the command line was imported."""
    done = subprocess.run(
        [sys.executable, "-c", f"{plant}\n{script}", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("table", TABLES)
def test_a_new_row_is_in_help_and_completion(table: str) -> None:
    plant, (command, option) = TABLES[table]
    assert PLANTED in run_planted(plant, RUN, command, "--help")
    words = f"advae {command} {option} pl"
    offered = run_planted(plant, RUN, _ADVAE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="3")
    assert offered.split() == [PLANTED]


REPORT = """
import sys
from pathlib import Path
from tests.report_fixtures import Lab
from advae.cli import main
lab, out = Lab(Path(sys.argv[1]) / "home"), Path(sys.argv[1]) / "out"
lab.add_run(lab.add_classifier(), keep=(0.3, 0.0))
lab.add_run(lab.add_classifier(lab.add_autoencoder()), keep=(0.4, 0.1))
planted = lab.add_autoencoder("planted", network=None, loss=None, rescale="none", history=None)
lab.add_run(lab.add_classifier(planted), keep=(0.6, 0.2))
code = main(["report", "--home", str(lab.registry.home), "--out", str(out), "--format", "html,md,json,csv"])
assert code == 0, code
"""


def test_a_new_baseline_is_a_baseline_in_every_form_of_a_report(tmp_path: Path) -> None:
    plant, _ = TABLES["BASELINES"]
    run_planted(plant, REPORT, tmp_path)
    out = tmp_path / "out"
    document = json.loads((out / "report.json").read_text())
    planted = [one for one in document["baselines"] if one["purifier"] == PLANTED]
    assert [one["robust_accuracy"] for one in planted] == [0.49, 0.22]
    assert {one["role"] for one in planted} == {"baseline"}
    assert not any(PLANTED in one["missing"] for one in document["missing_baselines"])
    lines = list(csv.DictReader(io.StringIO((out / "report-baselines.csv").read_text())))
    assert {line["role"] for line in lines if PLANTED in line.values()} == {"baseline"}
    for page in (out / "report.html", out / "report.md"):
        assert f"baseline ({PLANTED})" in page.read_text()
    Draft202012Validator(describe_schema(SECTIONS)).validate(document)
