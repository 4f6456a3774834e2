"""What a benchmark of speed finds: contenders on the same work, and by how much one of them is ahead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Measured:
    """One contender's work. seconds: of every round; peak_memory: bytes of its process, None where it is not its own.

    quality: what the work came to, as an accuracy or a loss, by name; speed without it says nothing.
    """

    name: str
    seconds: tuple[float, ...]
    peak_memory: int | None = None
    quality: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A bound on one number of a section. got: None where it cannot be measured here, and then ``note`` says why."""

    name: str
    got: float | None
    rule: Literal["at least", "at most"]
    bound: float
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.got is None:
            return None
        return self.got >= self.bound if self.rule == "at least" else self.got <= self.bound

    @property
    def verdict(self) -> str:
        return {True: "met", False: "missed", None: "not measured"}[self.met]


@dataclass(frozen=True)
class Section:
    """One piece of work that all contenders did, in turns, in one run.

    work: what was done, for readers; numbers: whatever else was measured, by name.
    """

    name: str
    work: str
    measured: tuple[Measured, ...] = ()
    targets: tuple[Target, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return the section for JSON."""
        targets = [{**asdict(target), "verdict": target.verdict} for target in self.targets]
        return {**asdict(self), "targets": targets}


def list_missed(sections: Iterable[Section]) -> list[str]:
    """Return a line for every target that is missed."""
    return [
        f"{section.name}: {target.name} is {target.got:.3g}, {target.rule} {target.bound:g} wanted"
        for section in sections
        for target in section.targets
        if target.met is False
    ]
