"""The registry stopped, killed, crowded, on full or read-only disks, and damaged; ``torture`` does it at full length.

The experiments run in processes of their own, which fork others and never start TensorFlow.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import pytest

from tests.registry import collecting, crowds, damages, full_disks, kills, lineages, stops, thousands, trials
from tests.registry.planted import PLANTED
from tests.registry.publisher import MEETING, OPERATIONS
from tests.registry.trials import Outcome


class Laboratory:
    """Two processes in which experiments run, each experiment in a folder of its own."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def start(self, experiment: Callable[..., Any], *names: str, in_memory: bool = True, **options: Any) -> Future[Any]:
        """Return what will be what an experiment finds."""
        return self._pool.submit(_run, experiment, names, in_memory, options)

    def run(self, experiment: Callable[..., Any], *names: str, **options: Any) -> Any:
        """Return what an experiment finds."""
        return self.start(experiment, *names, **options).result()

    def run_halves(self, experiment: Callable[..., Outcome], names: list[str], **options: Any) -> Outcome:
        """Return what an experiment finds with these operations, half of them in each process."""
        one, other = [self.start(experiment, *names[half::2], **options) for half in (0, 1)]
        found: Outcome = one.result() + other.result()
        return found


def _run(experiment: Callable[..., Any], names: tuple[str, ...], in_memory: bool, options: dict[str, Any]) -> Any:
    with trials.scratch(in_memory=in_memory) as folder:
        return experiment(folder, *names, **options)


@pytest.fixture(scope="module")
def laboratory() -> Iterator[Laboratory]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, initializer=trials.get_ready) as pool:
        yield Laboratory(pool)


def assert_kept(outcome: Outcome, at_least: int) -> None:
    """Hold that an experiment had so many trials, none of which broke a promise."""
    found = outcome.violations
    assert not found, "\n".join([f"{len(found)} violations:", *found[:20]])
    assert outcome.count >= at_least


# ---------------------------------------------------------------- stopped and killed


@pytest.mark.timed
def test_after_kill_9_at_any_moment_no_entry_is_corrupt_and_no_name_dangles(laboratory: Laboratory) -> None:
    homes = [laboratory.start(kills.kill_often, in_memory=False, kills=50, seed=seed) for seed in (0, 1)]
    found = [home.result() for home in homes]
    for outcome in found:
        assert_kept(outcome, 50)
        # The kills must have landed in the middle of things.
        assert outcome.figures["finished_before_the_kill"] < outcome.count
    assert sum(outcome.figures["left_a_draft"] for outcome in found) > 10
    assert {"publish", "replace", "remove"} <= {name for outcome in found for name in outcome.figures["killed_in"]}


def test_after_a_stop_at_any_step_the_old_entry_or_the_whole_new_one_is_there(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run_halves(stops.stop_everywhere, list(OPERATIONS), every=5), STEPS)


STEPS = 150
"""Trials, at least, with a sample of the steps; ``torture`` tries all steps of all operations."""

MUST_HAVE = {
    "publish": [
        "open tmp/publish-*/entry/weights.npz",
        "savez tmp/publish-*/entry/weights.npz",
        "write tmp/publish-*/entry/weights.npz",
        "fsync tmp/publish-*/entry/weights.npz",
        "write tmp/publish-*/entry/manifest.json",
        "fsync tmp/publish-*/entry/manifest.json",
        "fsync tmp/publish-*/entry",
        "rename tmp/publish-*/entry -> entries/ae-*",
        "fsync entries",
    ],
    "publish, replace": ["exchange tmp/publish-*/entry <-> entries/ae-*", "fsync entries", "rmdir tmp/publish-*"],
    "tag": ["write tmp/ref-*/new", "fsync tmp/ref-*/new", "replace tmp/ref-*/new -> refs/ae/new", "fsync refs/ae"],
    "latest": ["fsync tmp/ref-*/latest", "replace tmp/ref-*/latest -> refs/ae/latest", "fsync refs/ae"],
    "untag": ["unlink refs/ae/old", "fsync refs/ae"],
    "remove": ["fsync refs/run", "rename entries/run-* -> tmp/remove-*-run-*", "fsync entries"],
    "import": [
        "fsync tmp/import-*/ae-*/weights.npz",
        "fsync tmp/import-*/ae-*",
        "rename tmp/import-*/ae-* -> entries/ae-*",
        "fsync entries",
        "rename tmp/import-*/clf-* -> entries/clf-*",
    ],
    "obtain": ["open locks/ae-*.lock", "rename tmp/publish-*/entry -> entries/ae-*"],
}


def test_every_step_of_writing_is_listed(laboratory: Laboratory) -> None:
    """A stop is only as good as the list of steps; a call that goes unseen would never be stopped at."""
    found = laboratory.run(stops.list_steps, *MUST_HAVE)
    for name, expected in MUST_HAVE.items():
        rest = iter(found[name])
        missing = [step for step in expected if step not in rest]
        assert not missing, f"{name} has no {missing}, in this order, among {found[name]}"


def test_everything_is_synced_before_it_is_shown_and_its_folder_after(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run(stops.trace_syncs), 40)


# ---------------------------------------------------------------- disks that refuse


def test_a_failed_write_at_any_step_is_a_disk_error_and_no_file_remains(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run_halves(stops.fail_everywhere, list(OPERATIONS), every=5), STEPS)


def test_a_limit_on_the_size_of_files_is_a_disk_error_at_every_size(laboratory: Laboratory) -> None:
    outcome = laboratory.run(full_disks.limit_file_size, step=31)
    assert_kept(outcome, 100)


def test_a_home_that_can_only_be_read_is_read_and_every_write_is_a_disk_error(laboratory: Laboratory) -> None:
    outcome = laboratory.run(full_disks.read_only_home, in_memory=False)
    assert_kept(outcome, 20 * len(outcome.figures["ways"]))
    assert "injected" in outcome.figures["ways"]
    assert len(outcome.figures["ways"]) == 2 or outcome.figures["no_mount"]


@pytest.fixture(scope="module")
def filled(laboratory: Laboratory) -> Outcome:
    """Where nothing may be mounted this has no trials; the same errors are injected above in any case."""
    outcome: Outcome = laboratory.run(full_disks.fill_disk, in_memory=False)
    assert outcome.count >= 50 or outcome.figures["no_mount"]
    return outcome


def test_a_full_disk_is_a_disk_error_and_no_file_remains(filled: Outcome) -> None:
    assert [line for line in filled.violations if full_disks.EMPTYING not in line] == []


def test_a_full_disk_can_be_emptied(filled: Outcome) -> None:
    assert [line for line in filled.violations if full_disks.EMPTYING in line] == []


# ---------------------------------------------------------------- crowds


def test_a_crowd_computes_each_entry_once_and_loses_none(laboratory: Laboratory) -> None:
    outcome = laboratory.run(crowds.obtain_together, in_memory=False, processes=6, each=40, recipes=20)
    assert_kept(outcome, 6 * 40)
    assert outcome.figures["computed"] == outcome.figures["recipes"] == 20
    assert outcome.figures["told_to_wait"] > 0


def test_many_processes_without_locks_lose_nothing(laboratory: Laboratory) -> None:
    outcome = laboratory.run(crowds.obtain_together, in_memory=False, processes=6, each=40, recipes=20, locked=False)
    assert_kept(outcome, 6 * 40)
    assert outcome.figures["recipes"] == 20
    assert outcome.figures["computed"] > 20


def test_a_crowd_that_forces_computes_once(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run(crowds.force_together, in_memory=False), 3 * 8)


def test_a_waiting_process_names_the_holder_and_computes_when_that_is_killed(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run(crowds.kill_the_holder, in_memory=False, rounds=1), 1)


def test_a_reader_finds_an_entry_whole_or_not_at_all(laboratory: Laboratory) -> None:
    outcome = laboratory.run(crowds.read_while_written, in_memory=False)
    assert_kept(outcome, 50)
    assert outcome.figures["found"] > 0
    assert outcome.figures["absent"] > 0


def test_two_actions_at_once_end_as_one_after_the_other(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run_halves(stops.meet_everywhere, list(MEETING), every=4), 150)


# ---------------------------------------------------------------- gc, and files of others


def test_foreign_files_are_not_changed(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run(collecting.meet_strangers), 250)


def test_gc_keeps_what_a_running_command_needs_until_it_is_killed(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run(collecting.collect_beside_commands, rounds=2), 2)


def test_a_command_can_still_use_what_gc_has_found(laboratory: Laboratory) -> None:
    assert_kept(laboratory.run(collecting.meet_collection), 30)


# ---------------------------------------------------------------- damage


def test_every_damage_to_any_file_is_noticed(laboratory: Laboratory) -> None:
    outcome = laboratory.run(damages.damage_often, count=2 * 8 * len(damages.DAMAGES))
    assert_kept(outcome, 8 * len(damages.DAMAGES))
    assert len(outcome.figures["files"]) == 8
    assert set(outcome.figures["ways"]) == set(damages.DAMAGES)


# ---------------------------------------------------------------- the experiments themselves


@pytest.fixture(scope="module")
def planted(laboratory: Laboratory) -> dict[str, Future[Outcome]]:
    return {name: laboratory.start(run_planted, name) for name in PLANTED}


@pytest.mark.timed
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_noticed(planted: dict[str, Future[Outcome]], name: str) -> None:
    found = planted[name].result().violations
    assert any(PLANTED[name].word in line for line in found), "\n".join(found[:20])


def run_planted(folder: Any, name: str) -> Outcome:
    """Return what is found with a defect, in a process that has planted it."""
    return PLANTED[name].run(folder)


def list_modules(folder: Any) -> set[str]:
    """Return what the process of the experiments has imported."""
    return {name.partition(".")[0] for name in sys.modules}


def test_no_experiment_starts_tensorflow(laboratory: Laboratory) -> None:
    modules = laboratory.run(list_modules)
    assert {"advae", "numpy"} <= modules
    assert not {"tensorflow", "keras", "sklearn"} & modules


def test_no_entry_is_read_with_other_parents_weights(laboratory: Laboratory) -> None:
    outcome = laboratory.run(lineages.mix_weights)
    assert_kept(outcome, 2 * 3 * 3)


# ---------------------------------------------------------------- thousands of entries; last, when all else is quiet


@pytest.mark.timed
def test_thousands_of_entries_are_listed_and_completed_in_the_promised_time(laboratory: Laboratory) -> None:
    outcome = laboratory.run(thousands.time_lists, in_memory=False)
    assert_kept(outcome, 5000)
