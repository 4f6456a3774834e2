"""The strip of images of a run: input, adversarial, difference, and what the classifier saw; crisp pixels."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.report.drawing import Drawing
from advae.report.rows import Comparison
from advae.report.runs import Run
from advae.report.templates import render_template
from advae.report.wording import describe_run, format_eps, show_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Images = NDArray[np.float32]

MANY_RUNS = 20
"""From this many runs on, each shows its strip at one eps only, to keep the page small."""

LOSS_COLOUR = (0, 114, 178)
GAIN_COLOUR = (213, 94, 0)


@dataclass(frozen=True)
class StripRow:
    """One row of images. uris: a PNG data URI for each sample; scale: the values that black and white stand for."""

    title: str
    scale: str
    uris: tuple[str, ...]


def draw_strips(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the strips of each run: at its largest eps and, where runs are few, at its smallest."""
    for run in comparison.runs:
        if not len(run.samples["ids"]):
            continue
        order = sorted(range(len(run.recipe.eps)), key=lambda index: run.recipe.eps[index])
        few = len(order) > 1 and len(comparison.runs) < MANY_RUNS
        for index in (order[-1], order[0]) if few else order[-1:]:
            yield _draw_strip(run, index)


def _draw_strip(run: Run, index: int) -> Drawing:
    names = [show_name(name) for name in run.recipe.dataset.classes]
    samples = run.samples
    clean = dict(zip(run.outcomes["sample_ids"].tolist(), run.outcomes["clean_predictions"].tolist(), strict=True))
    predicted = samples["predictions"][index].tolist()
    truth = [names[label] for label in samples["labels"].tolist()]
    verdicts = {
        "predicted, clean": _judge(names, samples["labels"], [clean.get(id_) for id_ in samples["ids"].tolist()]),
        "predicted, attacked": _judge(names, samples["labels"], predicted),
    }
    eps = format_eps(run.recipe.eps[index])
    label = f"Test images before and after the attack at eps {eps}, with true and predicted classes"
    rows = _build_rows(run, index)
    markup = render_template("strip.html.j2", rows=rows, truth=truth, verdicts=verdicts, label=label)
    caption = f"First test image of each class at eps {eps}. {describe_run(run)}. A cross marks a wrong prediction."
    return Drawing(run.id, markup, label, caption)


def _judge(names: Sequence[str], labels: Any, predictions: Sequence[int | None]) -> list[tuple[str, bool]]:
    """Return each predicted class's name, and whether it is the true one."""
    pairs = zip(labels.tolist(), predictions, strict=True)
    return [("not stored", True) if got is None else (names[got], got == label) for label, got in pairs]


def _build_rows(run: Run, index: int) -> list[StripRow]:
    import numpy as np

    samples, side = run.samples, run.recipe.dataset.side
    x, start, x_adv, seen = samples["x"], samples["start"], samples["x_adv"][index], samples["seen"][index]
    rows = [_build_grey_row("input", x, side)]
    if not np.array_equal(x, start):
        rows.append(_build_grey_row("purified: attack starts here", start, side))
    rows += [_build_grey_row("adversarial", x_adv, side), _build_difference_row(x_adv - start, side)]
    title = "seen by the classifier" + ("" if not np.array_equal(seen, x_adv) else " (the same)")
    return [*rows, _build_grey_row(title, seen, side)]


def _build_grey_row(title: str, images: Images, side: int) -> StripRow:
    """Return images on one grey scale: 0 to 1, widened where the values leave it. images: float32 (m, side * side)."""
    import numpy as np

    low, high = min(0.0, float(images.min())), max(1.0, float(images.max()))
    grey = np.rint((images - low) / (high - low) * 255).astype(np.uint8).reshape(-1, side, side)
    scale = "" if (low, high) == (0.0, 1.0) else f"black {low:.3g}, white {high:.3g}"
    return StripRow(title, scale, tuple(encode_png_uri(image) for image in grey))


def _build_difference_row(delta: Images, side: int) -> StripRow:
    """Return differences as colours: white for none, orange for brighter, blue for darker."""
    import numpy as np

    reach = max(float(np.abs(delta).max()), 1e-12)
    share = (delta / reach).reshape(-1, side, side, 1)
    colours = np.where(share > 0, np.array(GAIN_COLOUR), np.array(LOSS_COLOUR))
    pixels = np.rint(255 + np.abs(share) * (colours - 255)).astype(np.uint8)
    scale = f"blue \N{MINUS SIGN}{reach:.3g}, white 0, orange +{reach:.3g}"
    return StripRow("difference", scale, tuple(encode_png_uri(image) for image in pixels))


def encode_png_uri(pixels: Pixels) -> str:
    """Return an image as a PNG data URI. pixels: uint8 (h, w) for grey or (h, w, 3) for colour."""
    height, width = pixels.shape[:2]
    # Each line begins with its filter; 0 is none. https://www.w3.org/TR/png-3/
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_frame_chunk(name, content) for name, content in chunks)
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _frame_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
