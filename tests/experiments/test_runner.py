"""``advae reproduce``: a plan made cell by cell, alone and side by side, killed and resumed; and what it prints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advae.errors import KilledError
from advae.experiments import PAPER, read_experiment
from advae.experiments.cells import list_cells
from advae.experiments.processes import open_pool
from advae.experiments.runner import Finished, Task, make_cells, survey
from advae.registry import Registry, locks
from advae.workflows import Workspace
from tests.calls import call, succeed
from tests.canaries import careless_environment, plant
from tests.experiments.conftest import PLAN
from tests.experiments.stored import find_differences, read_results

CELLS = {"autoencoders": 3, "classifiers": 4, "attacks": 5, "certificates": 1}
"""How many the plan of conftest.py has."""


def test_every_cell_is_made_and_reported(whole: Path) -> None:
    registry = Registry(whole / "home")
    kinds = {"autoencoders": "ae", "classifiers": "clf", "attacks": "run", "certificates": "cert"}
    assert {level: len(list(registry.entries(kind))) for level, kind in kinds.items()} == CELLS
    document = json.loads((whole / "report" / "report.json").read_text())
    assert {run["id"] for run in document["runs"]} == {entry.id for entry in registry.entries("run")}
    assert [one["certificate"] for one in document["certified"]] == registry.ids("cert")


CERTIFIED = """
datasets = ["digits"]
[autoencoders]
certified = { type = "certified", epochs = 2, train-eps = 0.05 }
[classifiers]
own = { from = "autoencoder" }
[[attacks]]
classifiers = ["own"]
behind = ["certified"]
methods = ["noise"]
eps = [0.01]
limit = 30
[[certificates]]
classifiers = ["own"]
behind = ["certified"]
methods = ["ibp"]
eps = [0.01, 0.02]
limit = 30
"""


def test_a_certified_autoencoder_is_trained_attacked_and_certified(tmp_path: Path) -> None:
    plan, home, out = tmp_path / "plan.toml", tmp_path / "home", tmp_path / "report"
    plan.write_text(CERTIFIED)
    common = ("reproduce", "--home", home, "--plan", plan)
    made = succeed(*common, "--jobs", 1, "--out", out)
    assert "digits: ibp, linf, cnn behind autoencoder (certified)" in made.err
    first, second = json.loads((out / "report.json").read_text())["certified"]
    assert [first["certificate"]] == Registry(home).ids("cert")
    assert first["clean_accuracy"] >= first["certified_accuracy"] >= second["certified_accuracy"]
    assert first["strongest"]["robust_accuracy"] >= first["certified_accuracy"] > 0
    assert succeed(*common, "--dry-run", "--json").json["missing"] == 0
    asked = ("certify", "--home", home, "--method", "ibp", "--eps", "0.01,0.02", "--limit", 30)
    assert succeed(*asked, "--clf", first["classifier_id"], "--json").json["cached"]


def test_a_second_time_does_no_work(whole: Path, plan: Path, tmp_path: Path) -> None:
    before = {entry.id: entry.created for entry in Registry(whole / "home").entries()}
    outcome = succeed("reproduce", "--home", whole / "home", "--plan", plan, "--out", tmp_path / "again", "--json")
    assert {entry.id: entry.created for entry in Registry(whole / "home").entries()} == before
    for name in ("report.html", "report.json", "report.md", "report.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (whole / "report" / name).read_bytes(), name
    assert outcome.json["page"] == str(tmp_path / "again" / "report.html")
    assert len(outcome.json["runs"]) == CELLS["attacks"]


def test_latest_is_not_changed(whole: Path) -> None:
    """``latest`` is what the last train command made."""
    registry = Registry(whole / "home")
    assert [registry.latest(kind) for kind in ("ae", "clf", "run", "cert")] == [None] * 4


def test_the_rest_is_made_by_the_ordinary_commands_too(whole: Path) -> None:
    """A cell has the id that its own command prints: either finds what the other made."""
    outcome = succeed("train-ae", "--home", whole / "home", "--type", "vanilla", "--epochs", 2, "--json")
    assert outcome.json["cached"] is True


def test_a_dry_run_shows_missing_cells_and_computes_none(plan: Path, tmp_path: Path) -> None:
    outcome = succeed("reproduce", "--home", tmp_path / "home", "--plan", plan, "--dry-run")
    assert len(outcome.out.split()) == sum(CELLS.values())
    assert not (tmp_path / "home").exists()
    for level, count in CELLS.items():
        (line,) = [line for line in outcome.err.splitlines() if level in line]
        assert line.split()[:4] == [level, str(count), "0", str(count)]


def test_a_dry_run_as_json(whole: Path, plan: Path) -> None:
    found = succeed("reproduce", "--home", whole / "home", "--plan", plan, "--dry-run", "--json").json
    assert (found["missing"], found["estimated_seconds"]) == (0, 0)
    assert [cell["status"] for cell in found["cells"]] == ["there"] * sum(CELLS.values())


def test_the_papers_plan_can_be_copied() -> None:
    assert succeed("reproduce", "--show-plan").out == PAPER.read_text()
    assert succeed("reproduce", "--show-plan", "--json").json == {"plan": PAPER.read_text()}


def test_after_a_kill_the_experiment_continues_where_it_was(whole: Path, plan: Path, tmp_path: Path) -> None:
    """Two at a time and killed with -9; what was finished is not made again; same numbers, same report to the byte.

    All in a folder of files named like the modules that its processes import, none of which is executed.
    """
    home, out, folder = tmp_path / "home", tmp_path / "report", tmp_path / "canaries"
    folder.mkdir()
    log = plant(folder)
    command = [sys.executable, "-m", "advae", "reproduce", "--home", home, "--plan", plan, "--jobs", "2", "--out", out]
    line, surroundings = [*map(str, command), "-q"], {"cwd": folder, "env": careless_environment()}
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, start_new_session=True, **surroundings)
    try:
        _wait_for(lambda: len(Registry(home).ids()) >= sum(CELLS.values()) // 2, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finished = {entry.id: entry.created for entry in Registry(home).entries()}
    assert 0 < len(finished) < sum(CELLS.values())
    subprocess.run(line, check=True, capture_output=True, **surroundings)
    assert log.read_text() == ""
    after = {entry.id: entry.created for entry in Registry(home).entries()}
    assert {id_: after[id_] for id_ in finished} == finished
    assert find_differences(read_results(home), read_results(whole / "home")) == []
    for name in ("report.html", "report.json", "report.md", "report.csv"):
        assert (out / name).read_bytes() == (whole / "report" / name).read_bytes(), name


def _wait_for(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 200
    while not happened():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_after_a_divergence_only_cells_that_need_it_are_skipped(whole: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(PLAN.replace('rescale = "none"', 'rescale = "none"\nlearning-rate = 1e30'))
    shutil.copytree(whole / "home", tmp_path / "home")
    before = Registry(tmp_path / "home").ids()
    arguments = ("reproduce", "--home", tmp_path / "home", "--plan", broken, "--jobs", 1, "--out", tmp_path / "report")
    outcome = call(*arguments)
    assert outcome.code == 8
    assert "advae: digits: vanilla, raw output, relu-relu-exponential: training diverged" in outcome.err
    # Nothing is left of it, nothing else was lacking, and the report is there without what rests on it.
    assert set(Registry(tmp_path / "home").ids()) == set(before)
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(document["runs"]) == CELLS["attacks"] - 1


TINY = """
datasets = ["digits"]
[autoencoders]
broken = { type = "vanilla", epochs = 1, learning-rate = 1e30 }
[classifiers]
nn = { model = "nn", epochs = 1 }
[[attacks]]
classifiers = ["nn"]
behind = ["none", "broken"]
methods = ["fgsm"]
eps = [0.1]
limit = 20
"""


def test_where_the_report_could_not_be_written_no_cell_is_made(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    place = ("--home", tmp_path / "home", "--plan", plan, "--jobs", 1, "--out", tmp_path / "file" / "report")
    outcome = call("reproduce", *place, "-q")
    assert (outcome.code, outcome.out) == (5, "")
    assert outcome.err == f"advae: cannot write to {tmp_path / 'file' / 'report'}: Not a directory\n"
    assert Registry(tmp_path / "home").ids() == []
    assert succeed("reproduce", *place, "--dry-run", "-q").out
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["file"]


def test_a_training_that_diverges_in_a_process_of_its_own(tmp_path: Path) -> None:
    plan = tmp_path / "tiny.toml"
    plan.write_text(TINY)
    arguments = ("--plan", plan, "--jobs", 2, "--out", tmp_path / "report", "--format", "json")
    outcome = call("reproduce", "--home", tmp_path / "home", *arguments)
    assert outcome.code == 8
    assert "advae: digits: vanilla, relu-relu-exponential: training diverged" in outcome.err
    assert sorted(id_.partition("-")[0] for id_ in Registry(tmp_path / "home").ids()) == ["clf", "run"]
    (run,) = json.loads((tmp_path / "report" / "report.json").read_text())["runs"]
    assert run["id"] in Registry(tmp_path / "home").ids()


def test_where_every_attack_needs_a_diverged_training_that_is_the_error(tmp_path: Path) -> None:
    plan = tmp_path / "tiny.toml"
    plan.write_text(TINY.replace('["none", "broken"]', '["broken"]'))
    outcome = call("reproduce", "--home", tmp_path / "home", "--plan", plan, "--jobs", 1, "--out", tmp_path / "report")
    assert outcome.code == 8
    assert outcome.err.splitlines()[-1].startswith("advae: digits: vanilla, relu-relu-exponential: training diverged")
    assert not (tmp_path / "report").exists()


def die(task: object) -> Finished:
    """Stand for a cell that takes more memory than there is: the system kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process does nothing more")


def test_a_process_that_is_killed_is_no_defect(tmp_path: Path) -> None:
    plan = tmp_path / "tiny.toml"
    plan.write_text(TINY)
    workspace = Workspace(Registry(tmp_path / "home"))
    tasks = [Task(tmp_path, None, cell) for cell in list_cells(workspace, read_experiment(plan))]
    with (
        pytest.raises(KilledError, match="a process was killed, probably for lack of memory; try a smaller --jobs"),
        open_pool(2) as run,
    ):
        list(run(die, tasks))
    # The next one is not broken too.
    with open_pool(2) as run:
        assert [finished.seconds for finished in run(count_seconds, tasks[:1])] == [1.0]


def count_seconds(task: Task) -> Finished:
    return Finished(task.cell, 1.0)


def test_with_one_process_waiting_messages_are_shown_at_once(tmp_path: Path) -> None:
    plan = tmp_path / "tiny.toml"
    plan.write_text(TINY)
    registry, told = Registry(tmp_path / "home"), list[str]()
    registry.check_writable()
    cells = list_cells(Workspace(registry), read_experiment(plan))
    (cell,) = [cell for cell in cells if cell.level == "classifiers" and not cell.recipe.parents]
    held, release, released = threading.Event(), threading.Event(), list[bool]()

    def hold() -> None:
        with locks.hold(registry.folders, cell.id, (), lambda line: None):
            held.set()
            released.append(release.wait(120))

    def tell(line: str) -> None:
        told.append(line)
        release.set()

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(120)
    surveyed = survey(registry, [cell])
    assert make_cells(Workspace(registry, tell=tell), surveyed, jobs=1, watch=lambda finished: None) == []
    other.join()
    assert told[0].startswith("waiting for process ")
    assert released == [True]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--dataset", "mnits"], 2, "unknown dataset 'mnits'; did you mean 'mnist'"),
        (["--plan", "nowhere.toml"], 2, "cannot read plan nowhere.toml"),
        (["--jobs", "0"], 2, "invalid value for '--jobs'"),
        (["--format", "pdf"], 2, "unknown format 'pdf'"),
        (["--dataset", "mnist", "--data-dir", "nowhere"], 6, "data folder nowhere does not exist"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    outcome = call("reproduce", "--home", tmp_path / "home", *arguments)
    assert outcome.code == code
    (line,) = outcome.err.strip().splitlines()
    assert said in line
    assert not (tmp_path / "home").exists()
