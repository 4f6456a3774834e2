"""What the page holds inside itself: data as JSON, parts that are built when they are opened, and the chart library."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advae.report.drawing.chart_specs import CONFIG
from advae.report.drawing.charts import Chart, list_data
from advae.report.drawing.palette import LIGHT
from advae.report.drawing.vega import MARGINS, list_margins

if TYPE_CHECKING:
    from markupsafe import Markup

    from advae.report.drawing.chart_specs import Spec

UNSAFE_CHARACTERS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that could end a script element or a line of one, and how JSON writes them."""


def write_json(value: Any) -> Markup:
    """Return a value as JSON that can stand in a script element of a page, whatever its texts are."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup("".join(UNSAFE_CHARACTERS.get(character, character) for character in text))


def pack(content: bytes | str) -> Markup:
    """Return a part of the page, or a script, as letters that are no markup: gzip in base64."""
    from markupsafe import Markup

    packed = content if isinstance(content, bytes) else gzip.compress(content.encode(), 9, mtime=0)
    return Markup(base64.b64encode(packed).decode())


def digest_script(script: str) -> str:
    """Return the source expression by which a content security policy allows a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@dataclass
class ChartSheet:
    """The charts of a page: each specification once, however many charts it draws."""

    keys: dict[Spec, str] = field(default_factory=dict)
    """Specification -> its key on the page."""

    def key_of(self, spec: Spec) -> str:
        """Return the key of a specification on the page."""
        return self.keys.setdefault(spec, f"s{len(self.keys)}")

    def write(self, chart: Chart) -> Markup:
        """Return a chart as JSON: the key of its specification, its data and its size."""
        facts = {"spec": self.key_of(chart.spec), "height": chart.height, "margins": list_margins(chart)}
        return write_json(facts | {"square": int(chart.square)} | list_data(chart))

    def describe_size(self, height: int) -> dict[str, Any]:
        """Return the size of a chart of lines, as ``write`` does. height: within the axes, in pixels."""
        return {"height": height, "margins": MARGINS, "square": 0}

    def write_specs(self) -> Markup:
        """Return what all charts of the page share, as JSON: the specifications, their look, the colours of files."""
        specs = {key: spec.build() for spec, key in self.keys.items()}
        colours = {str(name): value for name, value in LIGHT.items()}
        return write_json({"specs": specs, "config": CONFIG, "colours": colours})
