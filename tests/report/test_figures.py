"""The figures: that each draws something, says what it shows, and is safe to put beside others on one page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from advae.experiments.paper.published import DRAWN
from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.confusion import select_shown
from advae.report.analysis.tables import Findings
from advae.report.data.contents import Comparison
from advae.report.drawing.charts import list_data
from advae.report.drawing.figure import Drawing
from advae.report.drawing.figure_table import FIGURES, draw_figures
from advae.report.drawing.pixels import encode_png_uri
from advae.report.drawing.strips import write_strip
from advae.report.formats.figure_files import write_figures
from tests.report.galleries import FASHION, attack_linear, decode_png, fill_gallery
from tests.report_fixtures import Lab, make_views

MATRICES = {*range(7, 11), *range(17, 23), *range(25, 33), *range(38, 46), *range(51, 59), *range(66, 74), 78, 79}
MATRICES |= {*range(85, 91), *range(94, 102), *range(106, 112), *range(115, 121)}
"""The paper's confusion matrices and classification reports, which the page has as tables."""

DIAGRAMS = {1, 2, 4}
"""The paper's drawings of networks and processes, which show no result."""


@pytest.fixture
def gallery(lab: Lab) -> Comparison:
    runs, networks = fill_gallery(lab)
    more = {"surfaces": lab.registry.entries("surface"), "code_attacks": lab.registry.entries("code")}
    return compare_runs(lab.registry, runs, networks, **more)


def draw(comparison: Comparison, name: str) -> list[Drawing]:
    return list(FIGURES[name].draw(comparison))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_something_with_a_caption(gallery: Comparison, name: str) -> None:
    drawings = draw(gallery, name)
    assert drawings
    assert all(drawing.label and drawing.caption and drawing.place for drawing in drawings)
    assert all(drawing.charts or drawing.strip or drawing.markup for drawing in drawings)
    assert FIGURES[name].summary
    # A caption that says what was drawn names something to find it by.
    assert all(re.search(r"(run|ae|clf|cert|surface|code)-[0-9a-f]{12}", drawing.caption) for drawing in drawings)


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


def test_every_figure_becomes_a_file_named_by_what_it_shows(gallery: Comparison, tmp_path: Path) -> None:
    findings = Findings(gallery)
    folder = tmp_path / "figures"
    files = write_figures(findings, folder, ["svg"])
    names = [path.name for path in files]
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*\.(svg|png)", name) for name in names)
    for start in (
        "pipelines-digits",
        "compared-digits",
        "accuracy-against-eps-",
        "loss-history-",
        "values-of-test",
    ):
        assert any(name.startswith(start) and name.endswith(".svg") for name in names), start
    assert any(name.startswith("test-images-before-and-after") and name.endswith(".png") for name in names)
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".svg":
            root = ElementTree.fromstring(content)
            assert [node.tag for node in root.iter() if "id" in node.attrib or "class" in node.attrib] == []
            assert b"var(--" not in content
        else:
            assert content.startswith(b"\x89PNG")
    # The same again replaces them.
    assert write_figures(findings, folder, ["svg"]) == files


def test_equal_records_are_drawn_alike(lab: Lab) -> None:
    runs, networks = fill_gallery(lab)
    one, other = (draw_figures(compare_runs(lab.registry, runs[::step], networks[::step])) for step in (1, -1))
    assert describe(one) == describe(other)


def describe(drawn: dict[str, list[Drawing]]) -> list[Any]:
    """Return all that is seen of drawings."""
    return [
        (
            place,
            one.label,
            one.caption,
            one.markup,
            [*map(list_data, one.charts)],
            one.strip and write_strip(one.strip, ""),
        )
        for place, drawings in drawn.items()
        for one in drawings
    ]


@pytest.mark.parametrize("name", ["purified", "strips", "mistakes", "targets", "planes", "changes", "targeted"])
def test_classes_are_called_by_their_names(lab: Lab, name: str) -> None:
    lab.dataset = FASHION
    purifier = lab.add_autoencoder("variational", views=make_views(plane=True))
    runs = attack_linear(lab, None) + attack_linear(lab, purifier)
    shown = str(describe({"": [draw(compare_runs(lab.registry, runs), name)[0]]}))
    assert any(name in shown for name in ("Sneaker", "T-shirt/top"))


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
