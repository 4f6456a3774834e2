"""The robust accuracy of each pipeline under the strongest attack that was run, and what was not run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from advae.checks import is_iterative, list_counted
from advae.report.analysis.certified_accuracy import CertifiedRange, describe_bounds, explain_range
from advae.report.analysis.check_results import count_elsewhere, describe_subject, summarize_checks
from advae.report.analysis.illusion_gap import explain_gap
from advae.report.analysis.tables import join_rate
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.threat_models import INPUT_THREATS, ORDER
from advae.report.wording import (
    COLLAPSED,
    DRAW_RULES,
    NOT_ESTABLISHED,
    format_eps,
    format_rate,
    name_attack,
    name_pipeline,
)

ONE_STEP = "only one-step attacks were run: an iterative one may be far stronger"


@dataclass(frozen=True)
class Headline:
    """The robust accuracy of one pipeline."""

    pipeline: AttackedPipeline
    """The pipeline."""

    @property
    def name(self) -> str:
        return name_pipeline(self.pipeline.first)

    @cached_property
    def strongest(self) -> Row | None:
        """Row of the headline number, else of the strongest attack on the images; None where there is none."""
        return find_shown(self.pipeline)

    @property
    def certified(self) -> CertifiedRange | None:
        """The interval that contains the robust accuracy, by proof; None where nothing is proved at its eps."""
        return describe_bounds(self.strongest)

    @property
    def noted(self) -> Row:
        """Row whose notes are shown."""
        return self.strongest or self.pipeline.find_strongest(ORDER) or self.pipeline.rows[0]

    @property
    def established(self) -> bool:
        return self.pipeline.doubt is None

    @property
    def alarm(self) -> str | None:
        """What to say above the number where a check failed: that the number is not reliable."""
        failed = len(self.pipeline.failures)
        if not failed:
            return None
        total = len(list_counted(self.pipeline.checks))
        checks = f"{failed} of {total} checks {'fails' if failed == 1 else 'fail'}"
        where = f", on {describe_subject(self.pipeline)}" if self.pipeline.subject else ""
        return f"Not reliable: {checks}{where}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """The failed checks behind the alarm, a sentence each."""
        return tuple(f"{result.check} FAIL: {result.sentence}" for result in self.pipeline.failures)

    @property
    def summary(self) -> str:
        """How many checks found what, in words."""
        return f"{len(list_counted(self.pipeline.checks))} checks: {summarize_checks(self.pipeline.checks)}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Its warnings, without what the headline itself already says."""
        sentences = {result.sentence for result in self.pipeline.failures}
        notes = [note for note in self.noted.notes if note not in sentences and not note.startswith(NOT_ESTABLISHED)]
        one_step = not any(is_iterative(run.recipe) for run in self.pipeline.runs)
        return (*notes, ONE_STEP) if one_step else tuple(notes)

    @property
    def details(self) -> list[str]:
        """One line for each thing beside the headline's own number: its facts, then its warnings."""
        return [*self.facts, *self.warnings]

    @property
    def facts(self) -> list[str]:
        """One line for each measurement beside the headline's own number: gap, results, clean, without."""
        return list(_write_facts(self))


def write_headlines(comparison: Comparison) -> tuple[Headline, ...]:
    """Return the headline of every pipeline that is not merely the counterpart of another."""
    return tuple(map(Headline, comparison.headlines))


def explain_headline(headline: Headline) -> str:
    """Return the robust accuracy as a sentence, with threat model, eps, n and run id."""
    if headline.established and headline.strongest:
        return _write_robust(headline.strongest)
    return f"{NOT_ESTABLISHED}: {explain_doubt(headline)}"


def explain_doubt(headline: Headline) -> str:
    """Return why robustness is not established, and the robust accuracy under weaker attackers."""
    if headline.strongest is None:
        return str(headline.pipeline.doubt)
    return f"{headline.pipeline.doubt}. Under what was run, {_write_robust(headline.strongest)}"


def _write_robust(row: Row) -> str:
    return f"{format_rate(row.attacked)} of the images are still classified correctly {describe_cause(row)}"


def describe_cause(row: Row) -> str:
    """Return the attack, threat model, eps, n and run that led to a row's number."""
    return f"{describe_attack(row)} (n = {row.run.size}, {row.run.id})"


def describe_attack(row: Row) -> str:
    """Return the attack, threat model and eps that led to a row's number, and on how many draws it was counted."""
    recipe = row.run.recipe
    draws = "" if row.result.any_of_k_accuracy is None else f"on every one of {row.metrics.k_draws} draws "
    return (
        f"{draws}under {name_attack(row.run)}, threat model {recipe.threat}, at eps {format_eps(row.eps, recipe.norm)}"
    )


def find_shown(pipeline: AttackedPipeline) -> Row | None:
    """Return the row of the headline number, without an adaptive one the strongest attack on the images."""
    return pipeline.subject or pipeline.find_strongest(INPUT_THREATS)


def explain_draws(row: Row) -> Iterator[str]:
    """Yield the robust and the clean accuracy of a pipeline that samples under each rule; nothing for any other."""
    k = row.metrics.k_draws
    for clean, record, first in (("", row.result, row.one_shot), ("clean_", row.metrics, row.run.clean)):
        rates = [f"one-shot {format_rate(first)}"]
        for rule, words in DRAW_RULES.items():
            name = f"{clean}{rule}_accuracy"
            rate = join_rate(getattr(record, name), getattr(record, f"{name}_interval"))
            rates.append(f"{words.format(k=k)} {format_rate(rate)}")
        if k:
            yield f"{'clean' if clean else 'robust'} accuracy over {k} draws: {', '.join(rates)}"


def _write_facts(headline: Headline) -> Iterator[str]:
    row = headline.strongest
    if headline.pipeline.collapsed:
        yield f"{COLLAPSED}: it predicts one class whatever the image, so there is nothing that an attack could take"
    if headline.pipeline.first.defended:
        yield explain_gap(headline.pipeline)
    if headline.certified:
        yield f"certified accuracy: {explain_range(headline.certified)}"
    yield headline.summary
    for panel in headline.pipeline.other_norms:
        robust, certified = format_rate(panel.subject.attacked), describe_bounds(panel.subject)
        yield f"{robust} {describe_cause(panel.subject)}: {summarize_checks(panel.checks)}"
        if certified:
            yield f"certified accuracy: {explain_range(certified)}"
    elsewhere = count_elsewhere([headline.pipeline])
    if elsewhere:
        total = sum(elsewhere.values())
        counts = ", ".join(f"{check} {count}" for check, count in elsewhere.items())
        yield f"{total} {'check fails' if total == 1 else 'checks fail'} on other runs of it: {counts}"
    if row:
        yield from explain_draws(row)
    yield f"clean accuracy: {format_rate(row.run.clean if row else headline.pipeline.first.clean)}"
    if row and row.defended:
        other = row.undefended
        yield f"robust accuracy, undefended: {format_rate(other.attacked if other else None)}"
        yield f"clean accuracy, undefended: {format_rate(other.run.clean if other else None)}"
