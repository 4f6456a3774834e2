"""What a figure is to the page, and to a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advae.report.drawing.charts import Chart
    from advae.report.drawing.strips import Strip

TRAINING = "training"
"""The place of figures that belong to a training, which several pipelines may share."""

SURFACE_GRIDS = "surfaces"
"""The place of figures of decision surfaces, which show several pipelines."""

RETRAINING = "retraining"
"""The place of figures of retrained classifiers, beside the table of their rounds."""


CODES = "codes"
"""The place of figures of attacks on codes."""


@dataclass(frozen=True)
class Drawing:
    """A figure: charts, a strip of images above them, or a table."""

    place: str
    """Id of the run or of the pipeline's classifier that it belongs to, or one of the places above."""
    label: str
    """Text that a screen reader reads for it; its file is named after it."""
    caption: str
    """Text below it."""
    charts: tuple[Chart, ...] = ()
    """Its charts."""
    strip: Strip | None = None
    """Its images; None for none."""
    markup: str = ""
    """HTML of a table that is a figure, safe to inline; empty for none."""
