"""Names of purifiers and pipelines in words, for plans, progress and reports."""

from __future__ import annotations

from advae.records.recipes import AutoencoderRecipe, ClassifierRecipe


def name_purifier(purifier: AutoencoderRecipe, *, raw: bool, protects: str | None = None) -> str:
    """Return the name of a purifier: its kind and what distinguishes it from others, such as ``vanilla, raw output``.

    raw: whether its output may be outside [0, 1]; protects: the classifier that it was trained in front of, None
    without one.
    """
    baseline = ", a baseline" if purifier.is_baseline else ""
    baseline += _name_stages(purifier)
    # The kind certified can be trained without layers before the classifier, to see what they bring.
    baseline += ", no purifier" if purifier.options.get("body") == "none" else ""
    return f"{purifier.type}{baseline}{f', for {protects}' if protects else ''}{', raw output' if raw else ''}"


def name_retraining(classifier: ClassifierRecipe) -> str:
    """Return what a classifier was retrained on, ``retrained on bim at 0.1``; empty for one that was not."""
    how = classifier.retrained
    return f"retrained on {how.method} at {how.eps:.4g}" if how else ""


def _name_stages(purifier: AutoencoderRecipe) -> str:
    """Return what distinguishes cascades: the autoencoder that it is alone, and the size of its code."""
    stages = purifier.options.get("stages")
    if stages is None or purifier.network is None:
        return ""
    alone = {"denoise": ", denoiser alone", "reduce": ", reduction alone"}.get(str(stages), "")
    return alone if stages == "denoise" else f"{alone}, code {purifier.network.code}"


def name_defence(
    classifier: ClassifierRecipe,
    purifier: AutoencoderRecipe | None,
    *,
    baseline: bool,
    raw: bool = False,
    protects: str | None = None,
) -> str:
    """Return the name of a pipeline, without dataset and seeds: ``nn behind autoencoder (vanilla)``, ``nn undefended``.

    A classifier that was retrained is not undefended: ``nn, retrained on bim at 0.1, without purifier``.

    purifier: None for an undefended classifier. baseline: whether the purifier's type is one of BASELINES, also where
    the recipe has a network. raw, protects: as for ``name_purifier``.
    """
    # A classifier that was trained elsewhere and put behind the purifier, not the one trained together with it.
    moved = ", not retrained," if classifier.origin not in (None, classifier.autoencoder) else ""
    if classifier.retrained:
        moved = f", {name_retraining(classifier)}{' before' if moved else ''},"
    if purifier is None and classifier.retrained:
        return f"{classifier.model}{moved} without purifier"
    if purifier is None:
        return f"{classifier.model}{moved} undefended"
    if classifier.code is not None:
        return f"{classifier.model}{moved} on the code of {name_purifier(purifier, raw=False, protects=protects)}"
    if baseline:
        return f"{classifier.model}{moved} behind baseline ({purifier.type})"
    return f"{classifier.model}{moved} behind autoencoder ({name_purifier(purifier, raw=raw, protects=protects)})"
