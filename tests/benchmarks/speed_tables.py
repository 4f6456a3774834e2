"""The tables of speed and memory, from the record of ``python -m tests.benchmarks``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results" / "performance.json"
FIGURE = RESULTS.with_name("scaling.svg")

Document = dict[str, Any]


def render_sections(record: Document) -> Iterator[str]:
    """Yield the lines of both tables, and the sentences beside them."""
    yield from render_targets(record)
    yield ""
    yield from render_contenders(record)
    for section in record["sections"].values():
        if section["name"] == "publishing":
            yield ""
            yield from render_publishing(section["numbers"])


def render_targets(record: Document) -> Iterator[str]:
    """Yield the table of targets."""
    yield "| section | ratio or number | measured | target | |"
    yield "| --- | --- | ---: | ---: | --- |"
    for section in record["sections"].values():
        for target in section["targets"]:
            name, outcome = target["name"], target["outcome"]
            # Bytes are shown in millions.
            scale = 1e6 if name.endswith(", bytes") else 1.0
            got = "" if target["got"] is None else f"{target['got'] / scale:.{_digits(target['got'] / scale)}f}"
            wanted = (
                f"{target['rule']} {target['bound'] / scale:g}"
                if scale == 1
                else f"at most {target['bound'] / scale:.0f}"
            )
            note = f"{outcome}: {target['note']}" if target["note"] else outcome
            yield f"| {section['name']} | {name.replace(', bytes', ', MB')} | {got} | {wanted} | {note} |"


def _digits(value: float) -> int:
    """Return how many decimals show three digits of a number, at most five."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 5


def render_contenders(record: Document) -> Iterator[str]:
    """Yield the table of contenders: seconds, memory and quality."""
    yield "| section | contender | seconds | peak MB | quality |"
    yield "| --- | --- | ---: | ---: | --- |"
    for section in record["sections"].values():
        if section["name"] in ("memory", "start"):
            continue
        for one in section["measured"]:
            memory = "" if one["peak_memory"] is None else f"{one['peak_memory'] / 1e6:.0f}"
            quality = ", ".join(f"{name} {value:.4f}" for name, value in one["quality"].items())
            yield f"| {section['name']} | {one['name']} | {median(one['seconds']):.3f} | {memory} | {quality} |"


def render_publishing(numbers: Document) -> Iterator[str]:
    """Yield a sentence on the store."""
    rates, latencies, lists = (numbers[name] for name in ("entries_per_second", "seconds_of_one", "seconds_of_a_list"))
    told = (
        f"{name}: {rates[name]:.0f} a second, each in {1000 * latencies[name]['median']:.0f} ms "
        f"(worst {1000 * latencies[name]['worst']:.0f})"
        for name in rates
    )
    yield "Published into one registry on a local disk, in all: " + "; ".join(told) + "."
    counted = (f"{1000 * found['ls']:.0f} ms for {int(count):,} entries" for count, found in lists.items())
    yield f"Looking at every entry, as `registry ls` does: {', '.join(counted)}."


def render(record: Document) -> str:
    """Return the block of results/README.md."""
    figure = f"![Seconds of a BIM attack against samples, steps and eps]({FIGURE.name})"
    return "\n".join([*render_settings(record), "", *render_sections(record), "", figure])


def render_settings(record: Document) -> Iterator[str]:
    """Yield a line for each processor with its versions: what was measured there."""
    names: dict[str, list[str]] = {}
    for section in record["sections"].values():
        setting = section["setting"]
        versions = setting["versions"] | setting["peers"]
        named = ", ".join(f"{name} {versions[name]}" for name in ("advae", "tensorflow", "keras", *setting["peers"]))
        where = f"{setting['devices'][0]} ({', '.join(setting['features'])}); {named}"
        names.setdefault(where, []).append(section["name"])
    for where, sections in names.items():
        yield f"- {', '.join(sections)}: {where}."
    yield ""
    yield "Medians of rounds in turns."
