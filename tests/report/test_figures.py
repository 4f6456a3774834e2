"""The figures: that each draws something, says what it shows, and is safe to put beside others on one page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from advae.experiments.paper.published import DRAWN
from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.confusion import select_shown
from advae.report.analysis.tables import Findings
from advae.report.data.contents import Comparison
from advae.report.drawing.figure import Drawing
from advae.report.drawing.figure_table import FIGURES, draw_figures
from advae.report.drawing.pixels import encode_png_uri
from tests.report.galleries import FASHION, attack_linear, decode_png, fill_gallery
from tests.report_fixtures import Lab, make_views

MATRICES = {*range(7, 11), *range(17, 23), *range(25, 33), *range(38, 46), *range(51, 59), *range(66, 74), 78, 79}
MATRICES |= {*range(85, 91), *range(94, 102), *range(106, 112), *range(115, 121)}
"""The paper's confusion matrices and classification reports, which the page has as tables."""

DIAGRAMS = {1, 2, 4}
"""The paper's drawings of networks and processes, which show no result."""


@pytest.fixture
def gallery(lab: Lab) -> Comparison:
    return compare_runs(lab.registry, *fill_gallery(lab))


def draw(comparison: Comparison, name: str) -> list[Drawing]:
    return list(FIGURES[name].draw(comparison))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_something_with_a_caption(gallery: Comparison, name: str) -> None:
    drawings = draw(gallery, name)
    assert drawings
    assert all(drawing.label and drawing.caption and drawing.markup and drawing.place for drawing in drawings)
    assert FIGURES[name].summary
    # A caption that says what was drawn names something to find it by.
    assert all(re.search(r"(run|ae|clf|cert)-[0-9a-f]{12}", drawing.caption) for drawing in drawings)


def test_every_figure_of_the_paper_that_shows_a_result_is_drawn() -> None:
    drawn = [number for numbers in DRAWN.values() for number in numbers]
    assert DRAWN.keys() <= FIGURES.keys()
    assert sorted(drawn) == sorted({*range(1, 123)} - MATRICES - DIAGRAMS)


@pytest.mark.parametrize("name", ["accuracy", "details", "targeted", "targets", "strips", "changes", "mistakes"])
def test_captions_name_what_was_attacked(gallery: Comparison, name: str) -> None:
    for caption in (drawing.caption for drawing in draw(gallery, name)):
        for fact in ("digits: ", "/255)", "n = 100", "seed 0", "run-"):
            assert fact in caption
        assert "adaptive" in caption or "undefended" in caption
        assert re.search(r"attack(s|ed attack)?\b.*|natural", caption)


def test_an_image_as_a_figure_clashes_with_no_other(gallery: Comparison) -> None:
    drawings = [drawing for drawings in draw_figures(gallery).values() for drawing in drawings]
    pictures = [drawing for drawing in drawings if drawing.is_svg]
    assert len(pictures) > 20
    for drawing in pictures:
        root = ElementTree.fromstring(drawing.markup)
        assert [node.tag for node in root.iter() if "id" in node.attrib or "class" in node.attrib] == []
        assert {"aria-hidden", "viewBox"} <= root.attrib.keys()


def test_equal_records_are_drawn_alike(lab: Lab) -> None:
    runs, networks = fill_gallery(lab)
    one = draw_figures(compare_runs(lab.registry, runs, networks))
    assert one == draw_figures(compare_runs(lab.registry, runs[::-1], networks[::-1]))


@pytest.mark.parametrize("name", ["purified", "strips", "mistakes", "targets", "planes", "changes", "targeted"])
def test_classes_are_called_by_their_names(lab: Lab, name: str) -> None:
    lab.dataset = FASHION
    purifier = lab.add_autoencoder("variational", views=make_views(plane=True))
    runs = attack_linear(lab, None) + attack_linear(lab, purifier)
    markup = draw(compare_runs(lab.registry, runs), name)[0].markup
    assert any(name in markup for name in ("Sneaker", "T-shirt/top"))


def test_png_is_one_that_others_read() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    assert np.array_equal(decode_png(encode_png_uri(pixels)), pixels)


def test_many_matrices_are_cut_to_the_largest_eps_and_all_stay_in_json(
    lab: Lab, pair: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = Findings(compare_runs(lab.registry, pair))
    monkeypatch.setattr("advae.report.analysis.confusion.MAX_CELLS", 400)
    assert [[one.eps for one in scores] for scores in select_shown(findings).values()] == [[None, 0.3]] * 2
    monkeypatch.setattr("advae.report.analysis.confusion.MAX_CELLS", 399)
    assert set(select_shown(findings).values()) == {()}
