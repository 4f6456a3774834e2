"""The plan that the tests of experiments make, and what making it without a break gives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.calls import succeed
from tests.entries import list_names, watch_garbage

NETWORKS = """
datasets = ["digits"]
[autoencoders]
vanilla = { type = "vanilla", epochs = 2 }
[classifiers]
nn = { model = "nn", epochs = 2 }
[[attacks]]
classifiers = ["nn"]
behind = ["none", "vanilla"]
methods = ["fgsm"]
threats = ["oblivious", "adaptive"]
eps = [0.1, 0.3]
limit = 60
"""
"""A part of PLAN, whose entries are among those of PLAN."""

PLAN = f"""{NETWORKS}
[autoencoders.raw]
type = "vanilla"
epochs = 2
rescale = "none"
[autoencoders.variational]
type = "variational"
epochs = 2
[classifiers.lr]
model = "lr"
max-iter = 20
[[attacks]]
classifiers = ["lr"]
behind = ["none", "raw"]
methods = ["non-targeted"]
threats = ["encoded"]
clip = false
eps = ["50/255"]
limit = 60
[[certificates]]
classifiers = ["lr"]
behind = ["none"]
eps = ["5/255"]
limit = 60
"""


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "networks.toml"
    path.write_text(NETWORKS)
    return path


@pytest.fixture(scope="session")
def whole(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the registry ``home`` and the report ``report`` of the plan, made in one process, without a break.

    Each worker of pytest has its own copy of what the first one that needs it makes.
    """
    folder = tmp_path_factory.mktemp("whole")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _make_plan(plan, folder)
    shared = tmp_path_factory.getbasetemp().parent
    with FileLock(shared / "whole.lock"):
        if not (shared / "whole").exists():
            _make_plan(plan, shared / "whole-begun").rename(shared / "whole")
    return Path(shutil.copytree(shared / "whole", folder, dirs_exist_ok=True))


def _make_plan(plan: Path, folder: Path) -> Path:
    home, report = folder / "home", folder / "report"
    with watch_garbage() as taken:
        outcome = succeed("reproduce", "--home", home, "--plan", plan, "--jobs", 1, "--out", report)
    assert outcome.out == f"{report / 'report.html'}\n"
    assert taken == set(), "gc would take what is needed later"
    assert list_names(home / "locks") == []
    return folder
