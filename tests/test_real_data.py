"""The steps on real MNIST and Fashion-MNIST, a few epochs each; full size is tests/benchmarks/reproduction."""

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
    attack = ("attack", "--method", "bim", "--eps", "0.3", *options)
    broken = succeed(*attack, "--clf", undefended["id"]).json
    assert broken["n"] == 10_000
    assert broken["results"][0]["accuracy"] <= 0.0142
    assert broken["results"][0]["zero_gradient_fraction"] == 0
    some = ("--clf", defended["id"], "--threat", "adaptive,oblivious", "--limit", 1000)
    runs = succeed(*attack, *some).json["runs"]
    adaptive, oblivious = (run["results"][0]["accuracy"] for run in runs)
    assert adaptive <= 0.01
    assert adaptive < oblivious
    page = Path(succeed("report", "--dataset", "mnist", "--out", tmp_path / "out", *options).json["page"])
    assert "robustness not established" not in page.read_text()
    assert page.stat().st_size < 10_000_000


def test_the_papers_linear_attacks_on_mnist(options: tuple[object, ...]) -> None:
    """Figures 9, 17, 19 and 21 of the paper: each at least as strong, under the paper's protocol."""
    clf = succeed("train-clf", "--model", "lr", "--dataset", "mnist", *options).json
    assert clf["metrics"]["test_accuracy"] >= 0.92
    assert clf["metrics"]["converged"] is False
    methods = {"non-targeted": 0.045, "natural": 0.11, "non-natural": 0.20, "one-target": 0.19}
    attack = ("attack", "--method", ",".join(methods), "--eps", "50/255", "--clf", clf["id"], "--no-clip", *options)
    for run in succeed(*attack).json["runs"]:
        result = run["results"][0]
        assert result["accuracy"] <= methods[run["method"]]
        assert not result["within_budget"]
        assert result["linf_max"] > 50 / 255


def test_fashion_mnist_has_its_class_names(options: tuple[object, ...]) -> None:
    clf = succeed("train-clf", "--model", "nn", "--dataset", "fashion-mnist", "--epochs", 1, *options).json
    assert clf["metrics"]["test_accuracy"] > 0.8
    assert clf["recipe"]["dataset"]["classes"][9] == "Ankle boot"
    run = succeed("attack", "--method", "fgsm", "--eps", "0.3", "--limit", 1000, *options).json
    assert run["classifier"] == clf["id"]
    assert run["results"][0]["accuracy"] <= 0.08
