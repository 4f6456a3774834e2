"""The illusion gap: robust accuracy under an oblivious attacker minus that under an adaptive one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advae.records import Norm
from advae.report.data.commands import suggest_attack
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.wording import NOT_RUN, format_budget, format_share


@dataclass(frozen=True)
class Gap:
    """The strongest oblivious and the strongest adaptive attack on one pipeline.

    Both at one eps and norm, on the same samples.
    """

    oblivious: Row
    adaptive: Row

    @property
    def size(self) -> float:
        return self.oblivious.accuracy - self.adaptive.accuracy

    @property
    def eps(self) -> float:
        return self.adaptive.eps

    @property
    def n(self) -> int:
        return self.adaptive.run.metrics.n

    @property
    def norm(self) -> Norm:
        return self.adaptive.run.recipe.norm


def find_gaps(pipeline: AttackedPipeline) -> list[Gap]:
    """Return a gap for each norm and eps at which both were run, on the most samples that both have."""
    oblivious, adaptive = (pipeline.find_worst(threat) for threat in ("oblivious", "adaptive"))
    found: dict[tuple[str, float], Gap] = {}
    for terms in sorted(oblivious.keys() & adaptive.keys()):
        gap = Gap(oblivious[terms], adaptive[terms])
        other = found.setdefault(terms[:2], gap)
        if gap.n > other.n:
            found[terms[:2]] = gap
    return list(found.values())


def find_largest_gap(gaps: Sequence[Gap]) -> Gap | None:
    """Return the gap to show: of those on the most samples the largest, at the smallest eps that has it."""
    most = max((gap.n for gap in gaps), default=0)
    return max((gap for gap in gaps if gap.n == most), key=lambda gap: (gap.size, -gap.eps), default=None)


def explain_gap(pipeline: AttackedPipeline) -> str:
    """Return the largest gap as a sentence; NOT RUN, with the command that would run it, where there is none."""
    gap = find_largest_gap(find_gaps(pipeline))
    if gap is None:
        command = suggest_gap(pipeline)
        return f"Illusion gap: {NOT_RUN}" + (f"; {command}" if command else "")
    oblivious, adaptive = (format_share(row.accuracy) for row in (gap.oblivious, gap.adaptive))
    budget = format_budget(gap.eps, gap.norm)
    both = f"Robust accuracy under an oblivious attack {oblivious}, adaptive {adaptive}"
    return f"{both}: {weigh_gap(gap.size)} (eps {budget})."


NOT_RELIABLE = "the adaptive attack is weaker than the oblivious one, so the result is not reliable"


def weigh_gap(size: float) -> str:
    """Return in words what a gap means."""
    if size > 0:
        return f"overestimated by {100 * size:.1f} points, the illusion gap"
    return "no illusion gap" if size == 0 else NOT_RELIABLE


def suggest_gap(pipeline: AttackedPipeline) -> str | None:
    """Return the command that runs what the gap lacks, None where no valid attack tells how."""
    strongest = pipeline.subject or pipeline.find_strongest(["oblivious", "gray-box", "encoded"])
    if strongest is None:
        return None
    threat = "oblivious" if strongest.run.recipe.threat == "adaptive" else "adaptive"
    return suggest_attack(strongest.run.recipe, threat)
