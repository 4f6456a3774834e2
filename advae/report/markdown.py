"""The report as Markdown: the same tables as the page, for a pull request or a paper's notes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from advae.report.commands import list_commands
from advae.report.controls import find_contests, tabulate_contest
from advae.report.grids import Grid
from advae.report.headlines import Headline, explain_headline, write_headlines
from advae.report.judging import describe_subject, tabulate_stored, tabulate_verdicts
from advae.report.ladder import tabulate_ladder
from advae.report.rows import Comparison, Pipeline, list_runs_of
from advae.report.runs import Run
from advae.report.scores import REPORT_COLUMNS, Findings, Scores, select_shown, tabulate_report
from advae.report.seeds import find_spreads, tabulate_spreads
from advae.report.tables import COLUMNS
from advae.report.threat_models import describe_threat
from advae.report.wording import BENEFIT, describe_run, name_pipeline, show_name

SCORES_LEGEND = "Rows are the true class, columns the predicted one. What is left out for its size is in report.json."
MARKS = re.compile(r"([\\`*_\[\]|~#!$])")


def render_markdown(findings: Findings) -> str:
    """Return the report as GitHub's Markdown: headlines, tables, threat models, verdicts, scores, commands."""
    comparison, shown = findings.comparison, select_shown(findings)
    blocks = ["# What the autoencoder is worth", "Every accuracy stands with its Wilson 95 % interval."]
    blocks += [_write_headline(headline) for headline in write_headlines(comparison)]
    cells = ([column.text(row) for column in COLUMNS] for row in comparison.table_rows)
    blocks += ["## Accuracy with and without the autoencoder", write_table([c.title for c in COLUMNS], cells)]
    blocks += [*_write_controls(comparison), *_write_seeds(comparison)]
    blocks += ["## Ladder and verdicts of each pipeline"]
    blocks += [block for pipeline in comparison.pipelines for block in _write_pipeline(pipeline)]
    blocks += ["## Threat models", "\n".join(f"- **{name}**: {describe_threat(name)}" for name in comparison.threats)]
    blocks += ["## Confusion matrices and classification reports", SCORES_LEGEND]
    blocks += [block for run in comparison.runs for block in _write_scores(run, shown[run.id])]
    commands = "\n".join(list_commands(list_runs_of(comparison.rows)))
    return "\n\n".join([*blocks, "## How to run this again", _fence(commands)]) + "\n"


def write_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; every cell is escaped."""
    lines = [titles, ["---"] * len(titles), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Return a text that Markdown and the HTML inside it leave as it is, on one line."""
    return MARKS.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _write_headline(headline: Headline) -> str:
    lines = [f"**{escape(headline.name)}**"]
    if headline.alarm:
        lines += [f"- **{escape(headline.alarm)}**", *(f"- {escape(reason)}" for reason in headline.reasons)]
    lines += [f"- {escape(line)}" for line in (explain_headline(headline), *headline.details)]
    return "\n".join(lines)


def _write_grid(grid: Grid) -> str:
    return write_table([escape(title) for title in grid.titles], grid.rows)


def _write_controls(comparison: Comparison) -> Iterator[str]:
    contests = find_contests(comparison)
    if contests:
        yield "## How much of the benefit is blur?"
        yield BENEFIT
    for contest in contests:
        yield f"**{escape(contest.name)}**"
        if contest.matches:
            yield _write_grid(tabulate_contest(contest))
        if contest.command:
            yield f"NOT RUN: {', '.join(contest.missing)}. This runs them:"
            yield _fence(contest.command)


def _write_seeds(comparison: Comparison) -> Iterator[str]:
    spreads = find_spreads(comparison)
    if spreads:
        yield "## The same with other seeds"
        yield _write_grid(tabulate_spreads(spreads))


def _write_pipeline(pipeline: Pipeline) -> Iterator[str]:
    yield f"### {escape(name_pipeline(pipeline.first))}, {pipeline.id}"
    yield _write_grid(tabulate_ladder(pipeline))
    yield f"Verdicts on {describe_subject(pipeline)}:" if pipeline.subject else "Verdicts:"
    yield _write_grid(tabulate_verdicts("Verdicts", pipeline.verdicts))


def _write_scores(run: Run, scores: Sequence[Scores]) -> Iterator[str]:
    names = [show_name(name) for name in run.recipe.dataset.classes]
    yield f"### {run.id}"
    yield f"{escape(describe_run(run))}."
    yield _write_grid(tabulate_stored(run))
    for one in scores:
        yield f"#### {one.title}"
        rows = ([name, *map(str, counts)] for name, counts in zip(names, one.matrix, strict=True))
        yield write_table(["true \\ predicted", *map(escape, names)], rows)
        yield write_table(["class", *REPORT_COLUMNS], tabulate_report(run, one))


def _fence(text: str) -> str:
    """Return a code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{text}\n{fence}"
