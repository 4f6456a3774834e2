"""What a figure is to the page."""

from __future__ import annotations

from dataclasses import dataclass

TRAINING = "training"
"""The place of figures that belong to a training, which several pipelines may share."""


@dataclass(frozen=True)
class Drawing:
    """A finished figure."""

    place: str
    """Id of the run or of the pipeline's classifier that it belongs to, or TRAINING."""
    markup: str
    """SVG or HTML, safe to inline."""
    label: str
    """Text that a screen reader reads for it."""
    caption: str
    """Text below it."""

    @property
    def is_svg(self) -> bool:
        return self.markup.startswith("<svg")
