"""Manifests: the description of a registry entry, without its arrays."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from advae.errors import CorruptError
from advae.identity import STORE_SCHEMA, Kind, digest_weights
from advae.records.base import Names, Record, absent_unless_given
from advae.records.code_attacks import CodeAttackMetrics, CodeAttackRecipe
from advae.records.recipes import (
    AddedOptions,
    AutoencoderRecipe,
    CertificateRecipe,
    ClassifierRecipe,
    Recipe,
    RunRecipe,
)
from advae.records.results import AutoencoderMetrics, CertificateMetrics, ClassifierMetrics, Metrics, RunMetrics
from advae.records.surfaces import SurfaceMetrics, SurfaceRecipe

SURFACES = "surfaces.npz"
"""Artifact of decision surfaces: which images, and how far the class of each leads at each point of its plane."""

PROVED = "certificates.npz"
"""Artifact of a certificate: labels and predictions, and for each eps whether each image is certified."""

STEERED = "steered.npz"
"""Artifact of an attack on a code: its pairs, and for each pair and weight what was reached at which distortion."""

OUTCOMES, ADVERSARIAL = "outcomes.npz", "adversarial.npz"
"""Artifacts of a run: the outcome of each sample and, with ``--save-adversarial``, all adversarial examples.

``SAMPLES`` has the images that a report shows, of runs and of autoencoders; older autoencoders have none.
"""


class DatasetKey(Record):
    """Name and digest of a dataset."""

    name: str
    """Its name."""
    digest: str
    """SHA-256 over its decoded arrays."""


class Artifact(Record):
    """One file of an entry."""

    sha256: str
    """SHA-256 of its bytes."""
    size: int
    """Its size in bytes."""


class Manifest(Record):
    """The description of a registry entry, without its arrays."""

    model_config = ConfigDict(serialize_by_alias=True)

    # The key on the disk is ``schema``, which is the name of a method of Pydantic's models.
    schema_version: int = Field(default=STORE_SCHEMA, alias="schema")
    """Version of the manifest's form on the disk."""
    id: str
    """Kind and the first 12 hexadecimal digits of the recipe's SHA-256."""
    recipe: Recipe
    """Everything that determines the result."""
    parents: Names
    """Ids of the entries that the recipe names; for readers that do not know every kind of recipe."""
    dataset: DatasetKey
    """The recipe's dataset, for the same readers."""
    metrics: Metrics
    """The measured results."""
    artifacts: dict[str, Artifact]
    """Files of the entry, by name."""
    source: str | None
    """Path of a dataset that only the user's disk has; None for a published one."""
    versions: dict[str, str]
    """Versions of Python and the libraries that made it, by name."""
    created: str
    """Time at which the entry was made, in UTC, ISO 8601."""
    parent_digests: dict[str, str] | None = absent_unless_given()
    """Digest of the weights that the entry was computed from, by the id of a parent or of a parent's purifier; None
    before schema 3."""
    # The last field, because it is appended to the bytes of a manifest at import, and removed at export.
    imported: str | None = absent_unless_given()
    """Time at which it was imported from a bundle, in UTC, ISO 8601; None where it was made in this registry."""

    @property
    def kind(self) -> Kind:
        return self.recipe.kind

    @property
    def weights(self) -> str:
        """Digest of the artifacts that other entries are computed from."""
        return digest_weights({name: artifact.sha256 for name, artifact in self.artifacts.items()})

    @property
    def added(self) -> AddedOptions | None:
        """The model, where another program trained it; None for one that was trained here, and for results."""
        return self.recipe.added if isinstance(self.recipe, AutoencoderRecipe | ClassifierRecipe) else None

    def as_autoencoder(self) -> tuple[AutoencoderRecipe, AutoencoderMetrics]:
        """Return recipe and metrics of an ``ae`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, AutoencoderRecipe) and isinstance(self.metrics, AutoencoderMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not an autoencoder")

    def as_classifier(self) -> tuple[ClassifierRecipe, ClassifierMetrics]:
        """Return recipe and metrics of a ``clf`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, ClassifierRecipe) and isinstance(self.metrics, ClassifierMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not a classifier")

    def as_run(self) -> tuple[RunRecipe, RunMetrics]:
        """Return recipe and metrics of a ``run`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, RunRecipe) and isinstance(self.metrics, RunMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not a run")

    def as_certificate(self) -> tuple[CertificateRecipe, CertificateMetrics]:
        """Return recipe and metrics of a ``cert`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, CertificateRecipe) and isinstance(self.metrics, CertificateMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not a certificate")

    def as_surface(self) -> tuple[SurfaceRecipe, SurfaceMetrics]:
        """Return recipe and metrics of a ``surface`` entry. Raises CorruptError for another, or if they do not fit."""
        if isinstance(self.recipe, SurfaceRecipe) and isinstance(self.metrics, SurfaceMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not a decision surface")

    def as_code_attack(self) -> tuple[CodeAttackRecipe, CodeAttackMetrics]:
        """Return recipe and metrics of a ``code`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, CodeAttackRecipe) and isinstance(self.metrics, CodeAttackMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not an attack on a code")
