"""The first screen of the page: the finding, its number, and all pipelines in one chart, at each eps to choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from advae.errors import printable
from advae.report.analysis.eps_choices import EpsChoice, list_eps_choices
from advae.report.analysis.headline_records import Strength, list_headlines
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.overview import OverviewRecord, find_best, list_overviews
from advae.report.analysis.pipeline_numbers import list_numbers
from advae.report.analysis.tables import Findings
from advae.report.analysis.titles import title_dataset
from advae.report.drawing.chart_specs import CONFIG, DATA
from advae.report.drawing.pipeline_chart import PipelineSize, list_pipeline_rows, measure_pipelines
from advae.report.drawing.pipeline_spec import PipelineSpec
from advae.report.drawing.vega import render_spec
from advae.report.wording import NBSP, NOT_RUN, format_share

STATIC_WIDTHS = {"wide": 1120, "narrow": 360}
"""Pixels of the whole chart as it is before a script draws it, and without one."""


@dataclass(frozen=True)
class View:
    """What the first screen says at one eps."""

    eps: str
    """The eps in words."""
    title: str
    """The finding at this eps."""
    who: str
    """The pipeline of the number, in words; empty without a number."""
    bound: str
    """Whether the number is a bound: at most, where it is not reliable; at least, where it is proved; else empty."""
    big: str
    """The number."""
    interval: str
    """Its interval, in brackets; empty without one."""
    measure: str
    """What the number is."""
    proved: str
    """A sentence on what a certificate proves beside it; empty where nothing is."""
    oblivious: str
    """A sentence on the attacker who does not know the purifier; empty where there is none."""
    defence: str
    """Whether the defence is good, in a word; empty for an undefended classifier."""
    defence_reason: str
    """Why."""
    number: str
    """Whether the number is reliable, in a word."""
    number_reason: str
    """Why."""
    rows: list[dict[str, Any]]
    """The rows of the chart and of the table."""


@dataclass(frozen=True)
class Screen:
    """The first screen of one dataset."""

    overview: OverviewRecord
    """What was found on it."""
    views: list[View]
    """What it says at each eps, the one that is shown first."""
    sizes: dict[str, PipelineSize]
    """Sizes of its chart."""
    charts: dict[str, str]
    """Its chart as SVG, wide and narrow."""

    @property
    def shown(self) -> View:
        return self.views[0]

    def list_data(self, spec: str) -> dict[str, Any]:
        """Return what the page's script needs of it. spec: the key of the chart's specification."""
        sizes = {name: asdict(size) for name, size in self.sizes.items()}
        return {"spec": spec, "sizes": sizes, "views": [asdict(view) for view in self.views]}


def list_screens(findings: Findings) -> Iterator[Screen]:
    """Yield the first screen of each dataset that has a number."""
    for overview in findings.collect(list_overviews):
        own = [one for one in findings.collect(list_eps_choices) if one.dataset == overview.dataset]
        views = [_describe(findings, overview, choice) for choice in sorted(own, key=lambda one: not one.shown)]
        if views:
            sizes = measure_pipelines(row for view in views for row in view.rows)
            charts = {name: _draw(views[0].rows, size, name) for name, size in sizes.items()}
            yield Screen(overview, views, sizes, charts)


def select_numbers(findings: Findings, choice: EpsChoice) -> list[PipelineNumber]:
    """Return the numbers that are shown at an eps: at the first one the headlines, wherever they were measured."""
    own = (one for one in findings.collect(list_numbers) if one.dataset == choice.dataset)
    if choice.shown:
        return [one for one in own if one.headline]
    return [one for one in own if not one.headline and (one.norm, one.eps) == (choice.norm, choice.eps)]


def _describe(findings: Findings, overview: OverviewRecord, choice: EpsChoice) -> View:
    numbers = select_numbers(findings, choice)
    imported = {record.classifier_id for record in findings.collect(list_headlines) if record.imported}
    best = find_best(numbers, choice)
    title = overview.title if choice.shown else title_dataset(numbers)
    words = {"eps": choice.text, "title": title, **_describe_best(best)}
    return View(
        **{name: printable(text, keep=NBSP) for name, text in words.items()},
        rows=list_pipeline_rows(numbers, choice, imported),
    )


def _describe_best(best: PipelineNumber | None) -> dict[str, str]:
    if best is None:
        names = (field.name for field in fields(View) if field.name not in ("eps", "title", "rows"))
        return dict.fromkeys(names, "") | {"big": NOT_RUN, "number": "no number"}
    return {
        "who": best.pipeline.removeprefix(f"{best.dataset}: "),
        **_describe_number(best),
        "oblivious": _describe_oblivious(best),
        "defence": best.defence.result if best.defence else "",
        "defence_reason": best.defence.reason if best.defence else "",
        "number": best.reliability.result,
        "number_reason": best.reliability.reason,
    }


def _describe_number(best: PipelineNumber) -> dict[str, str]:
    """Return the number, its interval and what it is: under attack, or where nothing attacked, by proof."""
    certified = best.certified.rate if best.certified else None
    rate = best.robust or certified
    words = {
        "big": format_share(rate.value) if rate else NOT_RUN,
        "interval": f"[{100 * rate.low:.1f}, {100 * rate.high:.1f}]" if rate else "",
    }
    if best.robust is None and certified:
        return words | {"bound": "at least", "measure": "certified accuracy, and was not attacked", "proved": ""}
    bound = "at most" if best.reliability.result == "not reliable" else ""
    proved = f"A certificate proves {format_share(certified.value)}." if certified else ""
    return words | {
        "bound": bound,
        "measure": "robust accuracy under the strongest white-box attack",
        "proved": proved,
    }


def _describe_oblivious(best: PipelineNumber) -> str:
    if not isinstance(best.oblivious, Strength):
        return ""
    share = format_share(best.oblivious.robust_accuracy)
    return f"Under an oblivious attacker, who does not know the purifier, it is {share}: a careless test reports that."


def _draw(rows: Sequence[dict[str, Any]], size: PipelineSize, name: str) -> str:
    """Return the chart as SVG for a page without a script, in the page's colours."""
    width = STATIC_WIDTHS[name] - size.padding["left"] - size.padding["right"]
    spec = PipelineSpec().build()
    values = {"narrow": name == "narrow", "room": size.room}
    spec["params"] = [one | {"value": values[one["name"]]} for one in spec["params"]]
    places = {"width": width, "height": size.step * len(rows), "padding": size.padding}
    return render_spec(spec | places | {"config": CONFIG, "datasets": {DATA: list(rows)}})
