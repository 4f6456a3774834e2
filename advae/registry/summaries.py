"""Summaries of entries for lists: taken from manifests, with a line on recipe and result."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from advae.class_names import name_restricted
from advae.errors import printable
from advae.identity import digest_weights

SHA256 = re.compile(r"[0-9a-f]{64}")

WRONG_FORM = (RecursionError, LookupError, TypeError, AttributeError, ValueError, OverflowError)
"""What reading JSON of the wrong form raises."""


@dataclass(frozen=True)
class EntrySummary:
    """The summary of an entry for lists, taken from its manifest without checking all fields."""

    id: str
    """Id of the entry."""
    kind: str
    """Kind of the entry: ae, clf, run, cert, surface or code."""
    dataset: str
    """Name of the dataset, printable, with its classes where it is restricted to some."""
    dataset_name: str
    """Name of the dataset, or of the whole one that it is a part of, printable."""
    dataset_digest: str
    """SHA-256 of the dataset's decoded arrays, or of the whole one's."""
    parents: tuple[str, ...]
    """Ids of the entries that its recipe names."""
    created: str
    """Time at which it was published, ISO 8601 in UTC."""
    size: int
    """Bytes of its artifacts."""
    what: str
    """One line about the recipe and the main number."""
    digests: dict[str, str]
    """SHA-256 of its artifacts, by file name."""
    parent_digests: dict[str, str] | None
    """Digests of the weights that it was computed from, by id; None before schema 3."""
    imported: str | None
    """Time at which it was imported from a bundle, ISO 8601 in UTC; None if it was made here."""

    @property
    def weights(self) -> str:
        """The digest of its weights, which other entries depend on."""
        return digest_weights(self.digests)


def summarize_entry(document: dict[str, Any]) -> EntrySummary:
    """Return the summary of an opened document. Raises ValueError where one of its fields has a wrong form."""
    try:
        return EntrySummary(
            id=document["id"],
            kind=document["recipe"]["kind"],
            dataset=printable(_title_dataset(document["recipe"]["dataset"])),
            dataset_name=printable(document["dataset"]["name"]),
            dataset_digest=document["recipe"]["dataset"].get("whole") or document["dataset"]["digest"],
            parents=tuple(document["parents"]),
            created=printable(document["created"]),
            size=sum(_read_size(artifact) for artifact in document["artifacts"].values()),
            what=printable(_SUMMARIES[document["recipe"]["kind"]](document["recipe"], document["metrics"])),
            digests={name: _read_digest(artifact) for name, artifact in document["artifacts"].items()},
            parent_digests=document.get("parent_digests"),
            imported=document.get("imported"),
        )
    except WRONG_FORM:
        raise ValueError("it is no manifest") from None


def _title_dataset(dataset: dict[str, Any]) -> str:
    name: str = dataset["name"]
    return name if dataset.get("kept") is None else name_restricted(name, dataset["classes"])


def _read_size(artifact: dict[str, Any]) -> int:
    size = artifact["size"]
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise ValueError("it is no size")
    return size


def _read_digest(artifact: dict[str, Any]) -> str:
    digest: str = artifact["sha256"]
    if not SHA256.fullmatch(digest):
        raise ValueError("it is no digest")
    return digest


def _summarise_autoencoder(recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    network = recipe["network"]
    if network is None:
        options = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in recipe["options"].items())
        how = f"a baseline, {options}"
    else:
        stages = recipe["options"].get("stages")
        what = f"stages {stages}, code {network['code']}, " if stages else ""
        how = f"{what}{network['epochs']} epochs"
    return f"{recipe['type']}, {how}, seed {recipe['seed']}, mse {metrics['test_mse']:.4f}"


def _summarise_classifier(recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    place = "behind" if recipe.get("code") is None else "on the code of"
    behind = f" {place} {recipe['autoencoder']}" if recipe["autoencoder"] else ""
    how = recipe.get("retrained")
    behind += f", retrained on {how['method']} at {how['eps']:.4g}" if how else ""
    return f"{recipe['model']}{behind}, seed {recipe['seed']}, clean {metrics['test_accuracy']:.4f}"


def _summarise_run(recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    robust = ", ".join(f"{result['accuracy']:.4f} at {result['eps']:.4g}" for result in metrics["results"][:3])
    more = ", ..." if len(metrics["results"]) > 3 else ""
    return f"{recipe['method']}, {recipe['threat']}, on {recipe['classifier']}: {robust}{more}"


def _summarise_certificate(recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    found = ", ".join(f"{one['certified_accuracy']:.4f} at {one['eps']:.4g}" for one in metrics["results"][:3])
    more = ", ..." if len(metrics["results"]) > 3 else ""
    return f"{recipe['method']}, {recipe['norm']}, of {recipe['classifier']}: certified {found}{more}"


def _summarise_surface(recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    about = f"decision surfaces of {recipe['classifier']}, radius {recipe['radius']:.4g}, {metrics['n']} images"
    return f"{about}: {metrics['right_share']:.4f} of the plane right" if metrics["n"] else about


def _summarise_code_attack(recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    area = "no curve" if metrics["area"] is None else f"area {metrics['area']:.4f}"
    return f"{recipe['optimizer']}, on the code of {recipe['autoencoder']}: {area}, {metrics['n']} pairs"


_SUMMARIES = {
    "ae": _summarise_autoencoder,
    "clf": _summarise_classifier,
    "run": _summarise_run,
    "cert": _summarise_certificate,
    "surface": _summarise_surface,
    "code": _summarise_code_attack,
}
