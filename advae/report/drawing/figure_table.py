"""The table FIGURES: a new figure is a function and a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.drawing.accuracy import draw_accuracy, draw_details, draw_targeted
from advae.report.drawing.figure import Drawing
from advae.report.drawing.image_strip import draw_strips
from advae.report.drawing.latent_plane import draw_planes
from advae.report.drawing.mistakes import draw_mistakes
from advae.report.drawing.pixel_changes import draw_changes
from advae.report.drawing.purified import draw_purified
from advae.report.drawing.retraining_curves import draw_retraining
from advae.report.drawing.smoothed import draw_smoothed
from advae.report.drawing.steered import draw_steered
from advae.report.drawing.surface_planes import draw_surfaces
from advae.report.drawing.targets import draw_targets
from advae.report.drawing.training_curves import draw_activations, draw_kinds, draw_losses, draw_progress


@dataclass(frozen=True)
class Figure:
    """A row of FIGURES."""

    draw: Callable[[Comparison], Iterator[Drawing]]
    """Comparison -> the drawings."""
    summary: str
    """What it shows, for the documentation."""


FIGURES: dict[str, Figure] = {
    "strips": Figure(draw_strips, "images before and after an attack, and the difference"),
    "accuracy": Figure(draw_accuracy, "accuracy against eps, defended and undefended"),
    "smoothed": Figure(draw_smoothed, "certified accuracy against radius, of smoothed pipelines"),
    "surfaces": Figure(draw_surfaces, "decision surfaces of pipelines side by side, a class each"),
    "steered": Figure(draw_steered, "distortion-distortion curves of attacks on codes, and their images"),
    "targeted": Figure(draw_targeted, "accuracy against eps, targeted attacks together"),
    "details": Figure(draw_details, "defended accuracy, on a scale of its own"),
    "targets": Figure(draw_targets, "classes that targeted attacks aim at"),
    "activations": Figure(draw_activations, "loss by epoch, different activations together"),
    "kinds": Figure(draw_kinds, "loss by epoch, kinds of autoencoder together"),
    "losses": Figure(draw_losses, "loss by epoch, training and validation"),
    "progress": Figure(draw_progress, "clean and robust accuracy by epoch of autoencoders trained against attacks"),
    "retraining": Figure(draw_retraining, "adversarial examples and accuracies by round of retrained classifiers"),
    "purified": Figure(draw_purified, "images and what the purifier makes of them"),
    "planes": Figure(draw_planes, "the latent plane, and the images generated from it"),
    "changes": Figure(draw_changes, "values of one image before and after an attack"),
    "mistakes": Figure(draw_mistakes, "heat map of actual against mispredicted classes"),
}


def draw_figures(comparison: Comparison) -> dict[str, list[Drawing]]:
    """Return every figure, in the order of FIGURES, by the place on the page that it belongs to."""
    drawings = (drawing for figure in FIGURES.values() for drawing in figure.draw(comparison))
    return group_by(drawings, lambda drawing: drawing.place)
