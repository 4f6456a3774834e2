"""Commands as processes: in a shell, interrupted, and with streams or folders that are missing or full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.calls import call
from tests.cli.terminal import open_terminal
from tests.conftest import Trained


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # Empty means unset: streams are tried as buffered as users have them.
    return {**os.environ, "PATH": path, "ADVAE_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": ""}


def test_the_four_steps_in_a_shell_at_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    """stdout is data only, whatever people see meanwhile; TensorFlow's chatter is not among that."""
    script = """
        set -euo pipefail
        AE=$(advae train-ae --type sparse --epochs 1)
        CLF=$(advae train-clf --model lr --max-iter 5 --ae "$AE")
        echo "$AE $CLF"
        advae attack --method fgsm --eps 0.3 --limit 20 --clf "$CLF" --json | python -m json.tool
        advae report
    """
    with open_terminal(80) as terminal:
        run = subprocess.run(
            ["bash", "-c", script],
            env=environment | {"TERM": "xterm"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=terminal.descriptor,
            text=True,
            timeout=280,
        )
    assert run.returncode == 0, terminal.screen
    first, *middle, last = run.stdout.strip().split("\n")
    ae, clf = first.split()
    assert ae.startswith("ae-")
    document = json.loads("\n".join(middle))
    assert (document["classifier"], document["autoencoder"]) == (clf, ae)
    assert last == "advae-report/report.html"
    assert (tmp_path / last).is_file()
    assert "train sparse" in terminal.screen
    for chatter in ("cuda", "oneDNN", "absl", "XLA", "WARNING"):
        assert chatter not in terminal.screen


@pytest.mark.timed
def test_an_interrupted_training_is_exit_130_and_stores_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    import time

    process = subprocess.Popen(
        ["advae", "train-ae", "--type", "vanilla", "--epochs", "100000", "-v"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 120
    while "epoch 1/" not in process.stderr.readline():
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert out == ""
    assert err.strip().split("\n")[-1] == "advae: interrupted; no partial result was stored"
    assert not list((tmp_path / "home" / "entries").iterdir())
    assert not list((tmp_path / "home" / "tmp").iterdir())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("ignored", [False, True])
def test_the_end_of_a_terminal_is_an_interrupt_and_nohup_is_heeded(
    name: str, ignored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    if name == "SIGINT" and not ignored:
        signal.signal(number, signal.default_int_handler)
    monkeypatch.setattr("advae.registry.Registry.list_summaries", lambda *_: os.kill(os.getpid(), number) or ([], {}))
    try:
        outcome = call("registry", "ls", "-q")
    finally:
        signal.signal(number, before)
    assert (outcome.code, outcome.out) == (0 if ignored else 130, "")
    assert outcome.err == ("" if ignored else "advae: interrupted; no partial result was stored\n")


NO_FOLDER = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/dev/null/none"]
from advae.cli import main
sys.exit(max(main(line.split()) for line in sys.argv[1:]))
"""


def test_no_folder_for_temporary_files_need_be_writable(trained: Trained, tmp_path: Path) -> None:
    """TensorFlow writes the source of what it traces, and Keras and joblib what they export: into the home then."""
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    lines = (
        f"train-clf --model lr --C 2 -q --home {home}",
        f"registry export {trained.nn} {tmp_path}/x.keras --format keras -q --home {home}",
        f"train-clf --model lr --C 3 --tag {trained.lr[:7]} --home {home}",
    )
    run = subprocess.run(
        [sys.executable, "-c", NO_FOLDER, *lines], env=os.environ, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith(f"advae: bad tag '{trained.lr[:7]}': it is the beginning of an id")
    assert run.stdout.splitlines()[1:] == [f"{tmp_path}/x.keras"]
    assert list((home / "tmp").iterdir()) == []


STREAMS = {
    "reader gone": ("set -o pipefail; advae registry show {nn} | true", 0, ""),
    "reader of a list gone": ("set -o pipefail; advae registry ls -q | head -c 3 >/dev/null", 0, ""),
    "reader of a help text gone": ("set -o pipefail; advae registry | true", 0, ""),
    "reader of a help in panels gone": ("set -o pipefail; advae attack -h | head -c 3 >/dev/null", 0, ""),
    "reader of what people are told gone": (
        "set -o pipefail; advae attack --clf {nn} --method noise --eps 0.1 --limit 9 2>&1 >/dev/null | true",
        0,
        "",
    ),
    "stdout closed": ("advae registry ls -q >&-", 5, "cannot write to standard output: it is closed"),
    "stdout closed, help": ("advae --help >&-", 5, "cannot write to standard output: it is closed"),
    "stdout closed, nothing to write": ("advae registry ls -q --kind run --tag none >&-", 0, ""),
    "stderr closed": ("advae registry show nope 2>&-", 3, ""),
    "all closed": ("advae registry show {nn} <&- >&- 2>&-", 5, ""),
    "stdout on a full disk": ("advae registry show {nn} >/dev/full", 5, "cannot write to standard output"),
    "stderr on a full disk": ("advae registry show nope 2>/dev/full", 3, ""),
}


@pytest.mark.parametrize("case", STREAMS)
def test_streams_that_are_gone_or_full(case: str, environment: dict[str, str], trained: Trained) -> None:
    command, code, message = STREAMS[case]
    home = environment | {"ADVAE_HOME": str(trained.home)}
    run = subprocess.run(
        ["bash", "-c", command.format(nn=trained.nn)], env=home, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == code, run.stderr
    assert run.stdout == ""
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert "defect" not in run.stderr
