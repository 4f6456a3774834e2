"""Which number of each pipeline is its headline: at the eps that all share, unless another attack refutes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from advae.checks import find_full_budget, find_strongest
from advae.checks.strongest import is_stronger, rank_samples
from advae.records import Norm
from advae.report.data.contents import AttackedPipeline, Row, Terms
from advae.report.data.grouping import group_by

Budget = tuple[Norm, float]
"""Norm and key of an eps."""


def group_by_dataset(pipelines: Sequence[AttackedPipeline]) -> list[list[AttackedPipeline]]:
    """Return the pipelines by dataset, in their order: those that are shown at one eps."""
    return list(group_by(pipelines, lambda one: one.first.recipe.dataset.digest).values())


def group_by_kind(pipelines: Sequence[AttackedPipeline]) -> list[list[AttackedPipeline]]:
    """Return the pipelines by dataset and kind of classifier, in their order: those whose numbers are compared."""
    kinds = group_by(pipelines, lambda one: (one.first.recipe.dataset.digest, one.first.classifier_recipe.model))
    return list(kinds.values())


def choose_terms(pipelines: Sequence[AttackedPipeline]) -> dict[str, Terms | None]:
    """Return the terms on which each pipeline of one dataset is shown, by the classifier's id.

    The eps is the largest that all pipelines with a purifier share; where they share none, each kind of classifier has
    the eps that most of its pipelines have. The images are those of most pipelines' strongest attack at that eps.
    """
    budgets = {pipeline.id: list_budgets(pipeline) for pipeline in pipelines}
    shared = _choose_shared(_list_leading(pipelines), budgets)
    found: dict[str, Terms | None] = {}
    for kind in group_by_kind(pipelines):
        budget = shared or _choose_most_shared(_list_leading(kind), budgets)
        key = _choose_samples(_list_leading(kind), budget) if budget else None
        found |= dict.fromkeys((one.id for one in kind), (*budget, key) if budget and key else None)
    return found


def _list_leading(pipelines: Sequence[AttackedPipeline]) -> Sequence[AttackedPipeline]:
    """Return the pipelines that choose the eps: those with a purifier; the others follow them."""
    attacked = [pipeline for pipeline in pipelines if pipeline.list_valid(["adaptive"])]
    return [pipeline for pipeline in attacked if pipeline.first.defended] or attacked


def list_budgets(pipeline: AttackedPipeline) -> list[Budget]:
    """Return every norm and eps of a pipeline's adaptive attacks that no attack within a smaller eps refutes.

    One on fewer images than the strongest attack does not count. A budget that reaches every image tests the attack,
    not the defence: it counts only where there is no other.
    """
    rows, own = pipeline.find_worst("adaptive"), pipeline.find_strongest(["adaptive"])
    limited = {terms: row for terms, row in rows.items() if terms[1] < find_full_budget(row.recipe)} or rows
    found: list[Budget] = []
    strongest: dict[tuple[Norm, str], Row] = {}
    for budget, terms in sorted(group_by(limited, lambda terms: terms[:2]).items()):
        here = find_strongest((limited[one] for one in terms), pipeline.asked)
        within = [row for (norm, _), row in strongest.items() if norm == budget[0]]
        enough = here and own and len(here.labels) >= len(own.labels)
        if here and enough and not any(_refutes(row, here) for row in within):
            found.append(budget)
        for one in terms:
            before = strongest.setdefault((one[0], one[2]), limited[one])
            if limited[one].accuracy < before.accuracy:
                strongest[one[0], one[2]] = limited[one]
    return found


def _choose_shared(pipelines: Sequence[AttackedPipeline], budgets: Mapping[str, Sequence[Budget]]) -> Budget | None:
    """Return the largest budget of all pipelines, in linf where they share one; None where they share none."""
    every = [set(budgets[pipeline.id]) for pipeline in pipelines]
    shared = set.intersection(*every) if every else set()
    return min(shared, key=lambda budget: (budget[0] != "linf", -budget[1]), default=None)


def _choose_most_shared(
    pipelines: Sequence[AttackedPipeline], budgets: Mapping[str, Sequence[Budget]]
) -> Budget | None:
    """Return the budget of most pipelines; of equals one in linf, then the largest."""
    counts = Counter(budget for pipeline in pipelines for budget in budgets[pipeline.id])
    return min(counts, key=lambda budget: (-counts[budget], budget[0] != "linf", -budget[1]), default=None)


def _choose_samples(pipelines: Sequence[AttackedPipeline], budget: Budget) -> str | None:
    """Return the key of the images that most pipelines' strongest attack at a budget has, then most attacks, then most
    images, then those with the lowest robust accuracy.
    """
    worst = [row for one in pipelines for terms, row in one.find_worst("adaptive").items() if terms[:2] == budget]
    by_key = group_by(worst, lambda row: row.sample_key)
    strongest = (find_strongest(rows) for rows in group_by(worst, lambda row: row.run.classifier.id).values())
    votes = Counter(row.sample_key for row in strongest if row)

    def rank(key: str) -> tuple[object, ...]:
        rows = by_key[key]
        mean = sum(row.accuracy for row in rows) / len(rows)
        return -votes[key], -len(rows), rank_samples(rows[0]), mean, key

    return min(by_key, key=rank, default=None)


def choose_subject(pipeline: AttackedPipeline, shared: Terms | None) -> Row | None:
    """Return the row of a pipeline's headline number: the one at the shared eps, unless another attack refutes it.

    A pipeline that was not attacked there, or on fewer images than elsewhere, has that of its strongest attack.
    """
    own = pipeline.find_strongest(["adaptive"])
    shown = _find_at(pipeline, shared) if shared else None
    if own is None or shown is None or len(shown.labels) < len(own.labels):
        return own
    return _find_stronger(pipeline, shown) or shown


def choose_number(pipeline: AttackedPipeline, terms: Terms) -> Row | None:
    """Return the row of a pipeline's number at an eps, chosen as that of the headline is; None without an attack."""
    shown = _find_at(pipeline, terms)
    return shown and (_find_stronger(pipeline, shown) or shown)


def _find_stronger(pipeline: AttackedPipeline, shown: Row) -> Row | None:
    """Return the strongest attack within the eps of another that is stronger, by more than chance; None for none."""
    worst = pipeline.find_worst("adaptive")
    norm, eps, _ = shown.terms
    within = (row for own, row in worst.items() if own[0] == norm and own[1] <= eps)
    return find_strongest((row for row in within if _refutes(row, shown)), pipeline.asked)


def _find_at(pipeline: AttackedPipeline, terms: Terms) -> Row | None:
    """Return the strongest adaptive row at an eps, on the images of ``terms`` where it was attacked on as many."""
    worst = pipeline.find_worst("adaptive")
    shown = find_strongest((row for own, row in worst.items() if own[:2] == terms[:2]), pipeline.asked)
    wanted = worst.get(terms)
    return wanted if wanted and shown and len(wanted.labels) >= len(shown.labels) else shown


def _refutes(challenger: Row, shown: Row) -> bool:
    """Whether an attack is stronger than another; on the same images without a test where it cannot be."""
    if challenger.sample_key == shown.sample_key and challenger.accuracy >= shown.accuracy:
        return False
    return is_stronger(challenger, shown)


def list_other_subjects(pipeline: AttackedPipeline) -> Iterator[Row]:
    """Yield the strongest adaptive row in each norm but that of the headline."""
    norms: tuple[Norm, ...] = ("linf", "l2")
    for norm in norms:
        row = pipeline.find_strongest(["adaptive"], norm)
        if row and pipeline.subject and norm != pipeline.subject.recipe.norm:
            yield row
