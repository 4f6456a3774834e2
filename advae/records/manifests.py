"""All that is known of a registry entry without opening its arrays."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from advae.errors import CorruptError
from advae.identity import STORE_SCHEMA, Kind, digest_weights
from advae.records.base import Names, Record, absent_unless_given
from advae.records.recipes import AutoencoderRecipe, ClassifierRecipe, Recipe, RunRecipe
from advae.records.results import AutoencoderMetrics, ClassifierMetrics, Metrics, RunMetrics

OUTCOMES, ADVERSARIAL = "outcomes.npz", "adversarial.npz"
"""A run's artifacts: per-example outcomes and, where asked for, all of its images; ``SAMPLES`` are those of a report.

An autoencoder has images for the report too; those from before it had are shown without.
"""


class DatasetKey(Record):
    """What tells one dataset from another: its name, and the SHA-256 over its decoded arrays."""

    name: str
    digest: str


class Artifact(Record):
    """One file of an entry: its SHA-256 and its size in bytes."""

    sha256: str
    size: int


class Manifest(Record):
    """All that is known of a registry entry without opening its arrays.

    parents and dataset repeat what the recipe says, for readers that do not know every kind of recipe. artifacts:
    file name -> digest and size; source: path of a dataset that only the user's disk has; created: UTC, ISO 8601;
    versions: of Python and the libraries that made it. parent_digests: id of each parent, and of the purifier that a
    parent stands behind -> digest of the weights that the entry was computed from; None before schema 3. imported:
    when a bundle brought it into this registry, UTC, ISO 8601; None where it was made here.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    # Pydantic's own models have a method of the name that it has on the disk.
    schema_version: int = Field(default=STORE_SCHEMA, alias="schema")
    id: str
    recipe: Recipe
    parents: Names
    dataset: DatasetKey
    metrics: Metrics
    artifacts: dict[str, Artifact]
    source: str | None
    versions: dict[str, str]
    created: str
    parent_digests: dict[str, str] | None = absent_unless_given()
    # Last: the mark is put onto the bytes of a manifest, and taken off again.
    imported: str | None = absent_unless_given()

    @property
    def kind(self) -> Kind:
        return self.recipe.kind

    @property
    def weights(self) -> str:
        """The digest of what others are computed from."""
        return digest_weights({name: artifact.sha256 for name, artifact in self.artifacts.items()})

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
