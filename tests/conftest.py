"""Fixtures that several test files share. TensorFlow starts once, in the first test that asks for it."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from advae.records import Dataset, Manifest
from tests.added_files import make_adder, open_bench

if TYPE_CHECKING:
    from advae.workflows import Workspace

# How long an example takes says more of what else the machine is doing than of the example.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# The processes that tests start compile each module once, and not each of them every one.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell lets what it starts in the background ignore interrupts, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

RECORD = Path(__file__).parent / "benchmarks" / "results" / "suite.json"
"""What ``python -m tests.benchmarks.suite`` recorded of the last run."""


def pytest_configure(config: pytest.Config) -> None:
    # pytest-xdist would begin with the files of the most tests, and end with the few that take longest.
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that took longest, and those not recorded, so that all workers end together."""
    seconds = json.loads(RECORD.read_text())["files"] if RECORD.exists() else {}
    longest = max(seconds.values(), default=0)
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition(".py::")[0].replace("/", "."), longest))


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later search for garbage: it stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test touches the user's registry or cache."""
    monkeypatch.setenv("ADVAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder with the real datasets; skipped where ADVAE_DATA_DIR is unset, and a failure where it is wrong."""
    folder = os.environ.get("ADVAE_DATA_DIR")
    if not folder:
        pytest.skip("ADVAE_DATA_DIR is not set")
    if not Path(folder, "mnist").is_dir():
        pytest.fail(f"ADVAE_DATA_DIR={folder} has no mnist/")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder ``models`` beside ADVAE_DATA_DIR, files of other libraries; without it skipped, a failure in CI."""
    folder = os.environ.get("ADVAE_DATA_DIR")
    models = Path(folder).resolve().parent / "models" if folder else None
    if models and models.is_dir():
        return models
    if os.environ.get("CI"):
        pytest.fail("there is no folder 'models' beside ADVAE_DATA_DIR")
    pytest.skip("there is no folder 'models' beside ADVAE_DATA_DIR")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Workspace:
    """A registry for the shared models, the same for all workers, and the folder with the real datasets."""
    return open_bench(tmp_path_factory, shared_models)


@pytest.fixture(scope="session")
def add(bench: Workspace, shared_models: Path) -> Callable[[str], Manifest]:
    """A function that adds a file of the shared models, each once for all workers."""
    return make_adder(bench, shared_models)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    from advae.datasets.load import load_dataset

    return load_dataset("digits")


@dataclass(frozen=True)
class Trained:
    """A registry with a small pipeline of each kind, trained once for all tests that only read it, and its ids."""

    home: Path
    ae: str
    nn: str
    nn_behind: str
    lr: str
    lr_behind: str


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Each worker has its own copy of one registry, which the first worker that needs it trains."""
    home = tmp_path_factory.mktemp("trained") / "home"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _train_all(home)
    shared = tmp_path_factory.getbasetemp().parent
    with FileLock(shared / "trained.lock"):
        ids = shared / "trained.json"
        if not ids.exists():
            ids.write_text(json.dumps(asdict(_train_all(shared / "trained")), default=str))
    shutil.copytree(shared / "trained", home)
    return Trained(**{**json.loads(ids.read_text()), "home": home})


def _train_all(home: Path) -> Trained:
    from tests.calls import succeed

    ae = succeed("train-ae", "--type", "vanilla", "--epochs", 8, "--home", home, "-q").id

    def train(*options: str) -> str:
        return succeed("train-clf", *options, "--home", home, "-q").id

    return Trained(
        home,
        ae,
        nn=train("--model", "nn", "--epochs", "8"),
        nn_behind=train("--model", "nn", "--epochs", "8", "--ae", ae),
        lr=train("--model", "lr"),
        lr_behind=train("--model", "lr", "--ae", ae),
    )
