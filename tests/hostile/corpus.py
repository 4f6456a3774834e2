"""The corpus: every hostile file, as rows of one table."""

from __future__ import annotations

from tests.hostile import bundles, executed, files, foreign_images, manifests, recipes
from tests.hostile.rows import CORPUS

PARTS = (executed, bundles, manifests, recipes, files, foreign_images)
"""The modules whose rows the table has."""

__all__ = ["CORPUS", "PARTS"]
