"""No command executes a file of the folder in which it is called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.canaries import careless_environment, plant
from tests.conftest import Trained
from tests.scenes import LINES, set_scene

CALLS = """
import runpy, sys

def call(run, words):
    sys.argv = ["advae", *words]
    try:
        run()
    except SystemExit as end:
        return end.code

codes = [call(lambda: runpy.run_module("advae", run_name="__main__"), ["--version", "-v"])]
import json
from dataclasses import replace
from advae.__main__ import run
from advae.datasets.table import DATASETS
DATASETS["mnist"] = replace(DATASETS["mnist"], mirrors=("http://127.0.0.1:1/",))
lines = json.loads(sys.stdin.read())
codes += [call(run, line.split()) for line in lines]
print(*codes, file=sys.stderr)
"""
"""``python -m advae`` and then one command after the other, as they would be called in a shell."""

NO_MIRROR = 6


def test_no_command_executes_a_file_of_the_current_folder(trained: Trained, tmp_path: Path) -> None:
    """Those of ``reproduce --jobs 2`` are planted by test_pools.py, which compares its numbers."""
    folder = tmp_path / "scene"
    ids = set_scene(folder, trained)
    log = plant(folder)
    # What is removed is asked for by others.
    paths = sorted(LINES, key=lambda path: path[-1] in ("rm", "untag"))
    lines = [" ".join((*path, line.format(**ids), "--home home")) for path in paths for line in LINES[path]]
    done = subprocess.run(
        [sys.executable, "-c", CALLS],
        input=json.dumps(lines),
        env=careless_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert log.read_text() == ""
    codes = list(map(int, done.stderr.splitlines()[-1].split()))
    assert len(codes) == 1 + len(lines), done.stderr
    assert {line: code for line, code in zip(["version", *lines], codes, strict=True) if code} == {
        "data fetch mnist --home home": NO_MIRROR
    }
    (folder / "advae.py").write_text((folder / "random.py").read_text())
    script = Path(sys.executable).parent / "advae"
    subprocess.run([script, "data", "ls"], env=careless_environment(), cwd=folder, check=True, capture_output=True)
    assert log.read_text() == ""
