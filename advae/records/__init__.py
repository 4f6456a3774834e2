"""Typed records that are stored or passed between modules: datasets, recipes, results and manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.identity import SAMPLES
from advae.records.base import LARGEST, MAX_CLASSES, Names, Reals, Record, Scalar
from advae.records.budgets import SMALLEST, find_eps, key_eps, place_eps, unite_eps, vanishes
from advae.records.datasets import MAX_SIDE, Dataset, DatasetRef, ImageRanges, ImageShape, Side
from advae.records.manifests import ADVERSARIAL, OUTCOMES, PROVED, Artifact, DatasetKey, Manifest
from advae.records.recipes import (
    MAX_LAYER,
    NOISE_OPTIONS,
    Activations,
    AddedOptions,
    AutoencoderRecipe,
    CertificateRecipe,
    ClassifierRecipe,
    ConvolutionOptions,
    Count,
    LayerSize,
    LogisticOptions,
    NetworkOptions,
    PerceptronOptions,
    PositiveReal,
    Recipe,
    Rescale,
    RunRecipe,
    Seed,
    entry_id,
)
from advae.records.results import (
    AutoencoderMetrics,
    CertificateMetrics,
    CertifiedEps,
    CheckResult,
    ClassifierMetrics,
    EpsResult,
    History,
    MemberResult,
    Metrics,
    RunMetrics,
    Status,
)
from advae.run_options import Norm

if TYPE_CHECKING:
    from advae.records.datasets import FloatArray, IntArray

__all__ = [
    "ADVERSARIAL",
    "LARGEST",
    "MAX_CLASSES",
    "MAX_LAYER",
    "MAX_SIDE",
    "NOISE_OPTIONS",
    "OUTCOMES",
    "PROVED",
    "SAMPLES",
    "SMALLEST",
    "Activations",
    "AddedOptions",
    "Artifact",
    "AutoencoderMetrics",
    "AutoencoderRecipe",
    "CertificateMetrics",
    "CertificateRecipe",
    "CertifiedEps",
    "CheckResult",
    "ClassifierMetrics",
    "ClassifierRecipe",
    "ConvolutionOptions",
    "Count",
    "Dataset",
    "DatasetKey",
    "DatasetRef",
    "EpsResult",
    "FloatArray",
    "History",
    "ImageRanges",
    "ImageShape",
    "IntArray",
    "LayerSize",
    "LogisticOptions",
    "Manifest",
    "MemberResult",
    "Metrics",
    "Names",
    "NetworkOptions",
    "Norm",
    "PerceptronOptions",
    "PositiveReal",
    "Reals",
    "Recipe",
    "Record",
    "Rescale",
    "RunMetrics",
    "RunRecipe",
    "Scalar",
    "Seed",
    "Side",
    "Status",
    "entry_id",
    "find_eps",
    "key_eps",
    "place_eps",
    "unite_eps",
    "vanishes",
]
