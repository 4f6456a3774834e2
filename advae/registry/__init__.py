"""The store on disk that the commands share: recipe-addressed entries, published by one rename, and their names."""

from advae.identity import KINDS
from advae.registry.checkpoints import Checkpoint
from advae.registry.publishing import VERSIONED, library_versions
from advae.registry.references import LATEST, MADE_BY, NAMES, check_tag
from advae.registry.store import Registry
from advae.registry.summaries import EntrySummary

__all__ = [
    "KINDS",
    "LATEST",
    "MADE_BY",
    "NAMES",
    "VERSIONED",
    "Checkpoint",
    "EntrySummary",
    "Registry",
    "check_tag",
    "library_versions",
]
