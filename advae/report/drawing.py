"""What a figure is to the page, and how matplotlib's SVG becomes safe to inline beside others."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
"""The palette of Okabe and Ito 2008, which colour-blind readers can tell apart."""

GREY = "#666666"

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.usetex": False,
    # Names come from users' files: "$x" must stay what it is instead of becoming broken mathematics.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 3,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


TRAINING = "training"
"""The place of figures that belong to a training, which several pipelines may share."""


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    place: id of the run or of the pipeline's classifier that it belongs to, or TRAINING. markup: SVG or HTML, safe to
    inline; an SVG is one image to a screen reader, read as ``label``.
    """

    place: str
    markup: str
    label: str
    caption: str

    @property
    def is_svg(self) -> bool:
        return self.markup.startswith("<svg")


@contextmanager
def styled() -> Iterator[None]:
    """Draw in our style whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def create_axes(width: float = 4.2, height: float = 3.2) -> tuple[Figure, Axes]:
    """Return a figure of its own, outside pyplot's global state, with one axes. width, height: inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def render_svg(figure: Figure, key: str) -> str:
    """Return a figure as an SVG element that is equal for equal figures and clashes with no other on the page.

    key: sets the ids of this figure apart from those of all others.
    """
    import matplotlib

    prefix = f"f{hashlib.sha256(key.encode()).hexdigest()[:8]}-"
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": key}):
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg).replace("url(#", f"url(#{prefix}")
    # Fixed sizes in pt would overflow a phone; the viewBox alone lets the page decide. The wrapper has the label.
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true" focusable="false">', svg, count=1)
