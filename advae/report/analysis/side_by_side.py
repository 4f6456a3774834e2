"""Two pipelines, or two runs, beside each other: the differences on identical images, with McNemar's test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from advae.errors import UsageError
from advae.metrics import mcnemar, tally_draws, wilson_interval
from advae.records import Norm, key_eps
from advae.report.analysis.headline_choice import Budget, choose_number
from advae.report.analysis.pairwise import find_common
from advae.report.analysis.tables import Difference, ShownInterval, ShownShare, TableRecord
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.runs import Run
from advae.report.wording import describe_change, format_budget, name_attack, name_pipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Attacked = Mapping[Budget, tuple[float, Row]]
"""What one side has at each budget: the eps, and the row of its number."""


class ComparedEntry(TableRecord):
    """One side of a comparison."""

    id: str
    """The id in the registry of the run, or of the classifier."""
    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    classifier_id: str
    """The classifier's id in the registry."""


class ComparedAccuracy(TableRecord):
    """The accuracy of one side, on the images of both."""

    accuracy: ShownShare
    """Share of these images that are classified correctly, 0 to 1."""
    accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of it."""
    run: str
    """The id of the run that measured it."""
    attack: str | None
    """The attack in words, with its threat model; null for the unchanged images."""


class ComparedLine(TableRecord):
    """Both sides at one eps, on identical images."""

    norm: Norm | None
    """The norm of the perturbation; null for the unchanged images."""
    eps: float
    """The budget, in units of an image's range, 0 to 1; 0 for the unchanged images."""
    n: int
    """Number of images that both were measured on."""
    first: ComparedAccuracy
    """The first side."""
    second: ComparedAccuracy
    """The second side."""
    difference: Difference
    """The second minus the first, -1 to 1: negative where the second loses."""
    mcnemar_p: ShownShare
    """How likely so large a difference is by chance, 0 to 1: McNemar's exact test on the same images."""

    @property
    def text(self) -> str:
        """The difference in words, seen from the second."""
        return describe_change(self.difference)


class SideBySide(TableRecord):
    """Two pipelines, or two runs, beside each other."""

    kind: Literal["run", "clf"]
    """Whether two runs are compared, each with its own attack, or two pipelines, each under its strongest adaptive
    attack at each eps."""
    dataset: str
    """The dataset's name."""
    first: ComparedEntry
    """The first entry."""
    second: ComparedEntry
    """The second entry."""
    lines: tuple[ComparedLine, ...]
    """The unchanged images, then each eps that both have, ascending."""


def compare_two_runs(first: tuple[Row, ...], second: tuple[Row, ...], eps: Collection[float] = ()) -> SideBySide:
    """Return two runs beside each other, given as their rows. eps: only these; empty for all that both have.

    Raises UsageError where they are on different datasets, in different norms, or have no eps or image in common.
    """
    _refuse_unlike(first[0].run, second[0].run)
    sides = [{(row.recipe.norm, key_eps(row.eps)): (row.eps, row) for row in rows} for rows in (first, second)]
    ids = [rows[0].id for rows in (first, second)]
    return _compare("run", ids, first[0].run, second[0].run, sides[0], sides[1], eps)


def compare_two_pipelines(first: AttackedPipeline, second: AttackedPipeline, eps: Collection[float] = ()) -> SideBySide:
    """Return two pipelines beside each other, each under its strongest adaptive attack. Raises as the above does."""
    _refuse_unlike(first.first, second.first)
    sides = []
    for pipeline in (first, second):
        worst = sorted(pipeline.find_worst("adaptive").items())
        sides.append({terms[:2]: (one.eps, row) for terms, one in worst if (row := choose_number(pipeline, terms))})
    return _compare("clf", [first.id, second.id], first.first, second.first, sides[0], sides[1], eps)


def _refuse_unlike(first: Run, second: Run) -> None:
    if first.recipe.dataset.digest != second.recipe.dataset.digest:
        names = f"{first.recipe.dataset.title} and {second.recipe.dataset.title}"
        raise UsageError(f"nothing to compare on identical images: the datasets differ ({names})")


def _compare(
    kind: Literal["run", "clf"],
    ids: list[str],
    first: Run,
    second: Run,
    mine: Attacked,
    theirs: Attacked,
    eps: Collection[float],
) -> SideBySide:
    common = sorted(mine.keys() & theirs.keys())
    chosen = [budget for budget in common if budget[1] in set(map(key_eps, eps))] if eps else common
    if not chosen:
        asked = f" of {', '.join(f'{one:g}' for one in eps)}" if eps else ""
        have = "; ".join(f"{id_} has {_list_budgets(side)}" for id_, side in zip(ids, (mine, theirs), strict=True))
        raise UsageError(f"no eps{asked} in common: {have}")
    opening = chosen[0]
    lines = [_compare_clean(mine[opening][1], theirs[opening][1])]
    lines += [_compare_rows(mine[budget][1], theirs[budget][1], mine[budget][0]) for budget in chosen]
    if not any(lines):
        raise UsageError(f"{ids[0]} and {ids[1]} were not attacked on any image in common")
    return SideBySide(
        kind=kind,
        dataset=first.dataset,
        first=ComparedEntry(id=ids[0], pipeline=name_pipeline(first), classifier_id=first.classifier.id),
        second=ComparedEntry(id=ids[1], pipeline=name_pipeline(second), classifier_id=second.classifier.id),
        lines=tuple(line for line in lines if line),
    )


def _list_budgets(side: Attacked) -> str:
    return ", ".join(format_budget(side[budget][0], budget[0]) for budget in sorted(side)) or "none"


def _compare_rows(first: Row, second: Row, eps: float) -> ComparedLine | None:
    """Return the line of an eps; an attack within a smaller one may be the strongest. None without common images."""
    ours, theirs = find_common(first, second)
    if not len(ours):
        return None
    attacks = [f"{name_attack(row.run)}, {row.recipe.threat}" for row in (first, second)]
    right = first.right[ours], second.right[theirs]
    return _describe(first, second, right, attacks, first.recipe.norm, eps)


def _compare_clean(first: Row, second: Row) -> ComparedLine | None:
    """Return the line of the unchanged images, by the rule of the robust accuracy where a pipeline samples."""
    ours, theirs = find_common(first, second)
    if not len(ours):
        return None
    right = _find_clean(first.run)[ours], _find_clean(second.run)[theirs]
    return _describe(first, second, right, [None, None], None, 0.0)


def _find_clean(run: Run) -> NDArray[np.bool_]:
    """Return which unchanged images are classified correctly, bool (n,); of a pipeline that samples on every draw."""
    if "clean_wrong_draws" in run.outcomes:
        return tally_draws(run.outcomes["clean_wrong_draws"])["any_of_k"]
    right: NDArray[np.bool_] = run.outcomes["clean_predictions"] == run.outcomes["labels"]
    return right


def _describe(
    first: Row,
    second: Row,
    right: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    attacks: Iterable[str | None],
    norm: Norm | None,
    eps: float,
) -> ComparedLine:
    n, counts = len(right[0]), [int(one.sum()) for one in right]
    sides = [
        ComparedAccuracy(accuracy=count / n, accuracy_interval=wilson_interval(count, n), run=row.id, attack=attack)
        for count, row, attack in zip(counts, (first, second), attacks, strict=True)
    ]
    return ComparedLine(
        norm=norm,
        eps=eps,
        n=n,
        first=sides[0],
        second=sides[1],
        difference=(counts[1] - counts[0]) / n,
        mcnemar_p=mcnemar(*right),
    )


def name_side_attacks(found: SideBySide) -> Iterator[str]:
    """Yield the attacks of each side, the same ones once."""
    for name in ("first", "second"):
        attacks = dict.fromkeys(getattr(line, name).attack for line in found.lines if line.norm)
        yield f"{name}: {'; '.join(map(str, attacks))}"
