"""How much of the benefit is blur: autoencoders beside baselines that have learnt nothing, under the same attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from advae.checks import pick_strongest
from advae.models.baselines import BASELINES
from advae.report.analysis.eps_selection import select_eps
from advae.report.data.commands import suggest_baselines
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Measured
from advae.report.data.word_tables import Cell, Grid, show_eps, show_percentage
from advae.report.wording import NOT_RUN, format_points, format_share, name_attack, name_autoencoder


@dataclass(frozen=True)
class ComparedAttack:
    """One attack at one eps on the same samples. rows: the pipeline's row, by classifier id; undefended: without."""

    first: Row
    undefended: Measured | None
    rows: dict[str, Row]

    def weigh(self, row: Row) -> float | None:
        """Return what a purifier brings: accuracy minus accuracy without; None where the latter is missing."""
        return row.own.result.accuracy - self.undefended.result.accuracy if self.undefended else None


@dataclass(frozen=True)
class BaselineComparison:
    """Autoencoders and baselines in front of one kind of classifier on one dataset.

    matches: the attacks that an autoencoder and a baseline both met; missing: baselines that were not run in
    all of them.
    """

    baselines: tuple[AttackedPipeline, ...]
    autoencoders: tuple[AttackedPipeline, ...]
    matches: tuple[ComparedAttack, ...]

    @property
    def name(self) -> str:
        run = self.autoencoders[0].first
        return f"{run.dataset}, {run.classifier_recipe.model}"

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(kind for kind in BASELINES if not self.is_complete(kind))

    @property
    def command(self) -> str | None:
        """One line that runs the missing baselines, as the first autoencoder was attacked."""
        subject = self.autoencoders[0].subject or self.autoencoders[0].rows[0]
        return suggest_baselines(subject.run, self.missing) if self.missing else None

    def list_baselines(self, kind: str) -> list[AttackedPipeline]:
        """Return the baselines of one kind."""
        return [pipeline for pipeline in self.baselines if pipeline.first.autoencoder_type == kind]

    def is_complete(self, kind: str) -> bool:
        """Whether a baseline of this kind met every attack that is compared, and there is one."""
        ids = {pipeline.id for pipeline in self.list_baselines(kind)}
        return bool(self.matches) and all(ids & match.rows.keys() for match in self.matches)


def find_baseline_comparisons(comparison: Comparison) -> list[BaselineComparison]:
    """Return a comparison for each dataset and kind of classifier with an autoencoder somewhere."""
    groups: dict[tuple[str, str], list[AttackedPipeline]] = {}
    for pipeline in comparison.pipelines:
        if pipeline.first.defended:
            run = pipeline.first
            groups.setdefault((run.recipe.dataset.digest, run.classifier_recipe.model), []).append(pipeline)
    baseline_comparisons = (_build_comparison(group) for group in groups.values())
    return [compared for compared in baseline_comparisons if compared.autoencoders]


def _build_comparison(pipelines: list[AttackedPipeline]) -> BaselineComparison:
    baselines = [pipeline for pipeline in pipelines if is_baseline(pipeline)]
    baselines.sort(key=lambda pipeline: list(BASELINES).index(pipeline.first.autoencoder_type))
    autoencoders = [pipeline for pipeline in pipelines if not is_baseline(pipeline)]
    matches = [_build_match(autoencoders, rows) for rows in _match_rows(pipelines)]
    return BaselineComparison(tuple(baselines), tuple(autoencoders), tuple(match for match in matches if match))


def is_baseline(pipeline: AttackedPipeline) -> bool:
    """Whether a pipeline's purifier is a baseline and no autoencoder."""
    return pipeline.first.autoencoder_type in BASELINES


def _match_rows(pipelines: list[AttackedPipeline]) -> list[dict[str, Row]]:
    """Return the rows of each attack, eps and set of samples, by classifier; the worst where there are several."""
    found: dict[tuple[object, ...], dict[str, Row]] = {}
    for pipeline in pipelines:
        # Of a run, which may have thousands of rows, once.
        attacks = {run.id: identify_attack(run) for run in pipeline.runs}
        for row in pipeline.rows:
            if row.valid:
                group = found.setdefault((attacks[row.id], row.terms), {})
                best = group.setdefault(pipeline.id, row)
                group[pipeline.id] = pick_strongest([best, row])
    return list(found.values())


def _build_match(autoencoders: list[AttackedPipeline], rows: dict[str, Row]) -> ComparedAttack | None:
    """Return a match; None where not both an autoencoder and a baseline met the attack."""
    ours = [rows[pipeline.id] for pipeline in autoencoders if pipeline.id in rows]
    if not ours or len(ours) == len(rows):
        return None
    without = next((row.undefended for row in ours if row.undefended), None)
    return ComparedAttack(ours[0], without, rows)


# ---------------------------------------------------------------- for people


def tabulate_baselines(compared: BaselineComparison) -> Grid:
    """Return the robust accuracy undefended, behind each baseline and each autoencoder, and the difference."""
    columns = list(_list_columns(compared))
    titles = ("attack", "threat", "eps", "without", *(title for title, _ in columns))
    shown = select_eps(compared.matches, lambda match: (match.first.id, match.first.eps, match.first.accuracy))
    rows = (_write_match(match, [pipeline for _, pipeline in columns]) for match in shown)
    return Grid(f"Baselines and autoencoders: {compared.name}", titles, tuple(rows))


def _list_columns(compared: BaselineComparison) -> Iterator[tuple[str, AttackedPipeline | None]]:
    """Yield a title and a pipeline for each column; baselines that were not run at all have no pipeline."""
    for kind in BASELINES:
        same = compared.list_baselines(kind)
        yield from ((f"behind {_name(pipeline, same)}", pipeline) for pipeline in same)
        if not same:
            yield f"behind {kind}", None
    for pipeline in compared.autoencoders:
        yield f"behind {_name(pipeline, compared.autoencoders)}", pipeline


def _name(pipeline: AttackedPipeline, others: tuple[AttackedPipeline, ...] | list[AttackedPipeline]) -> str:
    """Return the purifier's name, with the classifier's id where another has the same name."""
    name = name_autoencoder(pipeline.first)
    namesakes = [other for other in others if name_autoencoder(other.first) == name]
    return name if len(namesakes) == 1 else f"{name} ({pipeline.id})"


def _write_match(match: ComparedAttack, pipelines: list[AttackedPipeline | None]) -> tuple[str, ...]:
    run = match.first.run
    without = show_percentage(match.undefended.result.accuracy) if match.undefended else Cell(NOT_RUN, None)
    found = (match.rows.get(pipeline.id) if pipeline else None for pipeline in pipelines)
    cells = (_write_cell(match, row) for row in found)
    return name_attack(run), run.recipe.threat, show_eps(match.first.eps), without, *cells


def _write_cell(match: ComparedAttack, row: Row | None) -> Cell:
    if row is None:
        return Cell(NOT_RUN, None)
    accuracy = row.own.result.accuracy
    return Cell(f"{format_share(accuracy)} ({format_points(match.weigh(row))})", accuracy)
