"""Typed records that are stored or passed between modules: datasets, recipes, results and manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.identity import SAMPLES
from advae.records.base import LARGEST, MAX_CLASSES, Count, Names, Reals, Record, Scalar, Seed
from advae.records.budgets import SMALLEST, find_eps, key_eps, place_eps, unite_eps, vanishes
from advae.records.checked import CheckResult, Status
from advae.records.code_attacks import MOST_PAIRS, MOST_WEIGHTS, CodeAttackMetrics, CodeAttackRecipe
from advae.records.datasets import MAX_SIDE, Dataset, DatasetRef, ImageRanges, ImageShape, Side
from advae.records.manifests import ADVERSARIAL, OUTCOMES, PROVED, STEERED, SURFACES, Artifact, DatasetKey, Manifest
from advae.records.recipes import (
    MAX_HIDDEN,
    MAX_LAYER,
    NOISE_OPTIONS,
    Activations,
    AddedOptions,
    AutoencoderRecipe,
    CertificateRecipe,
    ClassifierRecipe,
    ConvolutionOptions,
    LayerSize,
    LayersOptions,
    LogisticOptions,
    NetworkOptions,
    PerceptronOptions,
    PositiveReal,
    Recipe,
    Rescale,
    RunRecipe,
    entry_id,
)
from advae.records.results import (
    AutoencoderMetrics,
    CertificateMetrics,
    CertifiedEps,
    ClassifierMetrics,
    EpsResult,
    History,
    MemberResult,
    Metrics,
    RunMetrics,
)
from advae.records.retraining_rounds import Retraining, RetrainingRound, RetrainOptions
from advae.records.surfaces import FEWEST_POINTS, MOST_POINTS, SurfaceImage, SurfaceMetrics, SurfaceRecipe
from advae.run_options import Norm

if TYPE_CHECKING:
    from advae.records.datasets import FloatArray, IntArray

__all__ = [
    "ADVERSARIAL",
    "FEWEST_POINTS",
    "LARGEST",
    "MAX_CLASSES",
    "MAX_HIDDEN",
    "MAX_LAYER",
    "MAX_SIDE",
    "MOST_PAIRS",
    "MOST_POINTS",
    "MOST_WEIGHTS",
    "NOISE_OPTIONS",
    "OUTCOMES",
    "PROVED",
    "SAMPLES",
    "SMALLEST",
    "STEERED",
    "SURFACES",
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
    "CodeAttackMetrics",
    "CodeAttackRecipe",
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
    "LayersOptions",
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
    "RetrainOptions",
    "Retraining",
    "RetrainingRound",
    "RunMetrics",
    "RunRecipe",
    "Scalar",
    "Seed",
    "Side",
    "Status",
    "SurfaceImage",
    "SurfaceMetrics",
    "SurfaceRecipe",
    "entry_id",
    "find_eps",
    "key_eps",
    "place_eps",
    "unite_eps",
    "vanishes",
]
