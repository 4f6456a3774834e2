"""What each figure shows, held against the records that it is drawn from."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from advae.checks import NOT_VALID
from advae.metrics import confusion_matrix
from advae.records import History, ImageShape, Manifest
from advae.report.analysis.activations import list_activation_records
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.tables import Findings
from advae.report.data.word_tables import read_value
from advae.report.drawing.accuracy import DETAIL
from advae.report.drawing.figure import TRAINING, Drawing
from advae.report.drawing.figure_table import FIGURES
from advae.report.drawing.mistakes import DARKEST
from advae.report.drawing.pixels import GAIN_COLOUR, LOSS_COLOUR, tile_differences
from advae.report.drawing.strips import write_strip
from advae.report.formats.record_tables import tabulate_activations
from tests.report.galleries import attack_linear, decode_png
from tests.report_fixtures import SIDE, Lab, make_views


def draw(lab: Lab, name: str, runs: list[Manifest], networks: list[Manifest] | None = None) -> list[Drawing]:
    return list(FIGURES[name].draw(compare_runs(lab.registry, runs, networks or [])))


def list_labels(drawing: Drawing) -> list[str | None]:
    """Return the names of the lines of a figure's charts."""
    return [line.label for chart in drawing.charts for line in chart.lines]


def read_tiles(drawing: Drawing, title: str) -> np.ndarray[Any, Any]:
    """Return the pixels of a row of a figure's strip, (images, height, width)."""
    assert drawing.strip is not None
    (tiles,) = [row for row in drawing.strip.rows if row.title == title]
    return tiles.pixels


# ---------------------------------------------------------------- attacks


def test_targeted_attacks_are_in_one_figure_defended_and_undefended(lab: Lab) -> None:
    runs = attack_linear(lab, None) + attack_linear(lab, lab.add_autoencoder())
    defended = [drawing for drawing in draw(lab, "targeted", runs) if "undefended" not in drawing.label]
    (drawing,) = defended
    for name in ("natural", "non-natural", "one-target to class 7"):
        assert {f"{name}, defended", f"{name}, undefended"} < {*list_labels(drawing)}
    assert all(run.id in drawing.caption for run in runs[1:4] + runs[5:])
    assert not {runs[0].id, runs[4].id} & set(re.findall(r"run-\w+", drawing.caption))


def test_details_are_drawn_only_where_they_show_more_than_the_whole(lab: Lab) -> None:
    undefended = lab.add_run(lab.add_classifier(), keep=(0.3, 0.0))
    steep = lab.add_run(lab.add_classifier(lab.add_autoencoder()), keep=(0.3, 0.0))
    level = lab.add_run(lab.add_classifier(lab.add_autoencoder("sparse")), keep=(0.9, 0.8))
    (drawing,) = draw(lab, "details", [undefended, steep, level])
    assert drawing.place == level.recipe.parents[0]
    assert level.id in drawing.caption
    assert undefended.id not in drawing.caption
    assert list_labels(drawing) == ["defended, adaptive"]
    (chart,) = drawing.charts
    assert chart.spec == DETAIL
    assert min(low for line in chart.lines for low, _ in line.band) > 0.5


def test_the_mark_of_an_invalid_result_is_not_cut(lab: Lab) -> None:
    runs = attack_linear(lab, lab.add_autoencoder(), valid=False)
    for name in ("accuracy", "targeted"):
        for drawing in draw(lab, name, runs):
            assert [chart.title for chart in drawing.charts] == [f"classifier ({NOT_VALID})"]
            assert NOT_VALID in drawing.caption


def test_targets_are_those_that_were_stored(lab: Lab) -> None:
    runs = attack_linear(lab, None)
    (drawing,) = draw(lab, "targets", runs)
    rows = re.findall(r'scope="row">([^<]*)</th>((?:<td>\d</td>)*)', drawing.markup)
    aimed = {name: re.findall(r"\d", cells) for name, cells in rows}
    assert aimed == {
        "natural": list("1234567890"),
        "non-natural": list("9012345678"),
        "one-target to class 7": list("7777777777"),
    }


def test_targets_that_were_named_need_no_table(lab: Lab) -> None:
    assert draw(lab, "targets", [lab.add_run(lab.add_classifier(), method="tfgsm", target=5)]) == []


def test_heat_map_counts_mistakes_at_the_largest_eps(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(model="lr"), method="non-targeted", eps=(0.3, 0.1), keep=(0.2, 0.6))
    (drawing,) = draw(lab, "mistakes", [run])
    outcomes = lab.registry.read_arrays(run, "outcomes.npz")
    matrix = confusion_matrix(outcomes["labels"], outcomes["predictions"][0], 10)
    mistakes = matrix[~np.eye(10, dtype=bool)]
    (chart,) = drawing.charts
    assert [row["n"] for row in chart.rows] == mistakes.tolist()
    assert all(row["t"] != row["p"] for row in chart.rows)
    assert f"{mistakes.sum()} wrong predictions" in drawing.caption
    shares = {row["n"]: row["share"] for row in chart.rows}
    assert shares[mistakes.max()] == DARKEST


def test_change_is_shown_of_one_image_on_both_sides(lab: Lab) -> None:
    undefended, defended = (
        lab.add_run(lab.add_classifier(purifier, model="lr"), method="non-targeted", eps=(0.3, 0.1), **changes)
        for purifier, changes in ((None, {}), (lab.add_autoencoder(), {"threat": "encoded"}))
    )
    drawing = draw(lab, "changes", [undefended, defended])[0]
    assert drawing.place == defended.id
    assert undefended.id in drawing.caption
    samples = lab.registry.read_arrays(defended, "samples.npz")
    # Behind the autoencoder the image is what the attack began from, brighter than 1, which widens their grey scale.
    images = np.stack([samples["x"][0], samples["start"][0]])
    shown = read_tiles(drawing, "image, or purified").reshape(2, -1)
    assert np.array_equal(shown, np.rint(images / max(1.0, float(images.max())) * 255).astype(np.uint8))
    assert list_labels(drawing) == ["after", "before", "perturbation"] * 2


def test_change_is_shown_once_for_each_threat(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder(), model="lr")
    runs = [
        lab.add_run(classifier, method="non-targeted", threat=threat, eps=(eps,), keep=(0.5,))
        for threat in ("adaptive", "oblivious")
        for eps in (0.1, 0.2)
    ]
    assert {drawing.place for drawing in draw(lab, "changes", runs)} == {runs[1].id, runs[3].id}


def test_images_before_and_after_fgsm_are_shown_with_their_difference(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(), method="fgsm", steps=None)
    drawing = draw(lab, "strips", [run])[0]
    assert drawing.strip is not None
    assert drawing.strip.corner == "true class"
    assert [row.title for row in drawing.strip.rows][:3] == ["input", "adversarial", "difference"]
    x_adv = lab.registry.read_arrays(run, "samples.npz")["x_adv"][1]
    shown = read_tiles(drawing, "adversarial")
    assert shown.reshape(len(x_adv), -1).tolist() == np.rint(x_adv * 255).astype(int).tolist()
    # On the page a row is one picture, in which the images lie side by side.
    (uri,) = re.findall(r'src="([^"]*)" alt="adversarial', write_strip(drawing.strip, ""))
    assert np.array_equal(decode_png(uri), np.concatenate(list(shown), axis=1))


def test_a_difference_is_white_blue_and_orange(lab: Lab) -> None:
    """The colours are of a palette, which others read back."""
    delta = np.array([[0.0, 0.5, -0.5, 0.25]], np.float32)
    image = decode_png(tile_differences(delta, ImageShape(2, 2, 1)).uri)
    colours = image.reshape(4, -1)[:, :3].tolist()
    half = [round(255 + (colour - 255) / 2) for colour in GAIN_COLOUR]
    assert colours == [[255, 255, 255], list(GAIN_COLOUR), list(LOSS_COLOUR), half]


def test_too_many_strips_are_cut_to_the_strongest_attack_and_one_for_each_threat(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advae.report.drawing.image_strip.MANY_RUNS", 5)
    classifier = lab.add_classifier(lab.add_autoencoder())
    methods, threats = ("bim", "fgsm", "pgd"), ("adaptive", "oblivious")
    runs = [lab.add_run(classifier, method=method, threat=threat) for method in methods for threat in threats]
    strongest = lab.add_run(classifier, method="mim", keep=(0.2, 0.1))
    drawings = draw(lab, "strips", [*runs, strongest])
    # That of the strongest attack belongs to the pipeline.
    assert {drawing.place for drawing in drawings} == {classifier.id, runs[3].id}
    (own,) = [drawing for drawing in drawings if drawing.place == classifier.id]
    assert strongest.id in own.caption
    few = draw(lab, "strips", runs[:4])
    assert {found for drawing in few for found in re.findall(r"run-\w+", drawing.caption)} == {
        run.id for run in runs[:4]
    }


# ---------------------------------------------------------------- autoencoders


def test_purified_images_are_shown_with_each_classifier_behind_the_autoencoder(lab: Lab) -> None:
    purifier, idle = (lab.add_autoencoder(views=make_views(), seed=seed) for seed in (0, 1))
    classifiers = [lab.add_classifier(purifier, model=model) for model in ("nn", "lr")]
    drawings = draw(lab, "purified", [lab.add_run(classifier) for classifier in classifiers], [idle])
    assert {drawing.place for drawing in drawings} == {TRAINING, *(classifier.id for classifier in classifiers)}
    (drawing,) = [drawing for drawing in drawings if drawing.place == TRAINING]
    assert idle.id in drawing.caption
    shown = read_tiles(drawing, "purified").reshape(len(make_views()["purified"]), -1)
    assert np.array_equal(shown, np.rint(make_views()["purified"] * 255).astype(np.uint8))


def test_generated_images_lie_where_their_codes_do(lab: Lab) -> None:
    views = make_views(plane=True, along=3)
    # Each image in a grey of its own: the first axis in steps of 60, the second in steps of 20.
    greys = np.repeat([i * 60 + j * 20 for i in range(3) for j in range(3)], SIDE**2).reshape(9, SIDE**2)
    views["generated"] = (greys / 255).astype(np.float32)
    runs = [lab.add_run(lab.add_classifier(lab.add_autoencoder("variational", views=views)))]
    scatter, generated = draw(lab, "planes", runs)
    assert count_points(scatter) == len(views["codes"])
    corners = read_tiles(generated, "generated")[0][SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]
    assert corners.tolist() == [[40, 100, 160], [20, 80, 140], [0, 60, 120]]


def test_a_plane_of_very_many_points_is_thinned(lab: Lab) -> None:
    views = make_views(plane=True)
    views |= {"codes": np.tile(views["codes"], (10, 1)), "code_labels": np.tile(views["code_labels"], 10)}
    runs = [lab.add_run(lab.add_classifier(lab.add_autoencoder("variational", views=views)))]
    assert count_points(draw(lab, "planes", runs)[0]) == 1500


def count_points(drawing: Drawing) -> int:
    """Return how many points a figure has; the words among them are none."""
    return sum(not row["t"] for chart in drawing.charts for row in chart.rows)


def add_activations(lab: Lab, **changes: Any) -> list[Manifest]:
    """Publish vanilla autoencoders with hidden tanh, with the paper's mix, with hidden relu, and of three kinds."""
    chosen = (("tanh",) * 3, ("relu", "relu", "exponential"), ("relu",) * 3, ("elu", "tanh", "relu"))
    return [lab.add_autoencoder(activations=(*hidden, "softplus"), **changes) for hidden in chosen]


def test_activations_are_compared_in_one_figure_and_one_table(lab: Lab) -> None:
    history = History(loss=(3.0, 0.1), validation_loss=(2.0, 0.25), seconds=1.0)
    tanh, paper, relu, mixed = add_activations(lab, history=history)
    others = [lab.add_autoencoder("sparse"), lab.add_autoencoder(seed=1)]
    runs = [lab.add_run(lab.add_classifier(paper))]
    (drawing,) = draw(lab, "activations", runs, [tanh, relu, mixed, *others])
    names = ["elu, tanh, relu", "relu", "tanh", "paper's mix: relu, relu, exponential"]
    assert list_labels(drawing) == names
    assert "output stays softplus" in drawing.caption
    findings = Findings(compare_runs(lab.registry, runs, [tanh, relu, mixed, *others]))
    grid = tabulate_activations(list_activation_records(findings))
    assert [row[1] for row in grid.rows] == names
    assert [row[-1] for row in grid.rows] == [mixed.id, relu.id, tanh.id, paper.id]
    assert [read_value(cell) for cell in grid.rows[0][2:5]] == [0.1, 0.25, 0.01]


def test_one_choice_of_activations_is_no_comparison(lab: Lab) -> None:
    runs = [lab.add_run(lab.add_classifier(lab.add_autoencoder()))]
    assert draw(lab, "activations", runs) == []
    assert list_activation_records(Findings(compare_runs(lab.registry, runs))) == []


@pytest.mark.parametrize("seed", [0, 1])
def test_kinds_are_in_one_figure_whose_caption_names_what_cannot_be_compared(lab: Lab, seed: int) -> None:
    kinds = [lab.add_autoencoder(kind, seed=seed) for kind in ("vanilla", "sparse")]
    other = lab.add_autoencoder("denoising", seed=2)
    (drawing,) = draw(lab, "kinds", [lab.add_run(lab.add_classifier(other))], kinds)
    assert all(entry.id in drawing.caption for entry in kinds)
    assert other.id not in drawing.caption
    assert "Only lines of the same loss can be compared" in drawing.caption
