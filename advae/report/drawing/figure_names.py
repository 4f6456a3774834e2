"""Names of figures in files: what they show, in letters that every file system has."""

from __future__ import annotations

import re

from advae.report.drawing.figure import Drawing

LONGEST_NAME = 110
"""Letters of a name without its ending."""


def name_slug(text: str) -> str:
    """Return a text in lower-case letters, digits and single dashes; ``figure`` where it has none of them."""
    slug = re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("×", "x")).strip("-.")[:LONGEST_NAME].strip("-.")
    return re.sub(r"\.\.+", ".", slug) or "figure"


def name_figure(drawing: Drawing) -> str:
    """Return the name of a figure: what it shows, and the run or pipeline that it belongs to."""
    place = "" if drawing.place in drawing.label else f"-{name_slug(drawing.place)}"
    return f"{name_slug(drawing.label)[: LONGEST_NAME - len(place)].strip('-.')}{place}"
