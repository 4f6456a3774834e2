"""Names of purifiers and pipelines in words, for plans, progress and reports."""

from __future__ import annotations

from advae.records.recipes import AutoencoderRecipe, ClassifierRecipe


def name_purifier(purifier: AutoencoderRecipe, *, raw: bool, protects: str | None = None) -> str:
    """Return a purifier's kind, that it is a baseline, what it protects and that its output is raw: ``vanilla, raw
    output``.

    raw: whether its output leaves [0, 1]; protects: the classifier that it was trained in front of, None without one.
    """
    baseline = ", a baseline" if purifier.is_baseline else ""
    return f"{purifier.type}{baseline}{f', for {protects}' if protects else ''}{', raw output' if raw else ''}"


def name_defence(
    classifier: ClassifierRecipe,
    purifier: AutoencoderRecipe | None,
    *,
    baseline: bool,
    raw: bool = False,
    protects: str | None = None,
) -> str:
    """Return a pipeline in words, without dataset and seeds: ``nn behind autoencoder (vanilla)``.

    purifier: None for an undefended classifier. baseline: whether its type is one of BASELINES, whatever else its
    recipe says. raw, protects: as for ``name_purifier``.
    """
    # A classifier put behind the purifier as it is; one that was trained along is the purifier's own.
    moved = ", not retrained," if classifier.origin not in (None, classifier.autoencoder) else ""
    if purifier is None:
        return f"{classifier.model}{moved} without autoencoder"
    if baseline:
        return f"{classifier.model}{moved} behind baseline ({purifier.type})"
    return f"{classifier.model}{moved} behind autoencoder ({name_purifier(purifier, raw=raw, protects=protects)})"
