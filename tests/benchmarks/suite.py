"""Run the whole suite, both marks as the README's test command does; record where its processor seconds go.

    python -m tests.benchmarks.suite [--out FILE] [PATH ...]

The record goes to tests/benchmarks/results/suite.json: for each mark the processor seconds (user and system, all
processes), the seconds of the clock and the number of tests, and over both the sums of the files and the SLOWEST
tests. PATH: only these tests. Exit code 1 where a test fails.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

RESULTS = Path(__file__).parent / "results" / "suite.json"
MARKS = {"not timed": ["-n", "2", "--dist", "loadfile"], "timed": []}
SLOWEST = 40
PROPERTY = "processor_seconds"


# ---------------------------------------------------------------- inside pytest, which loads this module as a plugin


def read_clock() -> float:
    """Return the processor seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


STARTED = pytest.StashKey[float]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[STARTED] = read_clock()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Add to the last of a test's three reports what all three took."""
    if call.when == "teardown" and STARTED in item.stash:
        item.user_properties.append((PROPERTY, round(read_clock() - item.stash[STARTED], 2)))


# ---------------------------------------------------------------- around pytest


def measure_mark(mark: str, paths: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the tests of a mark; return their sums, and a row for each test."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tests.xml")
        options = ["-m", mark, *MARKS[mark], "-p", "tests.benchmarks.suite", f"--junitxml={file}"]
        code = subprocess.run([sys.executable, "-m", "pytest", *options, *paths], check=False).returncode
        after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
        cases = list(ElementTree.parse(file).iter("testcase"))
    spent = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    sums = {"processor_seconds": round(spent, 1), "seconds": round(seconds, 1), "tests": len(cases), "exit_code": code}
    return sums, list(map(read_case, cases))


def read_case(case: ElementTree.Element) -> dict[str, Any]:
    """Return a row of the record from a test's element of pytest's XML."""
    found = [one.get("value", "") for one in case.iter("property") if one.get("name") == PROPERTY]
    name = f"{case.get('classname')}::{case.get('name')}"
    return {"test": name, "processor_seconds": sum(map(float, found)), "seconds": float(case.get("time", 0))}


def sum_files(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the processor seconds of each test file, the most first."""
    sums = Counter[str]()
    for row in rows:
        sums[row["test"].partition("::")[0]] += row["processor_seconds"]
    return {name: round(spent, 1) for name, spent in sums.most_common()}


# ---------------------------------------------------------------- shown

SHOWN_FILES, SHOWN_TESTS = 12, 8


def render(record: dict[str, Any]) -> str:
    """Return the block of results/README.md."""
    marks = ", ".join(
        f"{one['processor_seconds']:.0f} s with the mark `{mark}` "
        f"({one['tests']:,} tests, {one['seconds']:.0f} s of clock)"
        for mark, one in record["marks"].items()
    )
    lines = [f"The suite takes {record['processor_seconds']:.0f} s of processor time: {marks}.", ""]
    lines += ["| file or test | processor seconds |", "| --- | ---: |"]
    lines += [f"| `{name}` | {spent:.0f} |" for name, spent in list(record["files"].items())[:SHOWN_FILES]]
    lines += [f"| `{row['test']}` | {row['processor_seconds']:.0f} |" for row in record["slowest"][:SHOWN_TESTS]]
    return "\n".join(lines)


def main() -> int:
    """Parse the options, run both marks, record; 1 where a test fails."""
    from tests.benchmarks.machine import describe_machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    marks, rows = {}, []
    for mark in MARKS:
        marks[mark], more = measure_mark(mark, options.paths)
        rows += more
    rows.sort(key=lambda row: -row["processor_seconds"])
    total = round(sum(one["processor_seconds"] for one in marks.values()), 1)
    record = {**describe_machine(), "processor_seconds": total, "marks": marks, "files": sum_files(rows)}
    options.out.write_text(json.dumps({**record, "slowest": rows[:SLOWEST]}, indent=1) + "\n")
    print(f"{total} processor seconds; {options.out}")
    # 5: no test has the mark.
    return int(any(one["exit_code"] not in (0, pytest.ExitCode.NO_TESTS_COLLECTED) for one in marks.values()))


if __name__ == "__main__":
    sys.exit(main())
