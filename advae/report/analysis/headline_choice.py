"""Which number of each pipeline is its headline: on the terms of its kind, unless another attack refutes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from advae.checks import find_full_budget, find_strongest
from advae.checks.strongest import is_stronger, rank_samples
from advae.records import Norm
from advae.report.data.contents import AttackedPipeline, Row, Terms
from advae.report.data.grouping import group_by


def group_by_kind(pipelines: Sequence[AttackedPipeline]) -> list[list[AttackedPipeline]]:
    """Return the pipelines by dataset and kind of classifier, in their order: those whose numbers are compared."""
    kinds = group_by(pipelines, lambda one: (one.first.recipe.dataset.digest, one.first.classifier_recipe.model))
    return list(kinds.values())


def choose_terms(pipelines: Sequence[AttackedPipeline]) -> Terms | None:
    """Return the terms on which the pipelines of one kind are shown; those without purifier follow the others.

    They are the terms of most pipelines' strongest adaptive attack; of equals those in linf, then those that most were
    attacked on, then those with most samples, of most classes, then those with the lowest robust accuracy, at the
    smallest eps. A budget that reaches every image tests the attack, not the defence: it counts only where there is no
    other.
    """
    pipelines = [pipeline for pipeline in pipelines if pipeline.first.defended] or pipelines
    worst = (row for pipeline in pipelines for row in pipeline.find_worst("adaptive").values())
    by_terms = group_by(worst, lambda row: row.terms)
    limited = {terms: rows for terms, rows in by_terms.items() if terms[1] < find_full_budget(rows[0].recipe)}
    strongest = (pipeline.find_strongest(["adaptive"]) for pipeline in pipelines)
    votes = Counter(row.terms for row in strongest if row)

    def rank(terms: Terms) -> tuple[object, ...]:
        rows = by_terms[terms]
        mean = sum(row.accuracy for row in rows) / len(rows)
        return -votes[terms], terms[0] != "linf", -len(rows), rank_samples(rows[0]), mean, terms[1]

    return min(limited or by_terms, key=rank, default=None)


def choose_subject(pipeline: AttackedPipeline, shared: Terms | None) -> Row | None:
    """Return the row of a pipeline's headline number: the one at the shared eps, unless another attack refutes it.

    Another does within the same eps or a smaller one that is stronger on the samples of both, by more than chance. A
    pipeline that was not attacked at the shared eps, or on fewer samples than elsewhere, has its number elsewhere.
    """
    own = pipeline.find_strongest(["adaptive"])
    if own is None or shared is None or own.recipe.norm != shared[0]:
        return own
    worst = pipeline.find_worst("adaptive")
    shown = find_strongest((row for terms, row in worst.items() if terms[:2] == shared[:2]), pipeline.asked)
    if shared in worst and shown and len(worst[shared].labels) >= len(shown.labels):
        shown = worst[shared]
    if shown is None or len(shown.labels) < len(own.labels):
        return own
    within = (row for terms, row in worst.items() if terms[0] == shared[0] and terms[1] <= shared[1])
    return find_strongest((row for row in within if is_stronger(row, shown)), pipeline.asked) or shown


def list_other_subjects(pipeline: AttackedPipeline) -> Iterator[Row]:
    """Yield the strongest adaptive row in each norm but that of the headline."""
    norms: tuple[Norm, ...] = ("linf", "l2")
    for norm in norms:
        row = pipeline.find_strongest(["adaptive"], norm)
        if row and pipeline.subject and norm != pipeline.subject.recipe.norm:
            yield row
