"""Vega: its script for the page, and charts as SVG, PDF and PNG, without a browser and without a network."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from advae.atomic_files import make_folder, write_aside
from advae.errors import DiskError
from advae.report.drawing.chart_specs import CONFIG, DATA, HeatSpec
from advae.report.drawing.charts import Chart, list_points, measure_room
from advae.report.drawing.palette import resolve_colours

FigureFormat = Literal["svg", "pdf", "png"]

MARGINS = {"left": 58, "top": 26, "right": 16, "bottom": 44}
"""Pixels around the axes of a chart."""

HEAT_MARGINS = {"left": 120, "top": 110, "right": 16, "bottom": 12}
"""Pixels around a chart of cells, whose columns are named above it."""

WIDTH = 460
"""Width of a chart in a file within its axes, in pixels."""

SCALE = 2.0
"""Pixels of a PNG for each pixel of a chart."""

KEPT_TAGS = {"svg", "g", "path", "text", "tspan", "line", "rect"}
KEPT_ATTRIBUTES = {
    *(
        "viewBox",
        "width",
        "height",
        "d",
        "transform",
        "x",
        "y",
        "dx",
        "dy",
        "x1",
        "x2",
        "y1",
        "y2",
        "fill",
        "stroke",
        "opacity",
    ),
    *("stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "fill-opacity", "stroke-opacity"),
    *("text-anchor", "font-family", "font-size", "font-weight", "font-style"),
}
"""All that stays of a chart as SVG: shapes and words; nothing that has a name, links or runs."""

MEASURES = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2"}
"""Attributes whose numbers are pixels, of which tenths are enough."""

NAMESPACE = "{http://www.w3.org/2000/svg}"
LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")


@dataclass(frozen=True)
class Library:
    """The script that draws charts in a browser."""

    packed: bytes
    """The script, gzip, UTF-8."""
    version: str
    """Name and version, for people."""

    @property
    def script(self) -> str:
        return gzip.decompress(self.packed).decode()


def load_library() -> Library:
    """Return Vega, Vega-Lite and Vega-Embed as one script that defines ``vegaEmbed``, from vl-convert.

    Bundling takes seconds, so the result is kept in the user's folder of caches, one for each version; where that
    folder cannot be written or read, the script is bundled again.
    """
    import vl_convert
    from platformdirs import user_cache_path

    newest = vl_convert.get_vegalite_versions()[-1]
    name = f"Vega {vl_convert.get_vega_version()}, Vega-Lite {newest}"
    path = user_cache_path("advae", appauthor=False) / f"vega-{version('vl-convert-python')}-1.js.gz"
    return Library(_read_packed(path) or _bundle(path), name)


def _read_packed(path: Path) -> bytes | None:
    """Return the packed script from a file; None where there is none, or one that is damaged."""
    with suppress(OSError, EOFError, ValueError):
        packed = path.read_bytes()
        if b"vegaEmbed" in gzip.decompress(packed):
            return packed
    return None


def _bundle(path: Path) -> bytes:
    import vl_convert

    # In a function, none of its names becomes one of the page.
    # The package's own description of the function has its one argument as required, which it is not.
    bundle: Callable[[], str] = vl_convert.javascript_bundle  # type: ignore[assignment]
    script = f"(()=>{{{bundle()}\n}})()"
    packed = gzip.compress(script.encode(), 9, mtime=0)
    with suppress(DiskError, OSError):
        make_folder(path.parent)
        with write_aside(path) as draft:
            draft.write_bytes(packed)
    return packed


# ---------------------------------------------------------------- charts without a browser


def list_margins(chart: Chart) -> dict[str, int]:
    """Return the pixels around a chart's axes."""
    if isinstance(chart.spec, HeatSpec):
        return HEAT_MARGINS
    return MARGINS | ({"right": measure_room(chart)} if chart.lines else {})


def draw_svg(chart: Chart, *, width: int = WIDTH) -> str:
    """Return a chart as SVG, in the page's colours by their names. width: of the axes, in pixels."""
    spec = chart.spec.build() | {
        "config": CONFIG,
        "datasets": {DATA: list_points(chart)},
        "height": chart.height,
        "padding": list_margins(chart),
        "width": chart.height if chart.square else width,
    }
    return render_spec(spec | ({"title": chart.title} if chart.title else {}))


def render_spec(spec: dict[str, Any]) -> str:
    """Return a complete Vega-Lite specification as SVG that has nothing but shapes and words."""
    import vl_convert

    return _clean(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))


def convert(svg: str, kind: FigureFormat) -> bytes:
    """Return an SVG as a file of a kind, in colours for white paper."""
    import vl_convert

    plain = resolve_colours(svg)
    if kind == "pdf":
        return vl_convert.svg_to_pdf(plain)
    if kind == "png":
        head, end, body = plain.partition(">")
        return vl_convert.svg_to_png(f'{head}{end}<rect width="100%" height="100%" fill="#fff"/>{body}', scale=SCALE)
    return plain.encode()


def _clean(svg: str) -> str:
    """Return an SVG with the tags and attributes of KEPT alone, and numbers of one decimal."""
    ElementTree.register_namespace("", NAMESPACE[1:-1])
    root = ElementTree.fromstring(svg)
    _keep(root)
    for name in ("width", "height"):
        root.attrib.setdefault(name, "100")
    return ElementTree.tostring(root, encoding="unicode")


def _keep(node: ElementTree.Element) -> None:
    for child in list(node):
        if child.tag.removeprefix(NAMESPACE) not in KEPT_TAGS or child.get("display") == "none":
            node.remove(child)
        else:
            _keep(child)
            if not len(child) and not (child.text or "").strip() and _is_empty(child):
                node.remove(child)
    shown = {
        name: _shorten(value) if name in MEASURES else value
        for name, value in node.attrib.items()
        if name in KEPT_ATTRIBUTES
    }
    drop = {("opacity", "1"), ("fill-opacity", "1"), ("stroke-opacity", "1"), ("font-weight", "normal")}
    node.attrib.clear()
    node.attrib.update({name: value for name, value in shown.items() if (name, value) not in drop})


def _is_empty(node: ElementTree.Element) -> bool:
    """Whether a node without children draws nothing: a group, an empty path, an invisible shape."""
    name = node.tag.removeprefix(NAMESPACE)
    return name == "g" or (name == "path" and not node.get("d")) or node.get("opacity") == "0"


@cache
def _shorten(value: str) -> str:
    return LONG_NUMBER.sub(lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), value)
