"""The benchmarks of start, memory and publishing at toy size: what they measure is there; no second is promised."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import memory, publishing, starting


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
    assert len(rates) == len(section.measured) == 4
    assert all(rate > 0 for rate in rates.values())
    assert set(section.numbers["fsync_share"]) == {name for name in rates if "no fsync" not in name}
    assert section.numbers["seconds_of_a_list"]["10"].keys() == {"ids", "ls"}
