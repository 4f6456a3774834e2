"""The eps that the first screen shows: one for each dataset, and the others to choose among."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from advae.records import Norm, key_eps
from advae.report.analysis.headline_choice import Budget, group_by_dataset
from advae.report.analysis.tables import Findings, Ids, TableRecord
from advae.report.data.contents import AttackedPipeline, Row, Terms
from advae.report.data.grouping import group_by
from advae.report.wording import format_budget

MOST_CHOICES = 12
"""Eps to choose among at most, beside the one that is shown first; of more those that most pipelines have."""


class EpsChoice(TableRecord):
    """One eps at which the pipelines of a dataset can be shown."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    shown: bool
    """Whether the first screen opens with it: the largest that all pipelines share under their strongest attack, else
    the one that most pipelines share."""
    shared: bool
    """Whether every pipeline with a purifier that was attacked has a number at it."""
    samples: str | None
    """Digest of the images whose numbers are compared at it; null where nothing was attacked."""
    pipelines: Ids
    """The ids of the classifiers that have an adaptive result at it, or a certificate for this eps or a larger one."""

    @property
    def budget(self) -> Budget:
        return self.norm, key_eps(self.eps)

    @property
    def terms(self) -> Terms:
        return self.norm, key_eps(self.eps), self.samples or ""

    @property
    def text(self) -> str:
        """The eps in words, ``0.3 (76.5/255)``."""
        return format_budget(self.eps, self.norm)


def list_eps_choices(findings: Findings) -> Iterator[EpsChoice]:
    """Yield the eps of each dataset, the one that is shown first, then the others, ascending."""
    comparison = findings.comparison
    attacked = {group[0].first.dataset: group for group in group_by_dataset(comparison.pipelines)}
    for dataset in comparison.datasets:
        if dataset in attacked:
            yield from _list_attacked(dataset, attacked[dataset])
        else:
            yield from _list_certified(findings, dataset)


def _list_attacked(dataset: str, pipelines: Sequence[AttackedPipeline]) -> Iterator[EpsChoice]:
    rows = {one.id: one.find_worst("adaptive") for one in pipelines}
    eps: dict[Budget, float] = {terms[:2]: row.eps for worst in rows.values() for terms, row in worst.items()}
    have = {budget: [id_ for id_, worst in rows.items() if any(t[:2] == budget for t in worst)] for budget in eps}
    terms = Counter(one.shared for one in pipelines if one.shared)
    first = min(terms, key=lambda one: (-terms[one], one[0] != "linf", -one[1]), default=None)
    opening: list[Budget] = [first[:2]] if first else []
    defended = {one.id for one in pipelines if rows[one.id] and one.first.defended}
    others = sorted(eps.keys() - set(opening), key=lambda one: (-len(have[one]), one))[:MOST_CHOICES]
    for budget in opening + sorted(others, key=lambda one: (one[0] != "linf", one[1])):
        yield EpsChoice(
            dataset=dataset,
            norm=budget[0],
            eps=eps[budget],
            shown=budget in opening,
            shared=(defended or {id_ for id_, worst in rows.items() if worst}) <= set(have[budget]),
            samples=first[2] if first and budget in opening else _find_samples(rows, budget),
            pipelines=tuple(have[budget]),
        )


def _find_samples(rows: Mapping[str, Mapping[Terms, Row]], budget: Budget) -> str | None:
    """Return the images that most pipelines were attacked on at a budget."""
    keys = Counter(terms[2] for worst in rows.values() for terms in worst if terms[:2] == budget)
    return min(keys, key=lambda key: (-keys[key], key), default=None)


def _list_certified(findings: Findings, dataset: str) -> Iterator[EpsChoice]:
    """Yield the certified eps of a dataset on which nothing was attacked, the largest that most share first."""
    own = [one for one in findings.comparison.unattacked if one.dataset == dataset]
    found = [
        ((proof.recipe.norm, key_eps(eps)), eps, one.classifier.id)
        for one in own
        for proof in one.certificates
        if not proof.smoothed
        for eps in proof.recipe.eps
    ]
    groups = group_by(found, lambda one: one[0])
    order = sorted(groups, key=lambda one: (-len({id_ for _, _, id_ in groups[one]}), one[0] != "linf", -one[1]))
    for place, budget in enumerate(order[: MOST_CHOICES + 1]):
        ids = dict.fromkeys(id_ for _, _, id_ in groups[budget])
        yield EpsChoice(
            dataset=dataset,
            norm=budget[0],
            eps=groups[budget][0][1],
            shown=place == 0,
            shared=len(ids) == len(own),
            samples=None,
            pipelines=tuple(ids),
        )
