"""Strips of images: one row for what each is, one column for each image, as HTML and as one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advae.errors import printable
from advae.report.drawing.pixels import Tiles, encode_png
from advae.report.drawing.templates import render_template

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

CELL, GAP, MARGIN, LINE = 96, 4, 190, 22
"""Of a strip as a PNG in pixels: side of an image, gap, width of the titles, height of a line of words."""

LONGEST_TITLE, SHORT = 28, 11
"""Letters of a title, and of the name of a column, that a strip as a PNG has room for."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Images in rows and columns."""

    corner: str
    """Title of the line of the columns' names."""
    names: Sequence[str]
    """Name of each column."""
    rows: Sequence[Tiles]
    """Rows of images, one for each column."""
    words: Mapping[str, Sequence[tuple[str, bool]]] = field(default_factory=dict)
    """Title of a line of words below the images -> each column's word, and whether it is right."""


def write_strip(strip: Strip, label: str) -> str:
    """Return a strip as HTML. label: what a screen reader reads for it."""
    return render_template("strip.html.j2", strip=strip, label=label)


def paint_strip(strip: Strip) -> bytes:
    """Return a strip as one PNG, for papers: the rows with their titles, and the lines of words."""
    from PIL import Image, ImageDraw

    width = MARGIN + len(strip.names) * (CELL + GAP)
    height = LINE + len(strip.rows) * (CELL + GAP) + len(strip.words) * LINE
    whole = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(whole)
    _write_line(draw, 0, strip.corner, [(name, True) for name in strip.names])
    for place, row in enumerate(strip.rows):
        top = LINE + place * (CELL + GAP)
        _write(draw, (GAP, top + CELL // 2 - 8), row.title)
        _write(draw, (GAP, top + CELL // 2 + 8), row.scale, size=11)
        for column, image in enumerate(row.open_images()):
            scaled = image.resize((CELL, CELL), Image.Resampling.NEAREST)
            whole.paste(scaled, (MARGIN + column * (CELL + GAP), top))
    for place, (title, words) in enumerate(strip.words.items()):
        _write_line(draw, LINE + len(strip.rows) * (CELL + GAP) + place * LINE, title, words)
    return encode_png(whole)


def _write_line(draw: ImageDraw, top: int, title: str, words: Sequence[tuple[str, bool]]) -> None:
    _write(draw, (GAP, top + 3), title)
    for column, (word, right) in enumerate(words):
        shown = word if right else f"{word} x"
        size = 13 if len(shown) <= SHORT else 10
        place = MARGIN + column * (CELL + GAP), top + 3
        _write(draw, place, shown[: 2 * SHORT], size=size, colour="black" if right else "#9a3d00")


def _write(draw: ImageDraw, place: tuple[int, int], text: str, *, size: int = 13, colour: str = "black") -> None:
    from PIL import ImageFont

    # The font that comes with Pillow has no such sign.
    shown = printable(text).replace("\N{MINUS SIGN}", "-")[:LONGEST_TITLE]
    draw.text(place, shown, fill=colour, font=ImageFont.load_default(size))
