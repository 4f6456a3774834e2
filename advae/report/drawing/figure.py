"""What a figure is to the page."""

from __future__ import annotations

from dataclasses import dataclass

TRAINING = "training"
"""The place of figures that belong to a training, which several pipelines may share."""


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    place: id of the run or of the pipeline's classifier that it belongs to, or TRAINING. markup: SVG or
    HTML, safe to inline; an SVG is one image to a screen reader, read as ``label``.
    """

    place: str
    markup: str
    label: str
    caption: str

    @property
    def is_svg(self) -> bool:
        return self.markup.startswith("<svg")
