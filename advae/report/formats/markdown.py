"""The report as Markdown: the same tables as the page, for a pull request or a paper's notes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from advae.errors import printable
from advae.report.analysis.eps_selection import list_eps
from advae.report.analysis.findings import answer
from advae.report.analysis.headlines import Headline, explain_headline, write_headlines
from advae.report.analysis.overview import list_overviews, write_title
from advae.report.analysis.tables import Findings
from advae.report.data.commands import list_commands
from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.data.runs import Run
from advae.report.data.threat_models import describe_threat
from advae.report.data.word_tables import Part
from advae.report.formats.catalogue import TABLES, group_parts, list_tables
from advae.report.wording import AGAIN, IMPORTED_EXPLAINED, TITLE, describe_run, name_attack, name_pipeline

MARKS = re.compile(r"([\\`*_\[\]|~#!$])")
HEADLINE_SECTION = "Robust accuracy under the strongest attack"


def render_markdown(findings: Findings) -> str:
    """Return the report as GitHub's Markdown: the sections of the page in their order, without figures."""
    comparison = findings.comparison
    blocks = [f"<!-- {TITLE} -->", f"# {escape(write_title(findings))}", *_write_overviews(findings)]
    blocks += map(escape, filter(None, answer(findings).split("\n")))
    blocks += [escape(comparison.about)] if comparison.about else []
    blocks += [
        "Every accuracy has its Wilson 95 % confidence interval.",
        *([IMPORTED_EXPLAINED] if comparison.imported else []),
    ]
    headlines = list(map(_write_headline, write_headlines(comparison)))
    blocks += [*([f"## {HEADLINE_SECTION}"] if headlines else []), *headlines, *_write_sections(findings)]
    if comparison.runs:
        blocks += ["## Threat models: what the attacker knows"]
        blocks += ["\n".join(f"- **{escape(name)}**: {describe_threat(name)}" for name in comparison.threats)]
        blocks += ["## Each pipeline", *_write_pipelines(findings)]
    return "\n\n".join([*blocks, "## How to run this again", AGAIN, _write_commands(comparison)]) + "\n"


def _write_overviews(findings: Findings) -> Iterator[str]:
    """Yield the summary of each dataset as a list, below its title where there are several."""
    overviews = findings.collect(list_overviews)
    for one in overviews:
        title, *lines = one.summary.split("\n")
        if len(overviews) > 1:
            yield f"**{escape(one.dataset)}: {escape(title)}**"
        yield "\n".join(f"- {escape(line)}" for line in lines)


def write_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; every cell is escaped."""
    lines = [map(escape, titles), ["---"] * len(titles), *(map(escape, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Return a text that Markdown and the HTML inside it leave as it is, printable and on one line."""
    return MARKS.sub(r"\\\1", html.escape(printable(" ".join(text.split())), quote=False))


def _write_headline(headline: Headline) -> str:
    lines = [f"### {escape(headline.name)}\n"]
    if headline.alarm:
        lines += [f"- **{escape(headline.alarm)}**", *(f"- {escape(reason)}" for reason in headline.reasons)]
    lines += [f"- {escape(line)}" for line in (explain_headline(headline), *headline.details)]
    return "\n".join(lines)


def _write_commands(comparison: Comparison) -> str:
    return _fence("\n".join(list_commands(comparison)))


# ---------------------------------------------------------------- tables


def _write_sections(findings: Findings) -> Iterator[str]:
    """Yield the tables about the whole report, each under its heading."""
    written = HEADLINE_SECTION
    for table in list_tables(findings.sections).values():
        parts = list(table.tabulate(findings)) if table.about == "report" else []
        if parts and table.heading != written:
            yield f"## {table.heading}"
            written = table.heading
        if parts:
            yield escape(table.explanation)
        yield from _write_parts(parts, "###")


def _write_pipelines(findings: Findings) -> Iterator[str]:
    """Yield what the tables below each pipeline and each of its runs are, and these."""
    tables = [table for table in TABLES.values() if table.about != "report"]
    yield "\n".join(f"- **{escape(table.heading)}** – {escape(table.explanation)}" for table in tables)
    parts = group_parts(findings)
    for pipeline in findings.comparison.pipelines:
        yield f"### {escape(name_pipeline(pipeline.first))}, {pipeline.id}"
        yield from _write_parts((part for _, part in parts.get(pipeline.id, ())), "####")
        for run in pipeline.runs:
            yield f"#### {escape(_name_run(run))}"
            yield f"{escape(describe_run(run))}. {describe_threat(run.recipe.threat)}"
            yield from _write_parts((part for _, part in parts.get(run.id, ())), "#####")


def _name_run(run: Run) -> str:
    return f"{name_attack(run)}, {run.recipe.threat}, eps {list_eps(run.recipe.eps)}: {run.id}"


def _write_parts(parts: Iterable[Part], mark: str) -> Iterator[str]:
    """Yield parts below their headings; those of one heading and with the same keys are together."""
    for group in group_by(parts, lambda part: (part.heading, *part.keys.values())).values():
        if group[0].heading:
            yield f"{mark} {escape(group[0].heading)}"
        for part in group:
            yield from _write_part(part)


def _write_part(part: Part) -> Iterator[str]:
    if part.aside:
        yield escape(part.aside)
    if part.grid.rows:
        yield write_table(part.grid.titles, part.grid.rows)
    if part.command:
        yield _fence(part.command)


def _fence(text: str) -> str:
    """Return a code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{text}\n{fence}"
