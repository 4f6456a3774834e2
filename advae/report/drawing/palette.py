"""Colours of the charts: names that the page's style sheet defines, once for light and once for dark screens."""

from __future__ import annotations

import re
from enum import StrEnum


class Colour(StrEnum):
    """The palette of Okabe and Ito 2008, which colour-blind readers can distinguish, and some more.

    The order is that of the colours of classes.
    """

    BLUE = "var(--blue)"
    ORANGE = "var(--orange)"
    GREEN = "var(--green)"
    VERMILLION = "var(--vermillion)"
    SKY = "var(--sky)"
    PURPLE = "var(--purple)"
    INK = "var(--ink)"
    YELLOW = "var(--yellow)"
    GREY = "var(--grey)"
    WINE = "var(--wine)"
    GRID = "var(--grid)"
    PAPER = "var(--paper)"


CLASS_COLOURS = tuple(Colour)[:10]
"""Colours of classes and of curves; the last two are for what lies behind them."""

LIGHT: dict[Colour, str] = {
    Colour.BLUE: "#0072B2",
    Colour.ORANGE: "#996100",
    Colour.GREEN: "#00835F",
    Colour.VERMILLION: "#BF4D00",
    Colour.SKY: "#2478AD",
    Colour.PURPLE: "#B0558A",
    Colour.INK: "#1a1d21",
    Colour.YELLOW: "#7A7100",
    Colour.GREY: "#666666",
    Colour.WINE: "#882255",
    Colour.GRID: "#dfe3e8",
    Colour.PAPER: "#ffffff",
}
"""Colours on white: the palette, darker where its text would be hard to read. Files have these."""

DARK: dict[Colour, str] = {
    Colour.BLUE: "#4FB0E6",
    Colour.ORANGE: "#E69F00",
    Colour.GREEN: "#2EC79B",
    Colour.VERMILLION: "#FF8A3D",
    Colour.SKY: "#8CCBF2",
    Colour.PURPLE: "#E39CC4",
    Colour.INK: "#e8eaed",
    Colour.YELLOW: "#F0E442",
    Colour.GREY: "#a5adb5",
    Colour.WINE: "#E07AA8",
    Colour.GRID: "#343b43",
    Colour.PAPER: "#1e2227",
}
"""Colours on a dark screen."""

_VARIABLES = re.compile("|".join(re.escape(colour) for colour in Colour))


def resolve_colours(svg: str) -> str:
    """Return an SVG with the colours on white in place of their names, for programs that know no style sheet."""
    return _VARIABLES.sub(lambda match: LIGHT[Colour(match[0])], svg)


def define_colours(colours: dict[Colour, str]) -> str:
    """Return the definitions of a style sheet, ``--blue: #0072B2; ...``."""
    return " ".join(f"{name[4:-1]}: {value};" for name, value in colours.items())


class Dashes(StrEnum):
    """Dashes of a line, as SVG writes them."""

    SOLID = ""
    DASHED = "7 4"
    DOTTED = "2 3"
    MIXED = "8 3 2 3"
    LONG = "10 4"
