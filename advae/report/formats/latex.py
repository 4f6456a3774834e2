"""The report's tables for LaTeX, with the rules of booktabs: a file for each, and one that reads them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.errors import printable
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.overview import list_overviews, write_title
from advae.report.analysis.pairwise import PairRecord, list_pairs
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.tables import Findings
from advae.report.data.word_tables import Cell, Grid, Part
from advae.report.formats.catalogue import list_tables
from advae.report.wording import (
    NBSP,
    NOT_APPLICABLE,
    NOT_RUN,
    TITLE,
    format_budget,
    format_p,
    format_points,
    format_rate,
    format_share,
)

TEX_HEAD = f"% {TITLE}: advae report --format tex"
"""First line of each file, by which it is recognized."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    NBSP: "~",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
"""What LaTeX reads as a command, or shows as another sign -> how it is written."""

NUMBER_TITLES = ("classifier", "autoencoder", "white-box", "certified", "oblivious", "illusion gap", "clean", "defence")
PAIR_TITLES = ("first", "second", "eps", "difference, points", "p", "n")


def render_latex(findings: Findings) -> dict[str, str]:
    """Return the text of each table that has rows, by its file's key, and of the file that reads them all."""
    texts = {f"tex-{name.replace('_', '-')}": _write_file(name, parts) for name, parts in _list_parts(findings)}
    inputs = "\n".join(f"\\input{{report-{key.removeprefix('tex-')}}}" for key in texts)
    head = f"{TEX_HEAD}\n% {escape_tex(write_title(findings))}\n% \\usepackage{{booktabs}}"
    return {"tex": f"{head}\n{inputs}\n", **texts}


def list_tex_keys(names: Sequence[str]) -> list[str]:
    """Return the keys of all files that may be written, the first reads the others. names: of the report's tables."""
    return ["tex", *(f"tex-{name.replace('_', '-')}" for name in names)]


def _list_parts(findings: Findings) -> Iterator[tuple[str, list[Part]]]:
    """Yield the parts of each table about the whole report. The headlines have a table that fits a page's width."""
    for name, table in list_tables(findings.sections).items():
        if name == "numbers":
            parts = _tabulate_numbers(findings)
        elif name == "pairs":
            parts = _tabulate_pairs(findings)
        else:
            parts = list(table.tabulate(findings)) if table.about == "report" and name != "headlines" else []
        shown = [part for part in parts if part.grid.rows]
        if shown:
            yield name, shown


def _tabulate_numbers(findings: Findings) -> list[Part]:
    """Return the headline of each pipeline, a table for each dataset."""
    found = []
    for overview in findings.collect(list_overviews):
        numbers = [one for one in findings.collect(list_first_numbers) if one.dataset == overview.dataset]
        where = format_budget(overview.eps, overview.norm) if overview.eps is not None and overview.norm else NOT_RUN
        what = f"Accuracy of each pipeline on {overview.dataset}, eps {where}"
        caption = f"{overview.title}. {what}, in brackets 95{NBSP}% confidence intervals"
        found.append(Part(Grid(caption, NUMBER_TITLES, tuple(map(_write_number, numbers))), {}))
    return found


def _write_number(one: PipelineNumber) -> tuple[str, ...]:
    gap, oblivious = one.illusion_gap, one.oblivious
    seen = None if oblivious is None else getattr(oblivious, "robust_accuracy", None)
    nothing = NOT_APPLICABLE if oblivious is None else NOT_RUN
    elsewhere = "" if one.headline and getattr(one.white_box, "comparable", True) else f", eps {one.eps:.3g}"
    return (
        one.classifier,
        f"{one.purifier_name}{elsewhere}",
        Cell(format_rate(one.robust), one.robust.value if one.robust else None),
        Cell(format_share(one.certified.accuracy) if one.certified else NOT_APPLICABLE, None),
        Cell(nothing if seen is None else format_share(seen), seen),
        Cell(format_points(gap) if isinstance(gap, float) else nothing, None),
        Cell(format_share(one.clean_accuracy), one.clean_accuracy),
        one.defence.result if one.defence else "reference",
    )


def _tabulate_pairs(findings: Findings) -> list[Part]:
    """Return the differences at the eps that is shown first, a table for each dataset."""
    names = {
        one.classifier_id: f"{one.classifier}, {one.purifier_name}" for one in findings.collect(list_first_numbers)
    }
    found = []
    for overview in findings.collect(list_overviews):
        at = (overview.dataset, overview.norm, overview.eps)
        pairs = [one for one in findings.collect(list_pairs) if (one.dataset, one.norm, one.eps) == at]
        caption = (
            f"Differences of robust accuracy on {overview.dataset}, the first minus the second, on identical images"
        )
        found.append(Part(Grid(caption, PAIR_TITLES, tuple(_write_pair(one, names) for one in pairs)), {}))
    return found


def _write_pair(pair: PairRecord, names: dict[str, str]) -> tuple[str, ...]:
    return (
        names.get(pair.first, pair.first),
        names.get(pair.second, pair.second),
        Cell(format_budget(pair.eps, pair.norm), pair.eps),
        Cell(format_points(pair.difference), pair.difference),
        Cell(format_p(pair.mcnemar_p), pair.mcnemar_p),
        Cell(str(pair.n), pair.n),
    )


def _write_file(name: str, parts: Sequence[Part]) -> str:
    tables = (_write_table(f"tab:advae-{name}-{place}", part) for place, part in enumerate(parts, 1))
    return "\n".join((TEX_HEAD, *tables)) + "\n"


def _write_table(label: str, part: Part) -> str:
    """Return one table; columns whose cells are numbers are on the right."""
    grid = part.grid
    columns = "".join("r" if _is_number(grid, place) else "l" for place in range(len(grid.titles)))
    caption = ". ".join(filter(None, (part.heading if part.heading != grid.name else "", grid.name)))
    rows = (" & ".join(map(escape_tex, row)) + r" \\" for row in (grid.titles, *grid.rows))
    head, *body = rows
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{escape_tex(caption)}.}}",
        f"\\label{{{label.replace('_', '-')}}}",
        f"\\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _is_number(grid: Grid, place: int) -> bool:
    return all(isinstance(row[place], Cell) for row in grid.rows)


def escape_tex(text: str) -> str:
    """Return a text that LaTeX shows as it is, printable and on one line."""
    return "".join(SPECIAL.get(mark, mark) for mark in printable(text, keep=NBSP).replace("\n", " "))
