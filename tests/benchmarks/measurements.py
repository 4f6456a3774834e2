"""The records of a speed benchmark: contenders on the same work, and the targets that their ratios are held to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Measured:
    """The measurements of one contender."""

    name: str
    """What the tables show it under."""

    seconds: tuple[float, ...]
    """Duration of each round."""

    peak_memory: int | None = None
    """Bytes of its process; None where it has no process of its own."""

    quality: dict[str, float] = field(default_factory=dict)
    """Accuracy or loss of the work, by name: a speed without it says nothing."""


@dataclass(frozen=True)
class Target:
    """A bound on one number of a section."""

    name: str
    """What is bounded."""

    got: float | None
    """The measured value; None where it cannot be measured on this machine."""

    rule: Literal["at least", "at most"]
    """On which side of the bound the value has to be."""

    bound: float
    """The bound, in the unit of the value."""

    note: str = ""
    """Why the value could not be measured."""

    @property
    def met(self) -> bool | None:
        if self.got is None:
            return None
        return self.got >= self.bound if self.rule == "at least" else self.got <= self.bound

    @property
    def outcome(self) -> str:
        return {True: "met", False: "missed", None: "not measured"}[self.met]


@dataclass(frozen=True)
class Section:
    """One piece of work that all contenders did, in turns, in one run."""

    name: str
    """What the tables show it under."""

    work: str
    """What was done, for readers."""

    measured: tuple[Measured, ...] = ()
    """One record a contender."""

    targets: tuple[Target, ...] = ()
    """The bounds on ratios and qualities."""

    numbers: dict[str, Any] = field(default_factory=dict)
    """Other measurements, by name."""

    def describe(self) -> dict[str, Any]:
        """Return the section for JSON."""
        targets = [{**asdict(target), "outcome": target.outcome} for target in self.targets]
        return {**asdict(self), "targets": targets}


def list_missed(sections: Iterable[Section]) -> list[str]:
    """Return a line for every target that is missed."""
    return [
        f"{section.name}: {target.name} is {target.got:.3g}, {target.rule} {target.bound:g} wanted"
        for section in sections
        for target in section.targets
        if target.met is False
    ]
