"""Charts: that the library accepts them, that points are where their values are, and that names stay words."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from advae.report.drawing.chart_specs import HeatSpec, LineSpec, ScatterSpec, Spec
from advae.report.drawing.charts import Chart, Line, Style, list_data, list_points, make_line_chart
from advae.report.drawing.palette import DARK, LIGHT, Colour, Dashes
from advae.report.drawing.pipeline_spec import PipelineSpec
from advae.report.drawing.vega import WIDTH, convert, draw_svg, load_library
from advae.report.formats.inlining import ChartSheet, write_json
from tests.report.contrasts import measure_contrast

SHARES = LineSpec("eps", "accuracy", share=True, whole=True)
SPECS: list[Spec] = [
    SHARES,
    LineSpec("eps", "accuracy", share=True),
    LineSpec("epoch", "loss", logarithmic=True),
    ScatterSpec("code 1", "code 2"),
    HeatSpec("mistaken for", "true class"),
    PipelineSpec(),
]
HOSTILE = "</script><img src=x onerror=alert(1)>\"'); datum['x']; {{ 7 * 7 }} \x1b[2J\u202e\u2028"


def draw(*lines: Line, spec: LineSpec = SHARES) -> ElementTree.Element:
    return ElementTree.fromstring(draw_svg(make_line_chart(spec, lines)))


def read_texts(root: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in root.iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_specification_is_one_that_the_library_knows(spec: Spec) -> None:
    import altair as alt

    built = spec.build()
    alt.LayerChart.from_dict(built, validate=True)
    # It is made once for all charts, so none may change it, and it has no data.
    assert spec.build() == built
    assert "datasets" not in built


def test_titles_are_those_of_the_chart() -> None:
    one, other = (LineSpec(name, "accuracy", share=True).build() for name in ("eps", "radius"))
    assert json.dumps(one).replace('"eps"', '"radius"') == json.dumps(other)


def test_points_are_at_the_places_of_their_values() -> None:
    band = [(0.0, 0.0), (0.2, 0.5), (1.0, 1.0)]
    chart = make_line_chart(SHARES, [Line("a", [(0, 0), (0.5, 0.25), (1, 1)], Style(Colour.BLUE), band)])
    root = ElementTree.fromstring(draw_svg(chart))
    (path,) = (node.get("d") for node in root.iter() if node.get("stroke") == Colour.BLUE and node.get("d"))
    assert path is not None
    found = [tuple(map(float, pair.split(","))) for pair in re.findall(r"-?[\d.]+,-?[\d.]+", path)]
    expected = [(x * WIDTH, (1 - y) * chart.height) for x, y in ((0, 0), (0.5, 0.25), (1, 1))]
    assert found == [pytest.approx(place, abs=0.06) for place in expected]
    (area,) = (node.get("d") for node in root.iter() if node.get("fill") == Colour.BLUE and node.get("d"))
    assert area is not None
    assert area.startswith(f"M0,{chart.height}L{WIDTH / 2:g},{0.8 * chart.height:g}L{WIDTH},0")


def test_the_names_of_lines_that_end_together_are_apart() -> None:
    names = [f"line {number}" for number in range(6)]
    root = draw(*(Line(name, [(0, 1), (1, 0.001 * place)], Style(Colour.INK)) for place, name in enumerate(names)))
    heights = [
        float(re.findall(r"translate\([^,]*,([-\d.]+)\)", node.get("transform") or "")[-1])
        for node in root.iter()
        if node.text in names
    ]
    assert len(heights) == 6
    steps = [upper - lower for lower, upper in pairwise(sorted(heights))]
    assert min(steps) > 12


def test_losses_on_a_logarithmic_scale_step_by_factors() -> None:
    points = [(float(epoch), 10.0**-epoch) for epoch in range(4)]
    root = draw(Line("loss", points, Style(Colour.BLUE)), spec=LineSpec("epoch", "loss", logarithmic=True))
    (path,) = (node.get("d") for node in root.iter() if node.get("stroke") == Colour.BLUE and node.get("d"))
    heights = [float(part.split(",")[1]) for part in re.findall(r"-?[\d.]+,-?[\d.]+", path or "")]
    steps = [lower - upper for upper, lower in pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2)


def test_a_line_of_many_points_is_marked_now_and_then() -> None:
    line = Line("a", [(place, 0.5) for place in range(11)], Style(Colour.BLUE, "square"), every=4)
    assert sum(row["m"] for row in list_points(make_line_chart(SHARES, [line]))) == 3


def test_what_is_no_number_breaks_the_line() -> None:
    line = Line("loss", [(1, 0.5), (2, math.nan), (3, math.inf)], Style(Colour.BLUE))
    chart = make_line_chart(LineSpec("epoch", "loss"), [line])
    assert list_data(chart)["lines"][0]["y"] == [0.5, None, None]
    assert draw_svg(chart)


def test_names_stay_words() -> None:
    chart = make_line_chart(SHARES, [Line(HOSTILE, [(0, 0), (1, 1)], Style(Colour.INK, "circle"))])
    svg = draw_svg(chart)
    root = ElementTree.fromstring(svg)
    tags = {node.tag.rpartition("}")[2] for node in root.iter()}
    assert tags <= {"svg", "g", "path", "text", "tspan", "line", "rect"}
    assert not any(name.startswith("on") or "href" in name for node in root.iter() for name in node.attrib)
    assert any(text.startswith("</script><img") for text in read_texts(root))
    assert "\x1b" not in svg
    written = ChartSheet().write(chart)
    assert not set("<>&\u2028\u202e\x1b") & set(written)
    assert json.loads(written)["lines"][0]["s"].startswith("</script><img src=x onerror=alert(1)>")


def test_no_name_is_part_of_a_specification() -> None:
    """What a file calls its classes must reach no expression, no field and no title, which the library evaluates."""
    sheet = ChartSheet()
    rows: list[dict[str, Any]] = [{"t": HOSTILE, "p": HOSTILE, "n": 1, "share": 0.5}]
    sheet.write(Chart(SPECS[4], rows=rows))
    sheet.write(make_line_chart(SHARES, [Line(HOSTILE, [(0, 0)], Style(Colour.INK))], title=HOSTILE))
    assert "onerror" not in sheet.write_specs()


def test_json_in_a_page_ends_no_script() -> None:
    assert write_json({"a": HOSTILE}).count("<") == 0
    assert json.loads(write_json({"a": HOSTILE})) == {"a": HOSTILE}


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_files_are_of_their_kind_and_know_no_style_sheet(kind: Any) -> None:
    svg = draw_svg(make_line_chart(SHARES, [Line("a", [(0, 0), (1, 1)], Style(Colour.BLUE, "star", Dashes.MIXED))]))
    content = convert(svg, kind)
    assert content.startswith({"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}[kind])
    assert b"var(--" not in content
    if kind == "svg":
        assert LIGHT[Colour.BLUE].encode() in content


def test_colours_are_readable_and_each_differs() -> None:
    for palette in (LIGHT, DARK):
        inks = [colour for colour in palette if colour not in (Colour.GRID, Colour.PAPER)]
        assert len({palette[colour] for colour in palette}) == len(palette)
        assert min(measure_contrast(palette[ink], palette[Colour.PAPER]) for ink in inks) >= 4.5
        assert measure_contrast(palette[Colour.INK], palette[Colour.PAPER]) >= 7


def test_the_script_is_bundled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import platformdirs
    import vl_convert

    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: "window.vegaEmbed=1")
    first = load_library()
    (kept,) = (tmp_path / "cache").iterdir()
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: "window.vegaEmbed=2")
    assert load_library() == first
    # A damaged file is made again, and so is one where the folder cannot be written.
    kept.write_bytes(kept.read_bytes()[:-9])
    assert "vegaEmbed=2" in load_library().script
    kept.unlink()
    kept.mkdir()
    assert "vegaEmbed=2" in load_library().script
