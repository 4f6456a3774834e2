"""The tables behind the first screen: for programs and for the page, which draws them."""

from __future__ import annotations

from advae.report.analysis.envelopes import EnvelopePoint, list_envelopes
from advae.report.analysis.eps_choices import EpsChoice, list_eps_choices
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.overview import OverviewRecord, list_overviews
from advae.report.analysis.pairwise import PairRecord, list_pairs
from advae.report.analysis.pipeline_numbers import list_numbers
from advae.report.analysis.tables import Table

SCREEN_TABLES: dict[str, Table] = {
    "overview": Table(
        "Finding",
        "What the report finds on each dataset: one title, one number, and both ratings.",
        "report",
        lambda _: (),
        OverviewRecord,
        list_overviews,
        marks=("dataset", "title", "summary"),
    ),
    "numbers": Table(
        "Pipelines at each eps",
        "Robust accuracy of each pipeline at the eps that is shown first, and at the others to choose among: "
        "white-box, oblivious and certified, beside clean accuracy and chance, with both ratings.",
        "report",
        lambda _: (),
        PipelineNumber,
        list_numbers,
        marks=("classifier_id", "eps", "chance"),
    ),
    "eps_choices": Table(
        "Eps to choose among",
        "The eps at which pipelines of a dataset have adaptive results; the one that is shown first comes first.",
        "report",
        lambda _: (),
        EpsChoice,
        list_eps_choices,
        marks=("dataset", "eps", "shown"),
    ),
    "envelopes": Table(
        "Strongest attack at each eps",
        "Robust accuracy of each pipeline under the strongest adaptive attack at each eps, on the same images.",
        "report",
        lambda _: (),
        EnvelopePoint,
        list_envelopes,
        marks=("classifier_id", "eps", "left_out"),
    ),
    "pairs": Table(
        "Differences between pipelines",
        "Robust accuracy of each pair of pipelines at one eps, each under its strongest adaptive attack, on identical "
        "images: the first minus the second, with McNemar's exact test.",
        "report",
        lambda _: (),
        PairRecord,
        list_pairs,
        marks=("first", "second", "difference"),
    ),
}
"""By name, in their order in ``report.json``; people see them as the page draws them."""
