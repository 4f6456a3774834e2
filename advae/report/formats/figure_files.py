"""Every figure of a report as a file, for a paper or for slides: SVG, PDF or PNG, named by what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from advae.atomic_files import make_folder, write_aside
from advae.report import check_figure_formats
from advae.report.analysis.tables import Findings
from advae.report.drawing.compared_curves import chart_compared
from advae.report.drawing.figure import Drawing
from advae.report.drawing.figure_names import name_figure, name_slug
from advae.report.drawing.figure_table import draw_figures
from advae.report.drawing.strips import paint_strip
from advae.report.drawing.vega import FigureFormat, convert, draw_svg
from advae.report.formats.first_screen import list_screens


def write_figures(findings: Findings, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write every figure of a report into a folder, in each format, and return the files in their order.

    Charts are on white, as the page saves them; a strip of images is a PNG whatever the formats. A file of the same
    name is replaced. Raises UsageError for an unknown format, DiskError.
    """
    check_figure_formats(formats)
    make_folder(folder)
    written: dict[Path, None] = {}
    for name, content in _draw_all(findings, [cast(FigureFormat, one) for one in formats]):
        path = _choose_path(folder, name, written)
        with write_aside(path) as draft:
            draft.write_bytes(content)
        written[path] = None
    return list(written)


def _choose_path(folder: Path, name: str, taken: dict[Path, None]) -> Path:
    """Return the path of a figure; of several with one name the later ones have a number."""
    stem, _, ending = name.rpartition(".")
    names = (name, *(f"{stem}-{number}.{ending}" for number in range(2, len(taken) + 2)))
    return next(folder / one for one in names if folder / one not in taken)


def _draw_all(findings: Findings, formats: Sequence[FigureFormat]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file: the first chart, the compared curves, then all other figures."""
    for screen in list_screens(findings):
        data = name_slug(screen.overview.dataset)
        yield from _convert(f"pipelines-{data}", screen.charts["wide"], formats)
    for dataset, chart in chart_compared(findings):
        yield from _convert(f"compared-{name_slug(dataset)}", draw_svg(chart), formats)
    own = [drawing for table in findings.sections.values() for drawing in table.draw(findings)]
    for drawings in (own, *draw_figures(findings.comparison).values()):
        for drawing in drawings:
            yield from _draw_one(drawing, formats)


def _draw_one(drawing: Drawing, formats: Sequence[FigureFormat]) -> Iterator[tuple[str, bytes]]:
    name = name_figure(drawing)
    if drawing.strip:
        yield f"{name}.png", paint_strip(drawing.strip)
    for chart in drawing.charts:
        title = f"-{name_slug(chart.name)}" if len(drawing.charts) > 1 else ""
        yield from _convert(f"{name}{title}", draw_svg(chart), formats)


def _convert(name: str, svg: str, formats: Sequence[FigureFormat]) -> Iterator[tuple[str, bytes]]:
    for kind in formats:
        yield f"{name}.{kind}", convert(svg, kind)
