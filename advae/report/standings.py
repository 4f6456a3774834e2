"""Where each pipeline stands beside the others: what it keeps on the terms that most of its kind were attacked on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from advae.report.commands import suggest_attack
from advae.report.controls import is_control
from advae.report.gaps import Terms, find_worst
from advae.report.rows import Comparison, Pipeline, Row
from advae.report.runs import Rate
from advae.verdicts import find_full_budget


@dataclass(frozen=True)
class Standing:
    """What a pipeline keeps on given terms.

    oblivious, adaptive: its valid row that leaves least to such an attacker; None where there is none on these terms.
    """

    pipeline: Pipeline
    terms: Terms | None
    oblivious: Row | None
    adaptive: Row | None

    @property
    def defended(self) -> bool:
        return self.pipeline.first.defended

    @property
    def is_defence(self) -> bool:
        """Whether an autoencoder stands in front of it: neither nothing nor a control."""
        return self.defended and not is_control(self.pipeline)

    @property
    def row(self) -> Row:
        """The row that tells eps, samples and clean accuracy: the adaptive one, else the best that there is."""
        strongest = self.pipeline.find_strongest({run.recipe.threat for run in self.pipeline.runs})
        return self.adaptive or self.oblivious or strongest or self.pipeline.rows[0]

    @property
    def clean(self) -> Rate:
        return self.row.run.clean

    @property
    def gap(self) -> float | None:
        """The illusion gap on these terms, None where one side is missing."""
        if self.oblivious is None or self.adaptive is None:
            return None
        return self.oblivious.own.result.accuracy - self.adaptive.own.result.accuracy

    @property
    def sound(self) -> bool:
        """Whether the adaptive number can be believed as far as is known: established, and no check fails."""
        return self.adaptive is not None and self.pipeline.doubt is None and not self.pipeline.failures

    @property
    def command(self) -> str | None:
        """The command that runs the side that is missing, None where none is."""
        recipe = self.row.run.recipe
        if self.adaptive is None:
            return suggest_attack(recipe, "adaptive")
        return suggest_attack(recipe, "oblivious") if self.defended and self.oblivious is None else None


@dataclass(frozen=True)
class Group:
    """The standings of all pipelines with one kind of classifier on one dataset."""

    standings: tuple[Standing, ...]

    @property
    def first(self) -> Standing:
        return self.standings[0]

    @cached_property
    def defences(self) -> tuple[Standing, ...]:
        """Those with an autoencoder in front."""
        return tuple(standing for standing in self.standings if standing.is_defence)

    @cached_property
    def controls(self) -> tuple[Standing, ...]:
        """Those with a purifier in front that has learnt nothing."""
        return tuple(standing for standing in self.standings if standing.defended and not standing.is_defence)


def find_groups(comparison: Comparison) -> tuple[Group, ...]:
    """Return where every pipeline stands, by dataset and kind of classifier, in the order of the report."""
    groups: dict[tuple[str, str], list[Pipeline]] = {}
    for pipeline in comparison.pipelines:
        run = pipeline.first
        groups.setdefault((run.recipe.dataset.digest, run.classifier_recipe.model), []).append(pipeline)
    return tuple(_build_group(pipelines) for pipelines in groups.values())


def find_standings(comparison: Comparison) -> tuple[Standing, ...]:
    """Return where every pipeline stands, in the order of the report."""
    return tuple(standing for group in find_groups(comparison) for standing in group.standings)


def _build_group(pipelines: Sequence[Pipeline]) -> Group:
    defended = [pipeline for pipeline in pipelines if pipeline.first.defended]
    shared = _choose_terms(find_worst(pipeline, "adaptive") for pipeline in defended or pipelines)
    return Group(tuple(_place(pipeline, shared) for pipeline in pipelines))


def _choose_terms(worst: Iterable[dict[Terms, Row]]) -> Terms | None:
    """Return the terms that most pipelines were attacked on; of equals those that leave least, at the smallest eps.

    A budget that reaches every image says whether the attack works, not what is left: it counts where there is no
    other.
    """
    left: dict[Terms, list[Row]] = {}
    for rows in worst:
        for terms, row in rows.items():
            left.setdefault(terms, []).append(row)
    limited = {terms: rows for terms, rows in left.items() if terms[1] < find_full_budget(rows[0].run.recipe)}

    def rank(terms: Terms) -> tuple[int, float, float]:
        accuracies = [row.own.result.accuracy for row in left[terms]]
        return -len(accuracies), sum(accuracies) / len(accuracies), terms[1]

    return min(limited or left, key=rank, default=None)


def _place(pipeline: Pipeline, shared: Terms | None) -> Standing:
    """Return a pipeline's standing on the shared terms, else on those of its own strongest attack."""
    adaptive, oblivious = (find_worst(pipeline, threat) for threat in ("adaptive", "oblivious"))
    own = [_read_terms(row) for row in map(pipeline.find_strongest, (["adaptive"], ["oblivious"])) if row]
    # An adaptive number elsewhere says more than an oblivious one on the terms of the others.
    known = adaptive or oblivious
    terms = shared if shared in known else next(iter(own), None)
    if terms is None:
        return Standing(pipeline, None, None, None)
    return Standing(pipeline, terms, oblivious.get(terms), adaptive.get(terms))


def _read_terms(row: Row) -> Terms:
    return row.run.recipe.norm, row.eps, row.run.sample_key
