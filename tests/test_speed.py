"""The benchmarks of speed at toy size: what they measure is there, contenders agree; no second is promised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import crafting, fitting, linear, memory, publishing, scaling, starting
from tests.benchmarks.rows import Section, Target, list_missed
from tests.benchmarks.setting import Setting
from tests.benchmarks.turns import Contender, compare, take_turns

N = 200


def test_start_compares_every_call_with_the_bare_imports() -> None:
    only = ("completion of a command", "--version")
    section = starting.measure(rounds=1, entries=5, only=only)
    assert [one.name for one in section.measured] == ["bare imports", *only]
    assert all(len(one.seconds) == 1 and one.seconds[0] > 0 for one in section.measured)
    assert [target.name.split(",")[0] for target in section.targets] == ["completion of a command"]
    assert set(section.numbers["times_the_bare_imports"]) == set(only)


def test_memory_is_the_childs_own(tmp_path: Path) -> None:
    section = memory.measure(tmp_path, only=("registry verify",))
    base, verify = section.measured
    assert base.peak_memory is not None
    assert verify.peak_memory is not None
    assert base.peak_memory > 100e6 > verify.peak_memory > 10e6
    assert [target.met for target in section.targets] == [True]


def test_what_is_published_together_is_counted() -> None:
    section = publishing.measure(writers=2, seconds=0.01, sizes=("tiny",), counts=(10,))
    rates = section.numbers["entries_per_second"]
    assert (
        list(rates) == list(section.numbers["seconds_of_one"]) == ["1 writers, tiny entries", "2 writers, tiny entries"]
    )
    assert all(rate > 0 for rate in rates.values())
    assert section.numbers["seconds_of_a_list"]["10"].keys() == {"ids", "ls"}


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("speed") / "home", None, dataset="digits", epochs=5)


def _work(prepared: crafting.Prepared) -> dict[str, float]:
    work, judge = prepared
    return judge(work())


def test_all_who_craft_bim_leave_the_same(setting: Setting) -> None:
    left = [_work(crafting.prepare_ours(setting, n=N, loss="ce", eps=(crafting.EPS,)))["accuracy"]]
    makers: tuple[Callable[..., crafting.Prepared], ...] = (
        crafting.prepare_foolbox,
        crafting.prepare_art,
        crafting.prepare_cleverhans,
    )
    left += [_work(make(setting, n=N, batch=64))["accuracy"] for make in makers]
    assert max(left) - min(left) <= 1 / N
    assert left[0] < 0.9


@pytest.mark.parametrize("clip", [True, False])
def test_the_sweep_and_the_whole_attack_leave_what_the_loop_leaves(clip: bool, setting: Setting) -> None:
    makers = (linear.prepare_ours, linear.prepare_whole, linear.prepare_loop)
    ours, whole, loop = (_work(make(setting, n=N, clip=clip)) for make in makers)
    assert ours == whole
    assert ours == pytest.approx(loop, abs=1 / N)


def test_the_toolbox_attacks_the_same_regression(setting: Setting) -> None:
    toolbox, ours = _work(linear.prepare_art(setting, n=N, batch=64)), linear.prepare_ours(setting, n=N, clip=True)
    # Its signed step spends more of the budget than the paper's scaled one.
    assert 0 <= toolbox["mean"] < _work(ours)["mean"] < 1


def test_an_epoch_is_worked_at_a_time(setting: Setting) -> None:
    work, _ = fitting.prepare_ours(setting)
    losses = [work() for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    keras = [_work(fitting.prepare_keras(setting))["validation loss"]]
    assert keras[0] == pytest.approx(losses[0], rel=0.1)


def test_a_whole_attack_is_swept_and_drawn(setting: Setting, tmp_path: Path) -> None:
    assert 0 <= _work(crafting.prepare_sweep(setting, n=N, eps=(0.1, 0.3), steps=2))["accuracy"] <= 1
    scaling.draw({"samples": ((100, 0.1), (200, 0.2)), "eps": ((1, 0.5), (2, 0.9))}, tmp_path / "scaling.svg")
    assert "samples" in (tmp_path / "scaling.svg").read_text()


def prepare_product(size: int) -> tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]:
    """Stands for a contender, which must be importable by name."""
    return lambda: size**2, lambda found: {"square": found}


def test_contenders_take_turns_in_processes_of_their_own() -> None:
    contenders = [Contender(f"{size}", prepare_product, {"size": size}) for size in (2, 3)]
    two, three = take_turns(contenders, rounds=2, warm=0.01)
    assert [(one.name, len(one.seconds), one.quality) for one in (two, three)] == [
        ("2", 2, {"square": 4}),
        ("3", 2, {"square": 9}),
    ]
    assert two.peak_memory
    assert compare(two, two) == 1.0


def test_what_is_missed_is_listed_and_what_cannot_be_measured_is_not() -> None:
    targets = (
        Target("speed", 3.0, "at least", 2.0),
        Target("memory", 3.0, "at most", 2.0),
        Target("gain", None, "at least", 1.8, "refused here"),
    )
    section = Section("toy", "work", targets=targets)
    assert [target.verdict for target in targets] == ["met", "missed", "not measured"]
    assert list_missed([section]) == ["toy: memory is 3, at most 2 wanted"]
