"""How much of the benefit is blur: autoencoders beside controls that have learnt nothing, under the same attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from advae.checks import pick_strongest
from advae.models.baselines import BASELINES
from advae.report.analysis.eps_selection import select_eps
from advae.report.data.commands import suggest_controls
from advae.report.data.contents import Comparison, Pipeline, Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Measured
from advae.report.data.word_tables import Cell, Grid, show_eps, show_share
from advae.report.wording import NOT_RUN, format_points, format_share, name_attack, name_autoencoder


@dataclass(frozen=True)
class Match:
    """One attack at one eps on the same samples. rows: the pipeline's row, by classifier id; without: no purifier."""

    first: Row
    without: Measured | None
    rows: dict[str, Row]

    def weigh(self, row: Row) -> float | None:
        """Return what a purifier brings: accuracy minus accuracy without; None where the latter is missing."""
        return row.own.result.accuracy - self.without.result.accuracy if self.without else None


@dataclass(frozen=True)
class Contest:
    """Autoencoders and controls in front of one kind of classifier on one dataset.

    matches: the attacks that an autoencoder and a control both met; missing: controls that were not run in all of them.
    """

    controls: tuple[Pipeline, ...]
    autoencoders: tuple[Pipeline, ...]
    matches: tuple[Match, ...]

    @property
    def name(self) -> str:
        run = self.autoencoders[0].first
        return f"{run.dataset}, {run.classifier_recipe.model}"

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(kind for kind in BASELINES if not self.is_complete(kind))

    @property
    def command(self) -> str | None:
        """One line that runs the missing controls, as the first autoencoder was attacked."""
        subject = self.autoencoders[0].subject or self.autoencoders[0].rows[0]
        return suggest_controls(subject.run, self.missing) if self.missing else None

    def list_controls(self, kind: str) -> list[Pipeline]:
        """Return the controls of one kind."""
        return [pipeline for pipeline in self.controls if pipeline.first.autoencoder_type == kind]

    def is_complete(self, kind: str) -> bool:
        """Whether a control of this kind met every attack that is compared, and there is one."""
        ids = {pipeline.id for pipeline in self.list_controls(kind)}
        return bool(self.matches) and all(ids & match.rows.keys() for match in self.matches)


def find_contests(comparison: Comparison) -> list[Contest]:
    """Return a contest for each dataset and kind of classifier that stands behind an autoencoder somewhere."""
    groups: dict[tuple[str, str], list[Pipeline]] = {}
    for pipeline in comparison.pipelines:
        if pipeline.first.defended:
            run = pipeline.first
            groups.setdefault((run.recipe.dataset.digest, run.classifier_recipe.model), []).append(pipeline)
    contests = (_build_contest(group) for group in groups.values())
    return [contest for contest in contests if contest.autoencoders]


def _build_contest(pipelines: list[Pipeline]) -> Contest:
    controls = [pipeline for pipeline in pipelines if is_baseline(pipeline)]
    controls.sort(key=lambda pipeline: list(BASELINES).index(pipeline.first.autoencoder_type))
    autoencoders = [pipeline for pipeline in pipelines if not is_baseline(pipeline)]
    matches = [_build_match(autoencoders, rows) for rows in _match_rows(pipelines)]
    return Contest(tuple(controls), tuple(autoencoders), tuple(match for match in matches if match))


def is_baseline(pipeline: Pipeline) -> bool:
    """Whether a pipeline's purifier is a control and no autoencoder."""
    return pipeline.first.autoencoder_type in BASELINES


def _match_rows(pipelines: list[Pipeline]) -> list[dict[str, Row]]:
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


def _build_match(autoencoders: list[Pipeline], rows: dict[str, Row]) -> Match | None:
    """Return a match; None where not both an autoencoder and a control met the attack."""
    ours = [rows[pipeline.id] for pipeline in autoencoders if pipeline.id in rows]
    if not ours or len(ours) == len(rows):
        return None
    without = next((row.undefended for row in ours if row.undefended), None)
    return Match(ours[0], without, rows)


# ---------------------------------------------------------------- for people


def tabulate_contest(contest: Contest) -> Grid:
    """Return what is left without, behind each control and behind each autoencoder, and what that brings."""
    columns = list(_list_columns(contest))
    titles = ("attack", "threat", "eps", "without", *(title for title, _ in columns))
    shown = select_eps(contest.matches, lambda match: (match.first.id, match.first.eps, match.first.accuracy))
    rows = (_write_match(match, [pipeline for _, pipeline in columns]) for match in shown)
    return Grid(f"Controls and autoencoders: {contest.name}", titles, tuple(rows))


def _list_columns(contest: Contest) -> Iterator[tuple[str, Pipeline | None]]:
    """Yield a title and a pipeline for each column; controls that were not run at all have no pipeline."""
    for kind in BASELINES:
        same = contest.list_controls(kind)
        yield from ((f"behind {_name(pipeline, same)}", pipeline) for pipeline in same)
        if not same:
            yield f"behind {kind}", None
    for pipeline in contest.autoencoders:
        yield f"behind {_name(pipeline, contest.autoencoders)}", pipeline


def _name(pipeline: Pipeline, others: tuple[Pipeline, ...] | list[Pipeline]) -> str:
    """Return the purifier's name, with the classifier's id where another has the same name."""
    name = name_autoencoder(pipeline.first)
    namesakes = [other for other in others if name_autoencoder(other.first) == name]
    return name if len(namesakes) == 1 else f"{name} ({pipeline.id})"


def _write_match(match: Match, pipelines: list[Pipeline | None]) -> tuple[str, ...]:
    run = match.first.run
    without = show_share(match.without.result.accuracy) if match.without else Cell(NOT_RUN, None)
    found = (match.rows.get(pipeline.id) if pipeline else None for pipeline in pipelines)
    cells = (_write_cell(match, row) for row in found)
    return name_attack(run), run.recipe.threat, show_eps(match.first.eps), without, *cells


def _write_cell(match: Match, row: Row | None) -> Cell:
    if row is None:
        return Cell(NOT_RUN, None)
    accuracy = row.own.result.accuracy
    return Cell(f"{format_share(accuracy)} ({format_points(match.weigh(row))})", accuracy)
