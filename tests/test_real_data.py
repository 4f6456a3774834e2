"""The steps on real MNIST, two epochs each; full size, both datasets and all attacks: tests/benchmarks/reproduction."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls import succeed

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, real_data_dir: Path) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def options(home: Path, real_data_dir: Path) -> tuple[object, ...]:
    return ("--home", home, "--data-dir", real_data_dir, "--json")


def test_the_four_steps_on_mnist(options: tuple[object, ...], tmp_path: Path) -> None:
    """Two epochs: the undefended network breaks, and so does the defended one under an adaptive attacker."""
    quick = ("--epochs", 2, *options)
    undefended = succeed("train-clf", "--model", "nn", "--dataset", "mnist", *quick).json
    assert undefended["metrics"]["test_accuracy"] > 0.95
    ae = succeed("train-ae", "--type", "vanilla", "--dataset", "mnist", *quick).json
    assert ae["metrics"]["test_mse"] < 0.02
    defended = succeed("train-clf", "--model", "nn", "--ae", ae["id"], *quick).json
    assert defended["metrics"]["test_accuracy"] > 0.94
    attack = ("attack", "--method", "bim", "--eps", "0.3", "--limit", 1000, *options)
    broken = succeed(*attack, "--clf", undefended["id"]).json
    assert (broken["n"], broken["n_test"]) == (1000, 10_000)
    assert broken["results"][0]["accuracy"] <= 0.0142
    assert broken["results"][0]["zero_gradient_fraction"] == 0
    runs = succeed(*attack, "--clf", defended["id"], "--threat", "adaptive,oblivious").json["runs"]
    adaptive, oblivious = (run["results"][0]["accuracy"] for run in runs)
    assert adaptive <= 0.01
    assert adaptive < oblivious
    page = Path(succeed("report", "--dataset", "mnist", "--out", tmp_path / "out", *options).json["page"])
    assert "robustness not established" not in page.read_text()
    assert page.stat().st_size < 10_000_000
