"""Where each pipeline stands beside the others: what it keeps on the terms that most of its kind were attacked on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from advae.records import Verdict
from advae.report.commands import suggest_attack
from advae.report.controls import is_control
from advae.report.gaps import Terms, find_worst
from advae.report.judging import judge_row
from advae.report.rows import Comparison, Pipeline, Row
from advae.report.runs import Rate, Run
from advae.report.wording import name_autoencoder, name_seeds
from advae.verdicts import find_full_budget
from advae.verdicts.single import WEAK


@dataclass(frozen=True)
class Standing:
    """What a pipeline keeps of an attacker who knows of it, and of one who does not.

    shared: the terms that the others of its kind stand on, as far as they were attacked there. adaptive: the row that
    says what is left there, or one that leaves clearly less, on other images or within a smaller eps. oblivious: on the
    terms of ``adaptive``, else at its eps on other images. namesake: whether another of its kind has the same name.
    """

    pipeline: Pipeline
    shared: Terms | None
    oblivious: Row | None
    adaptive: Row | None
    namesake: bool = False

    @property
    def name(self) -> str:
        """What stands in front of the classifier, with the classifier's id where that alone tells it from another."""
        run = self.pipeline.first
        return f"{name_autoencoder(run)}{name_seeds(run)}{f' ({self.pipeline.id})' if self.namesake else ''}"

    @property
    def defended(self) -> bool:
        return self.pipeline.first.defended

    @property
    def is_defence(self) -> bool:
        """Whether an autoencoder stands in front of it: neither nothing nor a control."""
        return self.defended and not is_control(self.pipeline)

    @property
    def row(self) -> Row | None:
        """The row that tells eps and samples: the adaptive one, else the oblivious one."""
        return self.adaptive or self.oblivious

    @property
    def terms(self) -> Terms | None:
        return read_terms(self.row) if self.row else None

    @property
    def clean(self) -> Rate:
        return self._find_run().clean

    @property
    def gap(self) -> float | None:
        """The illusion gap, None where one side is missing or the two were not run on the same terms."""
        if self.oblivious is None or self.adaptive is None or read_terms(self.oblivious) != self.terms:
            return None
        return self.oblivious.own.result.accuracy - self.adaptive.own.result.accuracy

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each of CHECKS, on the adaptive row.

        What fails on the pipeline's strongest attack fails here, and so does what was stored as failed with the run.
        """
        if self.adaptive is None:
            return self.pipeline.verdicts
        strongest = self.adaptive is self.pipeline.subject
        judged = self.pipeline.verdicts if strongest else judge_row(self.pipeline, self.adaptive)
        stored = [verdict for verdict in self.adaptive.run.metrics.verdicts if verdict.status == "FAIL"]
        found = {verdict.check: verdict for verdict in (*judged, *stored, *self.pipeline.failures)}
        return tuple(found.values())

    @property
    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.status == "FAIL"]

    @property
    def doubt(self) -> str | None:
        """Why robustness is not established at the eps that is shown, None where it is."""
        if self.adaptive is None or self.pipeline.doubt:
            return self.pipeline.doubt
        stuck = self.adaptive.own.result.zero_gradient_fraction > WEAK
        weak = "this adaptive run had no usable gradient for too many samples" if stuck else None
        return self.pipeline.find_doubt(self.adaptive) or weak

    @property
    def sound(self) -> bool:
        """Whether the adaptive number can be believed as far as is known: established, and no check fails."""
        return self.adaptive is not None and self.doubt is None and not self.failures

    @property
    def command(self) -> str | None:
        """The command that runs the side that is missing, None where none is."""
        recipe = self._find_run().recipe
        if self.adaptive is None:
            return suggest_attack(recipe, "adaptive")
        return suggest_attack(recipe, "oblivious") if self.defended and self.gap is None else None

    def _find_run(self) -> Run:
        """Return the run of the row that is shown, else of the strongest attack of any kind."""
        strongest = self.pipeline.find_strongest({run.recipe.threat for run in self.pipeline.runs})
        return (self.row or strongest or self.pipeline.rows[0]).run


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


def read_terms(row: Row) -> Terms:
    """Return what a row's number must share with another before one is set beside the other."""
    return row.run.recipe.norm, row.eps, row.run.sample_key


def _build_group(pipelines: Sequence[Pipeline]) -> Group:
    defended = [pipeline for pipeline in pipelines if pipeline.first.defended]
    shared = _choose_terms(defended or pipelines)
    standings = [_place(pipeline, shared) for pipeline in pipelines]
    names = Counter(standing.name for standing in standings)
    return Group(tuple(replace(standing, namesake=names[standing.name] > 1) for standing in standings))


def _choose_terms(pipelines: Sequence[Pipeline]) -> Terms | None:
    """Return the terms of most pipelines' strongest adaptive attack; of equals those that most were attacked on.

    Of equals again those that leave least, at the smallest eps. A budget that reaches every image says whether the
    attack works, not what is left: it counts where there is no other.
    """
    left: dict[Terms, list[Row]] = {}
    for pipeline in pipelines:
        for terms, row in find_worst(pipeline, "adaptive").items():
            left.setdefault(terms, []).append(row)
    limited = {terms: rows for terms, rows in left.items() if terms[1] < find_full_budget(rows[0].run.recipe)}
    strongest = Counter(read_terms(pipeline.subject) for pipeline in pipelines if pipeline.subject)

    def rank(terms: Terms) -> tuple[int, int, float, float]:
        accuracies = [row.own.result.accuracy for row in left[terms]]
        return -strongest[terms], -len(accuracies), sum(accuracies) / len(accuracies), terms[1]

    return min(limited or left, key=rank, default=None)


def _place(pipeline: Pipeline, shared: Terms | None) -> Standing:
    """Return a pipeline's standing on the shared terms, else on those of its own strongest attack."""
    adaptive, oblivious = _find_adaptive(pipeline, shared), find_worst(pipeline, "oblivious")
    wanted = read_terms(adaptive) if adaptive else shared
    row = _find_at(oblivious, wanted) if wanted else None
    return Standing(pipeline, shared, row if row or adaptive else pipeline.find_strongest(["oblivious"]), adaptive)


def _find_at(worst: Mapping[Terms, Row], terms: Terms) -> Row | None:
    """Return the row on the given terms, else the one at their norm and eps that surely leaves least."""
    beside = [row for other, row in worst.items() if other[:2] == terms[:2]]
    return worst.get(terms) or min(beside, key=_read_high, default=None)


def _find_adaptive(pipeline: Pipeline, shared: Terms | None) -> Row | None:
    """Return the row that says what is left: the one on the shared terms, unless another refutes it.

    Another does that leaves less by more than chance, on whatever images, within the same eps or a smaller one. A
    pipeline that was not attacked on the shared terms has its number at the shared eps or, failing that, elsewhere.
    """
    worst = find_worst(pipeline, "adaptive")
    shown = (_find_at(worst, shared) if shared else None) or pipeline.subject
    if shown is None:
        return None
    within = [row for (norm, eps, _), row in worst.items() if norm == shown.run.recipe.norm and eps <= shown.eps]
    strongest = min(within, key=_read_high)
    return strongest if _read_high(strongest) < shown.own.result.accuracy else shown


def _read_high(row: Row) -> float:
    return row.own.attacked.high
