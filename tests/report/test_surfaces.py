"""Decision surfaces in a report: read and held against their arrays, side by side only on the same images, drawn."""

from __future__ import annotations

import csv
import html
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from advae.errors import CorruptError, NotFoundError
from advae.records import Manifest
from advae.report import write_comparison
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.surface_shares import group_surfaces, list_planes, list_surfaces
from advae.report.analysis.tables import Findings
from advae.report.data.contents import Comparison
from advae.report.data.surface_reader import open_surface
from advae.report.drawing.pixels import GAIN_COLOUR, LOSS_COLOUR
from advae.report.drawing.strips import paint_strip
from advae.report.drawing.surface_planes import CENTRE, LINE, draw_surfaces, make_palette, paint_planes
from advae.report.formats.json_schema import describe_schema
from advae.workflows import Workspace, choose_runs
from tests.report.planted_surfaces import POINTS, add_surface, make_planes
from tests.report_fixtures import Lab, unpack_page


def add_pipelines(lab: Lab) -> list[Manifest]:
    """Add an undefended classifier and one behind a robust, one behind a vanilla autoencoder."""
    kinds = ("robust", "vanilla")
    return [lab.add_classifier(), *(lab.add_classifier(lab.add_autoencoder(kind)) for kind in kinds)]


def compare(lab: Lab) -> Comparison:
    return compare_runs(lab.registry, lab.registry.entries("run"), surfaces=lab.registry.entries("surface"))


def test_surfaces_need_no_run_and_are_in_every_format(lab: Lab, tmp_path: Path) -> None:
    first, robust, vanilla = add_pipelines(lab)
    late = add_surface(lab, robust, make_planes(0.5))
    made = add_surface(lab, first, alongside=tuple(sorted((robust.id, vanilla.id))))
    add_surface(lab, vanilla, make_planes(0.0))
    comparison = compare(lab)
    formats = ["html", "md", "json", "csv", "tex"]
    files = {
        name: path.read_text("utf-8") for name, path in write_comparison(comparison, tmp_path, formats=formats).items()
    }
    page, document = unpack_page(files["html"]), json.loads(files["json"])
    Draft202012Validator(describe_schema({})).validate(document)
    assert [one["autoencoder"] for one in document["surfaces"]] == ["none", "vanilla", "robust"]
    one = document["surfaces"][0]
    assert (one["surface"], one["group"], one["n"], one["check"]) == (made.id, 1, 3, "PASS")
    assert one["missing"] == ["1", "3", "4", "6", "7", "8", "9"]
    assert one["right_share"] == pytest.approx(0.8)
    assert document["surfaces"][2]["check"] == "NOT RUN"
    assert len(document["surface_images"]) == 9
    lines = list(csv.DictReader(io.StringIO(files["csv-surfaces"])))
    assert [line["surface"] for line in lines] == [one["surface"] for one in document["surfaces"]]
    assert lines[0]["alongside"].split() == sorted((robust.id, vanilla.id))
    images = list(csv.DictReader(io.StringIO(files["csv-surface-images"])))
    assert [(line["class_name"], line["image"]) for line in images[:3]] == [("0", "3"), ("2", "1"), ("5", "8")]
    for name in (page, files["md"]):
        text = html.unescape(name).replace("\\", "")
        assert "digits: radius 0.3" in text
        assert late.id in text
        assert "It is no attack, and no proof" in text
        assert "No such image of class 1, 3, 4, 6, 7, 8, 9." in text
    assert "80.0~\\%" in files["tex-surfaces"]
    assert "data:image/png" in page
    assert files["md"].startswith("<!-- Robust accuracy report -->\n\n# Robust accuracy report\n")
    assert f"advae surface --clf {robust.id} --radius 0.3 --points 5 --seed 0" in document["commands"]


def test_only_surfaces_of_the_same_images_planes_and_directions_are_side_by_side(lab: Lab) -> None:
    first, robust, vanilla = add_pipelines(lab)
    add_surface(lab, first)
    add_surface(lab, robust)
    add_surface(lab, vanilla, ids=(3, 1, 9))
    add_surface(lab, vanilla, seed=1)
    add_surface(lab, vanilla, clip=False)
    comparison = compare(lab)
    assert sorted(len(group) for group in group_surfaces(comparison)) == [1, 1, 1, 2]
    findings = Findings(comparison)
    assert len({one.group for one in list_surfaces(findings)}) == 4
    assert len(list(list_planes(findings))) == 15
    drawn = list(draw_surfaces(comparison))
    assert sorted(len(one.strip.rows) for one in drawn if one.strip) == [1, 1, 1, 2]


def test_a_masked_gradient_and_what_was_replaced_are_said(lab: Lab, tmp_path: Path) -> None:
    (first, *_), flat = add_pipelines(lab), np.ones((3, POINTS, POINTS), np.float32)
    add_surface(lab, first, flat, stuck=(True, False, False), found={"backward": "identity", "fixed_draw": True})
    comparison = compare(lab)
    (record,) = list_surfaces(Findings(comparison))
    assert (record.check, record.zero_gradients, record.harm_ratio) == ("WARN", 1, None)
    text = write_comparison(comparison, tmp_path, formats=["md"])["md"].read_text("utf-8")
    assert "nn, none: WARN, 1 of 3 images have a zero gradient: gradient masking." in text
    assert "BPDA through none" in text
    assert "One fixed draw of none, the same at every point." in text


def test_no_image_at_all_is_said_and_drawn_as_nothing(lab: Lab, tmp_path: Path) -> None:
    first = add_pipelines(lab)[0]
    add_surface(lab, first, np.ones((0, POINTS, POINTS), np.float32))
    comparison = compare(lab)
    assert list(draw_surfaces(comparison)) == []
    text = write_comparison(comparison, tmp_path, formats=["md", "html"])["md"].read_text("utf-8")
    assert "NOT RUN, no test image is classified correctly" in text


SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "another share": ({"found": {"right_share": 0.5}}, "says right_share 0.5"),
    "another count": ({"found": {"n": 2}}, "should have shape"),
    "a zero gradient": ({"found": {"zero_gradients": 2}}, "says zero_gradients 2"),
    "a class it has": ({"found": {"missing": (0,)}}, "misses a class that it has an image of"),
    "a class that there is not": ({"found": {"missing": (11,)}}, "or that there is not"),
    "images out of order": (
        {"spoil": lambda arrays: arrays["labels"].sort() or arrays.update(labels=arrays["labels"][::-1])},
        "by class",
    ),
    "another image": ({"spoil": lambda arrays: arrays.update(sample_ids=arrays["sample_ids"] + 1)}, "says sample_id 3"),
    "a margin that is none": (
        {"spoil": lambda arrays: arrays.update(margins=arrays["margins"] * np.nan)},
        "real numbers",
    ),
    "planes of another size": (
        {"spoil": lambda arrays: arrays.update(margins=arrays["margins"][:, 1:])},
        "shape (3, 5, 5)",
    ),
    "another plane": ({"spoil": lambda arrays: arrays.update(margins=-arrays["margins"])}, "says right_share"),
}


@pytest.mark.parametrize(("changes", "said"), SPOILT.values(), ids=SPOILT)
def test_a_surface_that_contradicts_itself_is_excluded_with_the_reason(
    lab: Lab, changes: dict[str, Any], said: str
) -> None:
    first, robust, _ = add_pipelines(lab)
    good, bad = add_surface(lab, robust), add_surface(lab, first, **changes)
    with pytest.raises(CorruptError, match=r"`advae surface ... --force` replaces it") as error:
        open_surface(lab.registry, bad)
    assert said in str(error.value)
    comparison = compare_runs(lab.registry, [], surfaces=lab.registry.entries("surface"), required=())
    assert [surface.id for _, surface in comparison.surfaces] == [good.id]
    assert said in comparison.excluded[bad.id]


def test_a_named_surface_brings_those_beside_it_and_a_named_classifier_its_own(lab: Lab) -> None:
    first, robust, vanilla = add_pipelines(lab)
    mine = add_surface(lab, first, alongside=(robust.id,))
    theirs = add_surface(lab, robust, alongside=(first.id,))
    alone = add_surface(lab, vanilla)
    workspace = Workspace(lab.registry)
    for refs, wanted in (
        ([], {mine.id, theirs.id, alone.id}),
        ([mine.id], {mine.id, theirs.id}),
        ([vanilla.id], {alone.id}),
    ):
        chosen = choose_runs(workspace, refs, None)
        assert {one.id for one in chosen.surfaces} == wanted
        assert not chosen.runs
    with pytest.raises(NotFoundError, match="no run"):
        compare_runs(lab.registry, [])


# ---------------------------------------------------------------- the figure


def test_the_colours_are_those_of_the_margins_with_the_line_where_they_change_sign() -> None:
    planes = make_planes()[:1]
    painted, palette = paint_planes(planes, 0.2), make_palette()
    assert painted.shape == (1, 97, 97)
    assert palette[0].tolist() == list(GAIN_COLOUR)
    assert palette[LINE - 1].tolist() == list(LOSS_COLOUR)
    row = painted[0, 10]
    assert row[0] == LINE - 1, "at the full lead the colour is full"
    # S is 0 at a step of 0.2 of -0.3 to 0.3: after five sixths of the side.
    line = np.flatnonzero(row == LINE)
    assert abs(line.mean() - 96 * 5 / 6) < 1.5
    assert (row[: line[0]] >= 24).all()
    assert (row[line[-1] + 1 :] < 24).all()
    assert painted[0, 48, 48] == CENTRE
    # Upwards is along +v.
    tilted = np.broadcast_to(np.linspace(-1, 1, POINTS)[:, None], (POINTS, POINTS)).astype("f4")[None]
    top, *_, bottom = paint_planes(tilted, 1.0)[0, :, 5]
    assert (top, bottom) == (LINE - 1, 0)


def test_one_scale_is_shared_and_the_figure_is_a_file(lab: Lab) -> None:
    first, robust, _ = add_pipelines(lab)
    add_surface(lab, first)
    add_surface(lab, robust, 10 * make_planes())
    (drawing,) = draw_surfaces(compare(lab))
    assert drawing.strip is not None
    weak, strong = (row.pixels for row in drawing.strip.rows)
    assert strong.max() >= weak.max()
    assert (weak != strong).any(), "the smaller margins are paler"
    assert "One scale for all" in drawing.caption
    assert "Decision surfaces around one test image of each class, digits" in drawing.label
    assert paint_strip(drawing.strip).startswith(b"\x89PNG")
