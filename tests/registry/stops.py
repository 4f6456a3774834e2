"""Each operation, stopped or failed at each of its steps, and met there by another; and what is synced before what."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from advae.errors import AdvaeError, DiskError
from advae.records import entry_id
from advae.registry import Registry
from tests.registry.faulty_disk import (
    AFTER,
    BEFORE,
    HALF,
    REVEALS,
    STOPPED,
    Hook,
    Step,
    fail_at,
    record,
    stop_at,
    watch,
)
from tests.registry.publisher import MEETING, OPERATIONS, Operation, Shelf
from tests.registry.trials import Outcome, Visible, find_lost, find_unsound, list_drafts, read_entries, run_forked, see

CODES = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES)


@dataclass(frozen=True)
class Course:
    """An operation that went well: its steps, which of them the system did, and what was visible before and after."""

    operation: Operation
    steps: tuple[Step, ...]
    done: frozenset[int]
    before: Visible
    after: Visible
    entries: dict[str, dict[str, bytes]]
    problems: frozenset[str]

    def find_violations(self, home: Path) -> list[str]:
        """Return what is lost, changed or unsound after the operation was cut short."""
        lines = find_lost(see(home), self.before, self.after)
        replaced = {entry_id(recipe) for recipe in self.operation.replaces}
        for id_, files in read_entries(home).items():
            if id_ in self.entries and files != self.entries[id_] and id_ not in replaced:
                lines.append(f"{id_} has changed")
        return lines + sorted({*find_unsound(home)} - self.problems)


def follow(shelf: Shelf, operation: Operation) -> Course:
    """Let an operation go well and return its course."""
    home, steps, done = shelf.take(operation), list[Step](), set[int]()
    before, entries, problems = see(home), read_entries(home), frozenset(find_unsound(home))
    with watch(home, record(steps, done)):
        operation.act(Registry(home))
    after = see(home)
    shutil.rmtree(home, ignore_errors=True)
    return Course(operation, tuple(steps), frozenset(done), before, after, entries, problems)


def choose(names: Iterable[str]) -> dict[str, Operation]:
    return {name: OPERATIONS[name] for name in names or OPERATIONS}


def sample_steps(course: Course, every: int, first: int) -> list[tuple[int, Step]]:
    """Return each second, third, ... step of an operation with its number, and all that show or hide something."""
    return [(at, step) for at, step in enumerate(course.steps) if step.shows or (at + first) % every == 0]


def list_steps(folder: Path, *names: str) -> dict[str, list[str]]:
    """Return the names of the steps of each operation, in order."""
    shelf = Shelf(folder)
    return {name: [step.name for step in follow(shelf, operation).steps] for name, operation in choose(names).items()}


# ---------------------------------------------------------------- stopped


def stop_everywhere(folder: Path, *names: str, every: int = 1) -> Outcome:
    """Stop each operation before, halfway through and after each of its steps, then do it once more.

    every: at each second, third, ... step only, other ones for each operation, as ``sample_steps`` chooses them.
    """
    outcome, shelf = Outcome(), Shelf(folder)
    for number, (name, operation) in enumerate(choose(names).items()):
        course = follow(shelf, operation)
        outcome.figures[name] = len(course.steps)
        for at, step in sample_steps(course, every, number):
            moments = (BEFORE, HALF, AFTER) if step.call == "write" else (BEFORE, AFTER)
            # What the system refuses, such as a folder's name that is taken, has no after.
            for when in moments if at in course.done else (BEFORE,):
                home = shelf.take(operation)
                lines = _stop(course, home, at, when)
                outcome.count += 1
                outcome.violations += [f"{name}, stopped {when} {at} {step.name}: {line}" for line in lines]
                shutil.rmtree(home, ignore_errors=True)
    return outcome


def _stop(course: Course, home: Path, at: int, when: str) -> list[str]:
    operation = course.operation

    def act() -> None:
        with watch(home, stop_at(at, when)):
            operation.act(Registry(home))

    status, text = run_forked(act)
    if status != STOPPED:
        return [f"it ended with {status} and was not stopped: {text}"]
    lines = course.find_violations(home)
    try:
        operation.repeat(Registry(home))
    except AdvaeError as error:
        return [*lines, f"doing it once more failed: {error}"]
    missed = [] if see(home) == course.after else ["done once more it did not get there"]
    problems = sorted({*find_unsound(home)} - course.problems)
    return lines + missed + [f"done once more: {line}" for line in problems]


# ---------------------------------------------------------------- failed


def fail_everywhere(folder: Path, *names: str, thorough: bool = False, every: int = 1) -> Outcome:
    """Fail each step of each operation, and let the disk stay full from each step on.

    thorough: with each code; otherwise each step with one of them, in turn. every: as for ``stop_everywhere``.
    """
    outcome, shelf, silent = Outcome(), Shelf(folder), set[str]()
    for number, (name, operation) in enumerate(choose(names).items()):
        course = follow(shelf, operation)
        for at, step in sample_steps(course, every, number):
            moments = (BEFORE, HALF) if step.call == "write" else (BEFORE,)
            codes = CODES if thorough else (CODES[at % len(CODES)],)
            hooks = {
                f"{when} {at} {step.name}, {errno.errorcode[code]}": fail_at(at, when, code)
                for code in codes
                for when in moments
            }
            hooks[f"from {at} {step.name} on"] = fail_at(at, BEFORE, errno.ENOSPC, lasting=True)
            for where, hook in hooks.items():
                home = shelf.take(operation)
                error, lines = _fail(course, home, at, hook, refused=where.endswith("EACCES"))
                outcome.count += 1
                outcome.violations += [f"{name}, failed {where}: {line}" for line in lines]
                silent |= set() if error else {step.name}
                shutil.rmtree(home, ignore_errors=True)
    outcome.figures = {"failed_without_an_error": sorted(silent)}
    return outcome


def _fail(course: Course, home: Path, at: int, hook: Hook, *, refused: bool) -> tuple[DiskError | None, list[str]]:
    step, error = course.steps[at], None
    try:
        with watch(home, hook):
            course.operation.act(Registry(home))
    except DiskError as caught:
        error = caught
    # Anything but a DiskError is what the experiment looks for.
    except Exception as caught:
        return None, [f"{type(caught).__name__} instead of a DiskError: {caught}"]
    lines = course.find_violations(home)
    if error is None and not _is_harmless(step, refused=refused):
        lines.append("no DiskError")
    if error is not None and error.exit_code != 5:
        lines.append(f"exit code {error.exit_code}")
    if drafts := list_drafts(home) if not step.cleans else set():
        lines.append(f"{', '.join(sorted(drafts))} left in tmp/")
    shown = [number for number, other in enumerate(course.steps) if other.shows]
    if error and (not shown or at <= shown[0]) and (see(home) != course.before or read_entries(home) != course.entries):
        lines.append("what is visible has changed")
    lines += _find_torn(see(home), course)
    try:
        course.operation.repeat(Registry(home))
    except AdvaeError as again:
        lines.append(f"with a disk that works again: {again}")
    return error, lines


def _is_harmless(step: Step, *, refused: bool) -> bool:
    """Whether an operation may succeed although this fails: cleaning up, and all about a lock that is held.

    refused: with EACCES; a lock of another user, which cannot be opened, does not stop a command.
    """
    return step.cleans or (step.path.startswith("locks/") and (step.call != "open" or refused))


def _find_torn(found: Visible, course: Course) -> list[str]:
    """Return the entries that have lost their names and are still there: a failure, unlike a kill, puts them back."""
    gone = {name: id_ for name, id_ in course.before.names.items() if name not in found.names}
    return [f"{name} is gone, {id_} is not" for name, id_ in gone.items() if id_ in found.ids - course.after.ids]


# ---------------------------------------------------------------- synced


def trace_syncs(folder: Path, *names: str) -> Outcome:
    """Record the steps of each operation; find what is shown before it is synced, or not synced afterwards."""
    outcome, shelf = Outcome(), Shelf(folder)
    for name, operation in choose(names).items():
        course = follow(shelf, operation)
        done = tuple(step for at, step in enumerate(course.steps) if at in course.done)
        outcome.count += sum(step.call in REVEALS for step in done)
        outcome.violations += [f"{name}: {line}" for line in find_unsynced(done)]
    return outcome


def find_unsynced(steps: tuple[Step, ...]) -> list[str]:
    """Return the files and folders that power loss could take or tear after the operation has ended."""
    lines: list[str] = []
    for at, step in enumerate(steps):
        earlier, later = steps[:at], steps[at + 1 :]
        if step.call in REVEALS and step.path.startswith("tmp/") and step.shows:
            lines += [f"{path} is not synced before {step.name}" for path in _find_unsynced_under(step.path, earlier)]
            lines += [] if _syncs(later, _parent(step.target)) else [f"nothing syncs what {step.name} shows"]
        elif step.shows:
            lines += [] if _syncs(later, _parent(step.path)) else [f"nothing syncs what {step.name} hides"]
        if step.call == "mkdir" and not step.path.startswith("tmp/") and step.path != ".":
            lines += [] if _syncs(later, _parent(step.path)) else [f"nothing syncs {step.name}"]
    return lines


def _find_unsynced_under(path: str, steps: tuple[Step, ...]) -> list[str]:
    under = [step for step in steps if step.path == path or step.path.startswith(f"{path}/")]
    changed = {step.path: at for at, step in enumerate(under) if step.call in ("open", "write", "ftruncate", "mkdir")}
    for at, step in enumerate(under):
        if step.call in ("open", "mkdir") and _parent(step.path) in changed:
            changed[_parent(step.path)] = max(at, changed[_parent(step.path)])
    synced = {step.path: at for at, step in enumerate(under) if step.call == "fsync"}
    return sorted({place for place, at in changed.items() if synced.get(place, -1) < at})


def _syncs(steps: Iterable[Step], path: str) -> bool:
    return any(step.call == "fsync" and step.path == path for step in steps)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."


# ---------------------------------------------------------------- met by another


def meet_everywhere(folder: Path, *names: str, every: int = 1) -> Outcome:
    """Let each operation be met, before each of its steps, by another that runs in full; then let it go on.

    What is visible in the end must be what one after the other gives, in either order. every: at each second, third,
    ... step only, another one for each pair, and always where something is shown.
    """
    outcome, shelf = Outcome(), Shelf(folder)
    for one, first in MEETING.items():
        if names and one not in names:
            continue
        course = follow(shelf, first)
        for pair, (other, second) in enumerate(MEETING.items()):
            serial = [_run(shelf.take(first), order) for order in ((first, second), (second, first))]
            for at, step in sample_steps(course, every, pair):
                home = shelf.take(first)
                found, text = _meet(home, first, second, at)
                outcome.count += 1
                lines = [text] if text else []
                if found not in serial:
                    lines += find_lost(found, *serial) or ["no order gives what is visible"]
                lines += find_unsound(home)
                outcome.violations += [f"{one}, met by {other} at {at} {step.name}: {line}" for line in lines]
                shutil.rmtree(home, ignore_errors=True)
    return outcome


def _run(home: Path, operations: Iterable[Operation]) -> Visible:
    for operation in operations:
        _try(partial(operation.act, Registry(home)))
    found = see(home)
    shutil.rmtree(home)
    return found


def _try(act: Callable[[], object]) -> str:
    """Do something that another may have made impossible; return what else has gone wrong."""
    try:
        act()
    except AdvaeError as error:
        return "" if error.exit_code in (2, 3) else f"{type(error).__name__}: {error}"
    return ""


def _meet(home: Path, first: Operation, second: Operation, at: int) -> tuple[Visible, str]:
    trouble: list[str] = []

    def hook(number: int, step: Step, moment: str) -> None:
        # The other's own steps have higher numbers.
        if (number, moment) == (at, BEFORE):
            trouble.append(_try(lambda: second.act(Registry(home))))

    with watch(home, hook):
        trouble.append(_try(lambda: first.act(Registry(home))))
    return see(home), "; ".join(filter(None, trouble))
