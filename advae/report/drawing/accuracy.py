"""Accuracy against eps, defended and undefended: each attack, the targeted ones together, and details."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from advae.checks import NOT_VALID, ProvedImages, measure_bounds
from advae.records import unite_eps
from advae.report.analysis.certified_accuracy import find_strongest_within
from advae.report.analysis.eps_selection import DRAWN_EPS, MANY_EPS, SHOWN_EPS, list_eps, select_eps
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.grouping import group_by
from advae.report.data.runs import Measured, Rate, Run
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Chart, Line, Style, make_line_chart
from advae.report.drawing.figure import Drawing
from advae.report.drawing.palette import Colour, Dashes
from advae.report.wording import name_attack, name_pipeline

EPS_TITLE = "eps (share of the pixel range)"

LINES = {
    "adaptive": Style(Colour.VERMILLION, "circle", Dashes.SOLID),
    "gray-box": Style(Colour.BLUE, "square", Dashes.DASHED),
    "oblivious": Style(Colour.GREEN, "up", Dashes.MIXED),
    "encoded": Style(Colour.PURPLE, "diamond", Dashes.DOTTED),
    "transfer": Style(Colour.ORANGE, "down", Dashes.DASHED),
    "black-box": Style(Colour.GREY, "star", Dashes.SOLID),
    "noise": Style(Colour.SKY, "plus", Dashes.DOTTED),
    "elsewhere": Style(Colour.SKY, "left", Dashes.SOLID),
}
"""Lines of a defended pipeline, by threat model."""

OTHER_LINE = Style(Colour.YELLOW, "left", Dashes.SOLID)
UNDEFENDED_LINE = Style(Colour.INK, "cross", Dashes.DOTTED)

PROVED_LINE = Style(Colour.WINE, "diamond", Dashes.SOLID)
PROVED_BAND = (
    " The band above the certified accuracy reaches to the strongest attack on the same images: the robust accuracy is "
    "in it."
)

TARGETED = {
    "natural": Style(Colour.VERMILLION, "circle"),
    "non-natural": Style(Colour.BLUE, "square"),
    "one-target": Style(Colour.GREEN, "up"),
    "tfgsm": Style(Colour.PURPLE, "diamond"),
}
"""The attacks that aim at a class."""

WHOLE = LineSpec(EPS_TITLE, "accuracy", share=True, whole=True)
DETAIL = LineSpec(EPS_TITLE, "accuracy", share=True)

Proof = tuple[ProvedImages, Line]
"""A certificate and its line."""

DETAIL_SPAN = 0.5
"""Details are drawn where they show at most this share of the whole scale, and so more than the whole."""


@dataclass(frozen=True)
class Curve:
    """One run's measurements in the order of eps, as they are drawn."""

    run: Run
    """The run."""
    points: tuple[Measured, ...]
    """Its measurements, in the order of eps."""
    label: str
    """Text in the legend."""
    style: Style
    """Colour, marker and dashes."""

    @property
    def valid(self) -> bool:
        return all(point.result.within_budget for point in self.points)

    @property
    def rates(self) -> list[Rate]:
        """The clean accuracy, then that at each eps."""
        return [self.run.comparable_clean, *(point.attacked for point in self.points)]


# ---------------------------------------------------------------- which lines there are


def draw_accuracy(comparison: Comparison) -> Iterator[Drawing]:
    """Yield accuracy against eps for each pipeline and attack: a line for each run, and one undefended."""
    for pipeline, attack, rows in _group_by_attack(comparison):
        yield _draw_whole(pipeline, f"attack {attack}", _trace_runs(rows), list(_trace_proofs(pipeline, rows)))


def draw_details(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the lines of the defended pipelines alone, on a scale that ends where they do, where that shows more."""
    for pipeline, attack, rows in _group_by_attack(comparison):
        yield from _draw_detail(pipeline, f"attack {attack}", _trace_runs(rows))
    for pipeline, threat, rows in _group_targeted(comparison):
        yield from _draw_detail(pipeline, f"targeted attacks, threat model {threat}", _trace_targeted(rows))


def draw_targeted(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the targeted attacks of each pipeline and threat model in one figure, defended and undefended."""
    for pipeline, threat, rows in _group_targeted(comparison):
        yield _draw_whole(pipeline, f"targeted attacks, threat model {threat}", _trace_targeted(rows))


def _group_by_attack(comparison: Comparison) -> Iterator[tuple[AttackedPipeline, str, list[Row]]]:
    for pipeline in comparison.pipelines:
        for attack, rows in group_by(pipeline.rows, lambda row: name_attack(row.run)).items():
            yield pipeline, attack, rows


def _group_targeted(comparison: Comparison) -> Iterator[tuple[AttackedPipeline, str, list[Row]]]:
    """Yield the rows of several targeted attacks under one threat model; of one alone there is nothing to compare."""
    for pipeline in comparison.pipelines:
        targeted = (row for row in pipeline.rows if row.recipe.method in TARGETED)
        for threat, rows in group_by(targeted, _name_threat).items():
            if len({row.recipe.method for row in rows}) > 1:
                yield pipeline, threat, rows


def _name_threat(row: Row) -> str:
    return f"{row.recipe.threat}{'' if row.recipe.clip else ', not clipped'}"


def _collect_points(sides: Iterable[Measured | None]) -> Iterator[tuple[Run, tuple[Measured, ...]]]:
    """Yield each run with its points in the order of eps."""
    for points in group_by(filter(None, sides), lambda side: side.id).values():
        by_eps = {point.eps: point for point in points}
        yield points[0].run, tuple(by_eps[eps] for eps in sorted(by_eps))


def _trace_runs(rows: list[Row]) -> list[Curve]:
    """Return a curve for each run of the rows, counterparts first."""
    sides = [row.undefended for row in rows] + rows
    return [Curve(run, points, _name_side(run), _choose_style(run)) for run, points in _collect_points(sides)]


def _trace_targeted(rows: list[Row]) -> list[Curve]:
    """Return a curve for each targeted attack on the undefended classifier, then on the defended one."""
    sides = [row.undefended for row in rows] + rows
    curves = []
    for run, points in _collect_points(sides):
        solid = TARGETED[run.recipe.method]
        style = solid if run.defended else replace(solid, dashes=Dashes.DOTTED, hollow=True)
        side = "defended" if run.defended else "undefended"
        # The legend of the figure has "not clipped" once, for all of them.
        name = name_attack(run).removesuffix(", not clipped")
        curves.append(Curve(run, points, f"{name}, {side}", style))
    return curves


def _choose_style(run: Run) -> Style:
    return LINES.get(run.recipe.threat, OTHER_LINE) if run.defended else UNDEFENDED_LINE


def _name_side(run: Run) -> str:
    return f"defended, {run.recipe.threat}" if run.defended else "undefended"


def _trace_proofs(pipeline: AttackedPipeline, rows: list[Row]) -> Iterator[Proof]:
    """Yield each certificate that is about these rows with its line, and a band from that up to the strongest attack.

    The robust accuracy is in the band: not below what is proved, not above what an attack within the eps leaves. Both
    are of the same images.
    """
    reach = max(row.eps for row in rows)
    for certificate in pipeline.certificates:
        if any(certificate.concerns(row) for row in rows):
            clean = certificate.metrics.clean_accuracy
            ends = [(0.0, clean, clean), *_bound_each(pipeline, certificate, reach)]
            # Below an eps that is certified its certified accuracy holds, nothing higher: the line has steps, and
            # every second point is one of them.
            steps = [step for one, larger in pairwise(ends) for step in (one, (one[0], larger[1], one[2]))] + ends[-1:]
            points, band = [(eps, low) for eps, low, _ in steps], [(low, high) for _, low, high in steps]
            yield certificate, Line(f"certified ({certificate.recipe.method})", points, PROVED_LINE, band, every=2)


def _bound_each(
    pipeline: AttackedPipeline, certificate: ProvedImages, reach: float
) -> Iterator[tuple[float, float, float]]:
    """Yield the eps of a certificate up to ``reach``, ascending, with the certified and the attacked accuracy."""
    metrics = certificate.metrics
    for index, result in sorted(enumerate(metrics.results), key=lambda one: one[1].eps):
        if 0 < result.eps <= reach:
            row = find_strongest_within(pipeline, certificate, result.eps)
            bounds = measure_bounds(certificate, index, row) if row else None
            proved = (bounds.lower, bounds.upper) if bounds else (result.certified_accuracy, metrics.clean_accuracy)
            yield result.eps, *proved


# ---------------------------------------------------------------- drawing


def _draw_whole(pipeline: AttackedPipeline, attack: str, curves: list[Curve], proofs: Sequence[Proof] = ()) -> Drawing:
    """Return the curves on the scale of all accuracies, with what is proved and what guessing would reach."""
    reach, share = _find_reach(curves), 1 / len(pipeline.first.recipe.dataset.classes)
    chance = Line(f"chance ({share:.0%})", [(0.0, share), (reach, share)], Style(Colour.GREY, dashes=Dashes.LONG))
    chart = _lay_out(WHOLE, curves, *(line for _, line in proofs), chance)
    return _finish(pipeline, "Accuracy against eps", attack, curves, chart, [certificate for certificate, _ in proofs])


def _draw_detail(pipeline: AttackedPipeline, attack: str, curves: list[Curve]) -> Iterator[Drawing]:
    """Yield the curves of defended pipelines on a scale of their own; nothing where they fill the whole one anyway."""
    defended = [curve for curve in curves if curve.run.defended]
    rates = [rate for curve in defended for rate in curve.rates]
    if not rates or len(defended) == len(curves):
        return
    low, high = min(rate.low for rate in rates), max(rate.high for rate in rates)
    if high - low <= DETAIL_SPAN:
        chart = _lay_out(DETAIL, defended)
        yield _finish(pipeline, "Details of the defended accuracy", attack, defended, chart)


def _find_reach(curves: list[Curve]) -> float:
    return max(point.result.eps for curve in curves for point in curve.points) or 1.0


def _lay_out(spec: LineSpec, curves: list[Curve], *more: Line) -> Chart:
    """Return a chart over eps; invalid results are marked."""
    none_valid = not any(curve.valid for curve in curves)
    lines = [_draw_curve(curve, marked=not curve.valid and not none_valid) for curve in curves]
    return make_line_chart(spec, [*lines, *more], title=f"classifier ({NOT_VALID})" if none_valid else "")


def _draw_curve(curve: Curve, *, marked: bool) -> Line:
    drawn = select_eps(curve.points, lambda point: ("", point.eps, point.accuracy), most=DRAWN_EPS)
    rates = [curve.run.comparable_clean, *(point.attacked for point in drawn)]
    eps = [0.0, *(point.eps for point in drawn)]
    points = [(at, rate.value) for at, rate in zip(eps, rates, strict=True)]
    style = curve.style if curve.valid else replace(curve.style, hollow=True)
    label = f"{curve.label} ({NOT_VALID})" if marked else curve.label
    every = 1 if len(drawn) <= MANY_EPS else DRAWN_EPS // SHOWN_EPS
    return Line(label, points, style, [(rate.low, rate.high) for rate in rates], every)


def _finish(
    pipeline: AttackedPipeline,
    what: str,
    attack: str,
    curves: list[Curve],
    chart: Chart,
    proofs: Sequence[ProvedImages] = (),
) -> Drawing:
    name = name_pipeline(pipeline.first)
    every = [*unite_eps(point.eps for curve in curves for point in curve.points).values()]
    fewer = max((len(curve.points) for curve in curves), default=0) > MANY_EPS
    drawn = f" Of the eps of a curve at most {DRAWN_EPS + 2} are drawn." if fewer else ""
    sources = "; ".join([*map(_describe_source, curves), *map(_describe_proof, proofs)])
    budget = f"eps {list_eps(every)}; eps 0 is clean"
    bands = f"Bands are 95 % confidence intervals.{PROVED_BAND if proofs else ''}{drawn}"
    caption = f"{what}. {name}; {attack}; {budget}. {bands} Runs: {sources}."
    return Drawing(pipeline.id, f"{what}: {name}, {attack}", caption, charts=(chart,))


def _describe_proof(certificate: ProvedImages) -> str:
    return f"certified ({certificate.recipe.method}): {certificate.id}, n = {certificate.metrics.n}"


def _describe_source(curve: Curve) -> str:
    run, doubt = curve.run, "" if curve.valid else f" ({NOT_VALID})"
    return f"{curve.label}{doubt}: {run.id}, n = {run.size}, seed {run.recipe.seed}"
