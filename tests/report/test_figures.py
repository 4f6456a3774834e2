"""The figures: that each draws something, says what it shows, and stays small."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest

from advae.records import Manifest
from advae.report import compare_runs
from advae.report.drawing import create_axes, render_svg, styled
from advae.report.figures import FIGURES, draw_figures
from advae.report.scores import score_runs, select_shown
from advae.report.strips import encode_png_uri
from tests.report_fixtures import Lab


def test_every_figure_draws_something(lab: Lab, pair: list[Manifest]) -> None:
    comparison = compare_runs(lab.registry, pair)
    with styled():
        for name, draw in FIGURES.items():
            drawings = list(draw(comparison))
            assert drawings, name
            assert all(drawing.label and drawing.caption and drawing.markup for drawing in drawings)


def test_captions_say_what_was_attacked(lab: Lab, pair: list[Manifest]) -> None:
    figures = draw_figures(compare_runs(lab.registry, pair))
    for caption in (drawing.caption for drawing in figures[pair[1].id]):
        for fact in ("bim", "adaptive", "/255)", "n = 100", "seed 0", pair[1].id):
            assert fact in caption


def test_svg_ids_differ_between_figures_and_not_between_writes() -> None:
    figure, axes = create_axes()
    axes.fill_between([0, 1], [0, 1])
    one, other = render_svg(figure, "a"), render_svg(figure, "b")
    assert one == render_svg(figure, "a")
    assert not set(re.findall(r'id="([^"]+)"', one)) & set(re.findall(r'id="([^"]+)"', other))


def test_png_is_one_that_others_read() -> None:
    from matplotlib.image import imread

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    content = base64.b64decode(encode_png_uri(pixels).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.rint(imread(io.BytesIO(content)) * 255).astype(np.uint8), pixels)


def test_many_matrices_are_cut_to_the_largest_eps_and_all_stay_in_json(
    lab: Lab, pair: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = score_runs(compare_runs(lab.registry, pair))
    monkeypatch.setattr("advae.report.scores.MAX_CELLS", 400)
    assert [[one.eps for one in scores] for scores in select_shown(findings).values()] == [[None, 0.3]] * 2
    monkeypatch.setattr("advae.report.scores.MAX_CELLS", 399)
    assert set(select_shown(findings).values()) == {()}
