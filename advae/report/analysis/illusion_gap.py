"""The illusion gap: robust accuracy under an oblivious attacker minus that under an adaptive one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.records import Norm
from advae.report.analysis.tables import Difference, Findings, ShownShare, TableRecord
from advae.report.data.commands import suggest_attack
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.wording import NOT_RUN, format_budget, format_share


class GapRecord(TableRecord):
    """The illusion gap of one pipeline at one eps, on the same images: overestimated robustness."""

    classifier_id: str
    """The classifier's id in the registry."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    n: int
    """Number of test images."""
    oblivious: ShownShare
    """Robust accuracy under the strongest attacker who does not know of the purifier, 0 to 1."""
    adaptive: ShownShare
    """Robust accuracy under the strongest adaptive attacker, 0 to 1."""
    illusion_gap: Difference
    """Oblivious minus adaptive, -1 to 1."""
    oblivious_run: str
    """The id of the oblivious run."""
    adaptive_run: str
    """The id of the adaptive run."""


def list_gaps(findings: Findings) -> Iterator[GapRecord]:
    """Yield a record for each pipeline with a purifier, norm and eps at which both attackers were run."""
    for pipeline in findings.comparison.pipelines:
        yield from find_gaps(pipeline) if pipeline.first.defended else ()


def find_gaps(pipeline: AttackedPipeline) -> list[GapRecord]:
    """Return a gap for each norm and eps at which both were run, on the most samples that both have."""
    oblivious, adaptive = (pipeline.find_worst(threat) for threat in ("oblivious", "adaptive"))
    found: dict[tuple[str, float], GapRecord] = {}
    for terms in sorted(oblivious.keys() & adaptive.keys()):
        gap = _describe_gap(pipeline, oblivious[terms], adaptive[terms])
        other = found.setdefault(terms[:2], gap)
        if gap.n > other.n:
            found[terms[:2]] = gap
    return list(found.values())


def _describe_gap(pipeline: AttackedPipeline, oblivious: Row, adaptive: Row) -> GapRecord:
    return GapRecord(
        classifier_id=pipeline.id,
        norm=adaptive.recipe.norm,
        eps=adaptive.eps,
        n=adaptive.run.metrics.n,
        oblivious=oblivious.accuracy,
        adaptive=adaptive.accuracy,
        illusion_gap=oblivious.accuracy - adaptive.accuracy,
        oblivious_run=oblivious.id,
        adaptive_run=adaptive.id,
    )


def find_largest_gap(gaps: Sequence[GapRecord]) -> GapRecord | None:
    """Return the gap to show: of those on the most samples the largest, at the smallest eps that has it."""
    most = max((gap.n for gap in gaps), default=0)
    return max((gap for gap in gaps if gap.n == most), key=lambda gap: (gap.illusion_gap, -gap.eps), default=None)


def explain_gap(pipeline: AttackedPipeline) -> str:
    """Return the largest gap as a sentence; NOT RUN, with the command that would run it, where there is none."""
    gap = find_largest_gap(find_gaps(pipeline))
    if gap is None:
        command = suggest_gap(pipeline)
        return f"Illusion gap: {NOT_RUN}" + (f"; {command}" if command else "")
    return describe_gap(gap)


def describe_gap(gap: GapRecord) -> str:
    """Return a gap as a sentence, with both numbers."""
    oblivious, adaptive = map(format_share, (gap.oblivious, gap.adaptive))
    budget = format_budget(gap.eps, gap.norm)
    both = f"Robust accuracy under an oblivious attack {oblivious}, adaptive {adaptive}"
    return f"{both}: {describe_gap_size(gap.illusion_gap)} (eps {budget})."


NOT_RELIABLE = "the adaptive attack is weaker than the oblivious one, so the result is not reliable"


def describe_gap_size(size: float) -> str:
    """Return in words what a gap means."""
    if size > 0:
        return f"overestimated by {100 * size:.1f} points, the illusion gap"
    return "no illusion gap" if size == 0 else NOT_RELIABLE


def suggest_gap(pipeline: AttackedPipeline) -> str | None:
    """Return the command that runs what the gap lacks, None where there is no valid attack to start from."""
    strongest = pipeline.subject or pipeline.find_strongest(["oblivious", "gray-box", "encoded"])
    if strongest is None:
        return None
    threat = "oblivious" if strongest.run.recipe.threat == "adaptive" else "adaptive"
    return suggest_attack(strongest.run.recipe, threat)
