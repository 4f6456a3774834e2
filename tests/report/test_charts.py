"""Charts: that points lie where their values say, that scales are round, and that names stay inert."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from advae.report.drawing.axes import make_axis, make_loss_axis
from advae.report.drawing.charts import BOTTOM, LEFT, RIGHT, TOP, WIDE, Chart, Line, Style, draw_chart, measure_legend

SQUARE = Chart(make_axis("x", 0, 10), make_axis("y", 0, 1), width=LEFT + RIGHT + 100, height=TOP + BOTTOM + 100)


def draw(*lines: Line) -> str:
    return draw_chart(Chart(SQUARE.x, SQUARE.y, lines, width=SQUARE.width, height=SQUARE.height))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.02, 1.02, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.309, [0, 0.1, 0.2, 0.3]),
        (0, 78.8, [0, 20, 40, 60]),
        (63, 69, [63, 64, 65, 66, 67, 68, 69]),
        (5, 5, [4.6, 4.8, 5, 5.2, 5.4]),
    ],
)
def test_scales_bear_round_values(low: float, high: float, ticks: list[float]) -> None:
    assert [value for value, _ in make_axis("", low, high).ticks] == pytest.approx(ticks)


def test_epochs_are_whole() -> None:
    assert [text for _, text in make_axis("", 1, 3, whole=True).ticks] == ["1", "2", "3"]


def test_losses_that_span_much_are_drawn_on_a_logarithmic_scale() -> None:
    axis = make_loss_axis("loss", [0.05, 2.0])
    assert axis.logarithmic
    assert axis.label == "loss (log scale)"
    assert [text for _, text in axis.ticks] == ["0.05", "0.1", "0.2", "0.5", "1", "2"]
    # Equal factors are equal steps.
    assert axis.place(0.2) - axis.place(0.1) == pytest.approx(axis.place(2) - axis.place(1))
    assert not make_loss_axis("loss", [0.0, 2.0]).logarithmic
    assert not make_loss_axis("loss", [0.11, 2.0]).logarithmic


def test_points_are_at_the_places_of_their_values() -> None:
    markup = draw(Line("a", [(0, 0), (5, 0.25), (10, 1)], Style("#123456", "dot"), band=[(0, 0), (0, 0.5), (1, 1)]))
    left, bottom = LEFT, TOP + 100
    ends = f"{left} {bottom}", f"{left + 50} {bottom - 25}", f"{left + 100} {TOP}"
    assert f'd="M{"L".join(ends)}"' in markup
    assert f'd="{"".join(f"M{end}h0" for end in ends)}"' in markup
    low = f"{left} {bottom}", f"{left + 50} {bottom}", f"{left + 100} {TOP}"
    high = f"{left + 100} {TOP}", f"{left + 50} {bottom - 50}", f"{left} {bottom}"
    assert f'd="M{"L".join(low + high)}z"' in markup


def test_a_line_of_many_points_is_marked_now_and_then() -> None:
    line = Line("a", [(place, 0.5) for place in range(11)], Style("#123456", "square"), every=4)
    (path,) = re.findall(r'd="([^"]*)" stroke="#123456" stroke-width="1.3"', draw(line))[:1]
    assert path.count("M") == 3


def test_names_stay_words() -> None:
    name = '<script>alert("1")</script> & co'
    texts = [node.text for node in ElementTree.fromstring(draw(Line(name, [(0, 0)], Style("#000")))).iter()]
    assert name in texts


def test_a_legend_has_room_for_its_keys() -> None:
    labels = ["a" * 200, "b", "c"]
    chart = Chart(SQUARE.x, SQUARE.y, [Line(label, [(0, 0)], Style("#000")) for label in labels])
    root = ElementTree.fromstring(draw_chart(chart))
    height = float(root.attrib["viewBox"].split()[3])
    assert height == chart.height + measure_legend(chart)
    keys = [node for node in root.iter() if node.tag.endswith("text") and node.text and node.text[0] in "abc"]
    assert [node.text for node in keys] == [f"{'a' * (WIDE - 1)}…", "b", "c"]
    assert all(chart.height < float(node.attrib["y"]) < height for node in keys)
    assert len({node.attrib["y"] for node in keys}) == 3
