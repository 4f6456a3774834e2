"""What the page needs to compare pipelines that a reader ticks: their curves, and the differences of each pair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from advae.report.analysis.envelopes import list_envelopes
from advae.report.analysis.eps_choices import list_eps_choices
from advae.report.analysis.pairwise import list_pairs
from advae.report.analysis.tables import Findings
from advae.report.data.grouping import group_by
from advae.report.drawing.charts import write_line
from advae.report.drawing.compared_curves import choose_styles, name_curves, trace_envelope, trace_oblivious
from advae.report.wording import format_p

CURVE_THREATS = {"adaptive": "white-box (adaptive)", "oblivious": "oblivious"}
"""Threat models whose curves can be compared, by name, in words."""


def list_curves(findings: Findings) -> dict[str, dict[str, Any]]:
    """Return the curve of each pipeline by its id, for each threat model."""
    pipelines = findings.comparison.pipelines
    styles, names = choose_styles(pipelines), name_curves(findings)
    points = group_by(findings.collect(list_envelopes), lambda one: (one.classifier_id, one.norm))
    curves: dict[str, dict[str, Any]] = {name: {} for name in CURVE_THREATS}
    for pipeline in pipelines:
        name, style = names[pipeline.id], styles[pipeline.id]
        own = points.get((pipeline.id, "linf")) or points.get((pipeline.id, "l2"))
        if own:
            curves["adaptive"][pipeline.id] = write_line(trace_envelope(name, own, style))
        for line in trace_oblivious(name, pipeline, style):
            curves["oblivious"][pipeline.id] = write_line(line)
    return curves


def list_pair_data(findings: Findings) -> list[list[Any]]:
    """Return each pair at each eps: place of the eps on the first screen, both ids, difference in shares, p in
    words, number of images.
    """
    return list(_list_pair_data(findings))


def _list_pair_data(findings: Findings) -> Iterator[list[Any]]:
    places = {}
    for dataset, choices in group_by(findings.collect(list_eps_choices), lambda one: one.dataset).items():
        for place, choice in enumerate(sorted(choices, key=lambda one: not one.shown)):
            places[dataset, choice.norm, choice.eps] = place
    for pair in findings.collect(list_pairs):
        place = places[pair.dataset, pair.norm, pair.eps]
        shown = round(pair.difference, 4), format_p(pair.mcnemar_p), pair.n
        yield [place, pair.first, pair.second, *shown]
