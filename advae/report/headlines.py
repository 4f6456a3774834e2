"""What is left of each pipeline under the strongest attack that there is, and what was never tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from advae.report.comparison import Comparison, Pipeline, Row
from advae.report.notes import INPUT_THREATS, NOT_ESTABLISHED, NOT_VALID, ORDER
from advae.report.wording import NOT_RUN, format_eps, format_rate, name_attack, name_pipeline

ONE_STEP = "only one-step attacks were run: an iterative one may leave far less"


@dataclass(frozen=True)
class Headline:
    """What is left of one pipeline.

    strongest: its worst valid row whose perturbation is added to the image, None where there is none. by_threat: what
    is left under each threat model, in words. noted: the row whose notes the headline must carry.
    """

    pipeline: Pipeline
    name: str
    strongest: Row | None
    by_threat: tuple[tuple[str, str], ...]
    noted: Row

    @property
    def established(self) -> bool:
        return self.pipeline.doubt is None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before believing it, without the one that the headline itself already says."""
        notes = tuple(note for note in self.noted.notes if not note.startswith(NOT_ESTABLISHED))
        one_step = all(run.recipe.steps is None for run in self.pipeline.runs)
        return (*notes, ONE_STEP) if one_step else notes

    @property
    def details(self) -> list[str]:
        """One line for each number beside the headline's own: clean, without the autoencoder, by threat, warnings."""
        return list(_write_details(self))


def write_headlines(comparison: Comparison) -> tuple[Headline, ...]:
    """Return the headline of every pipeline that is not merely the counterpart of another."""
    return tuple(_write_headline(pipeline) for pipeline in comparison.headlines)


def explain_headline(headline: Headline) -> str:
    """Return the sentence that answers what the pipeline is worth, with threat, eps, n and run id."""
    if headline.established and headline.strongest:
        return _write_left(headline.strongest)
    return f"{NOT_ESTABLISHED}: {explain_doubt(headline)}"


def explain_doubt(headline: Headline) -> str:
    """Return why robustness is not established, and what is left against weaker attackers."""
    if headline.strongest is None:
        return str(headline.pipeline.doubt)
    return f"{headline.pipeline.doubt}. Under what was run, {_write_left(headline.strongest)}"


def _write_left(row: Row) -> str:
    return f"{format_rate(row.own.attacked)} of the images are still classified correctly {describe_cause(row)}"


def describe_cause(row: Row) -> str:
    """Return the attack, threat model, eps, n and run that led to a row's number."""
    return f"{describe_attack(row)} (n = {row.run.metrics.n}, {row.run.id})"


def describe_attack(row: Row) -> str:
    """Return the attack, threat model and eps that led to a row's number."""
    return f"under {name_attack(row.run)}, threat model {row.run.recipe.threat}, at eps {format_eps(row.eps)}"


def _write_headline(pipeline: Pipeline) -> Headline:
    threats = ORDER if pipeline.first.defended else ("adaptive",)
    strongest = pipeline.find_strongest(INPUT_THREATS)
    return Headline(
        pipeline=pipeline,
        name=name_pipeline(pipeline.first),
        strongest=strongest,
        by_threat=tuple((threat, _describe_worst(pipeline, threat)) for threat in threats),
        noted=strongest or pipeline.find_strongest(ORDER) or pipeline.rows[0],
    )


def _describe_worst(pipeline: Pipeline, threat: str) -> str:
    """Return what is left under a threat model, with the attack and eps; or why that cannot be said."""
    row = pipeline.find_strongest([threat])
    if row:
        return f"{format_rate(row.own.attacked)} ({name_attack(row.run)}, eps {format_eps(row.eps)})"
    tried = any(run.recipe.threat == threat for run in pipeline.runs)
    return f"only {NOT_VALID}" if tried else NOT_RUN


def _write_details(headline: Headline) -> Iterator[str]:
    row = headline.strongest
    yield f"clean: {format_rate(row.run.clean if row else headline.pipeline.first.clean)}"
    if row and row.defended:
        other = row.undefended
        yield f"same attack without autoencoder: {format_rate(other.attacked if other else None)}"
        yield f"clean without autoencoder: {format_rate(other.run.clean if other else None)}"
    yield from (f"{threat}: {left}" for threat, left in headline.by_threat)
    yield from headline.warnings
