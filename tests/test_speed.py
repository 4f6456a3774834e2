"""The speed benchmarks at toy size: every figure is measured, contenders agree; no time is asserted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import (
    attack_speed,
    linear_attack_speed,
    memory,
    registry_throughput,
    scaling,
    startup_time,
    training_speed,
)
from tests.benchmarks.contenders import Contender, compare, take_turns
from tests.benchmarks.measurements import Section, Target, list_missed
from tests.benchmarks.stepping_contenders import PEERS, Prepared, Steps, prepare_ours
from tests.benchmarks.workload import Workload

N = 200


def test_start_compares_every_call_with_the_bare_imports() -> None:
    only = ("completion of a command", "--version")
    section = startup_time.measure(rounds=1, entries=5, only=only)
    assert [one.name for one in section.measured] == ["bare imports", *only]
    assert all(len(one.seconds) == 1 and one.seconds[0] > 0 for one in section.measured)
    assert [target.name.split(",")[0] for target in section.targets] == ["completion of a command"]
    assert set(section.numbers["times_the_bare_imports"]) == set(only)


def test_memory_is_of_the_child_process_only(tmp_path: Path) -> None:
    section = memory.measure(tmp_path, only=("registry verify",))
    base, verify = section.measured
    assert base.peak_memory is not None
    assert verify.peak_memory is not None
    assert base.peak_memory > 100e6 > verify.peak_memory > 10e6
    assert [target.met for target in section.targets] == [True]


def test_concurrent_publishing_is_counted() -> None:
    section = registry_throughput.measure(writers=2, seconds=0.01, sizes=("tiny",), counts=(10,))
    rates = section.numbers["entries_per_second"]
    assert (
        list(rates) == list(section.numbers["seconds_of_one"]) == ["1 writers, tiny entries", "2 writers, tiny entries"]
    )
    assert all(rate > 0 for rate in rates.values())
    assert section.numbers["seconds_of_a_list"]["10"].keys() == {"ids", "ls"}


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return Workload(tmp_path_factory.mktemp("speed") / "home", None, dataset="digits", epochs=5)


def _work(prepared: Prepared) -> dict[str, float]:
    work, measure_quality = prepared
    return measure_quality(work())


@pytest.mark.parametrize("steps", [attack_speed.BIM, replace(attack_speed.PGD, count=10)], ids=["bim", "pgd"])
def test_our_attack_is_as_strong_as_each_peers(steps: Steps, workload: Workload) -> None:
    ours = _work(prepare_ours(workload, n=N, steps=steps, eps=(steps.eps,)))["accuracy"]
    peers = [_work(make(workload, n=N, batch=64, steps=steps))["accuracy"] for make in PEERS.values()]
    if steps.random:
        # Random starts differ, and the peers return their last iterate, not their best.
        assert ours <= min(peers) + 2 / N
    else:
        accuracies = [*peers, ours]
        assert max(accuracies) - min(accuracies) <= 1 / N
    assert ours < 0.9


@pytest.mark.parametrize("clip", [True, False])
def test_sweep_whole_attack_and_loop_have_the_same_robust_accuracy(clip: bool, workload: Workload) -> None:
    makers = (linear_attack_speed.prepare_ours, linear_attack_speed.prepare_whole, linear_attack_speed.prepare_loop)
    ours, whole, loop = (_work(make(workload, n=N, clip=clip)) for make in makers)
    assert ours == whole
    assert ours == pytest.approx(loop, abs=1 / N)


def test_art_attacks_the_same_regression(workload: Workload) -> None:
    art = _work(linear_attack_speed.prepare_art(workload, n=N, batch=64))
    ours = linear_attack_speed.prepare_ours(workload, n=N, clip=True)
    # Its signed step spends more of the budget than the paper's scaled one.
    assert 0 <= art["mean"] < _work(ours)["mean"] < 1


def test_one_epoch_is_trained_at_a_time(workload: Workload) -> None:
    work, _ = training_speed.prepare_ours(workload)
    losses = [work() for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    keras = [_work(training_speed.prepare_keras(workload))["validation loss"]]
    assert keras[0] == pytest.approx(losses[0], rel=0.1)


def test_a_whole_attack_is_measured_and_drawn(workload: Workload, tmp_path: Path) -> None:
    assert 0 <= _work(attack_speed.prepare_sweep(workload, n=N, eps=(0.1, 0.3), steps=2))["accuracy"] <= 1
    scaling.draw({"samples": ((100, 0.1), (200, 0.2)), "eps": ((1, 0.5), (2, 0.9))}, tmp_path / "scaling.svg")
    assert "samples" in (tmp_path / "scaling.svg").read_text()


def prepare_product(size: int) -> tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]:
    """Return the work of a toy contender, which must be importable by name."""
    return lambda: size**2, lambda found: {"square": found}


def test_contenders_take_turns_in_processes_of_their_own() -> None:
    contenders = [Contender(f"{size}", prepare_product, {"size": size}) for size in (2, 3)]
    two, three = take_turns(contenders, rounds=2, warm_up=0.01)
    assert [(one.name, len(one.seconds), one.quality) for one in (two, three)] == [
        ("2", 2, {"square": 4}),
        ("3", 2, {"square": 9}),
    ]
    assert two.peak_memory
    assert compare(two, two) == 1.0


def test_missed_targets_are_listed_and_unmeasured_ones_are_not() -> None:
    targets = (
        Target("speed", 3.0, "at least", 2.0),
        Target("memory", 3.0, "at most", 2.0),
        Target("gain", None, "at least", 1.8, "refused here"),
    )
    section = Section("toy", "work", targets=targets)
    assert [target.outcome for target in targets] == ["met", "missed", "not measured"]
    assert list_missed([section]) == ["toy: memory is 3, at most 2 wanted"]
