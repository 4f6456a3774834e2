"""Test images beside what an autoencoder makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from advae.report.data.contents import Comparison
from advae.report.data.trained import Network, name_trained_purifier
from advae.report.drawing.figure import TRAINING, Drawing
from advae.report.drawing.pixels import tile_differences, tile_images
from advae.report.drawing.strips import Strip
from advae.report.wording import mark_imported

if TYPE_CHECKING:
    from advae.report.data.entry_arrays import Arrays


def draw_purified(comparison: Comparison) -> Iterator[Drawing]:
    """Yield images, what the autoencoder makes of them, and the difference, for each that stored some."""
    for network in comparison.networks:
        if network.views is not None and len(network.views["x"]):
            strip, label, caption = _draw_network(network, network.views)
            for place in list_places(comparison, network):
                yield Drawing(place, label, caption, strip=strip)


def list_places(comparison: Comparison, network: Network) -> list[str]:
    """Return the classifiers of the pipelines behind an autoencoder, TRAINING where there is none."""
    purified = (pipeline for pipeline in comparison.pipelines if pipeline.first.autoencoder)
    behind = [
        pipeline.id
        for pipeline in purified
        if pipeline.first.autoencoder and pipeline.first.autoencoder.id == network.id
    ]
    return behind or [TRAINING]


def describe_purifier(network: Network) -> str:
    """Return a caption's sentence: which autoencoder, of which dataset and seed, and the id to find it by."""
    recipe = network.manifest.recipe
    baseline = network.purifier is not None and network.purifier.is_baseline
    what = f"{'baseline' if baseline else 'autoencoder'} ({name_trained_purifier(network)}) of {network.dataset}"
    mark = mark_imported(network.manifest.imported)
    return f"{what}, seed {recipe.seed}, {network.id}{mark}; no attack"


def _draw_network(network: Network, views: Arrays) -> tuple[Strip, str, str]:
    """Return strip, label and caption."""
    dataset = network.manifest.recipe.dataset
    x, purified = views["x"], views["purified"]
    rows = [
        tile_images("input", x, dataset.shape),
        tile_images("purified", purified, dataset.shape),
        tile_differences(purified - x, dataset.shape),
    ]
    truth = [dataset.classes[label] for label in views["labels"].tolist()]
    label = f"Test images and what the purifier makes of them, {network.id}"
    return (
        Strip("true class", truth, rows),
        label,
        f"The first {len(x)} test images, and their output: {describe_purifier(network)}.",
    )
