"""Which undefended run a defended run is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.errors import CorruptError, NotFoundError
from advae.records import ClassifierRecipe, Manifest, RunRecipe, key_eps, place_eps
from advae.report.data.dataset_names import Labels
from advae.report.data.run_reader import open_run
from advae.report.data.runs import Measured, Run
from advae.run_options import RUN_OPTIONS, list_crafting, values_of

if TYPE_CHECKING:
    from advae.registry import Registry
    from advae.report.data.certificate_reader import CertificateFinder

OPTIONS = [name for name in list_crafting() if name != "draws"]
"""Options that two runs of the same attack share. The number of EOT samples follows from the purifier."""

GOALS = [name for name in OPTIONS if RUN_OPTIONS[name].row.goal]
"""Those of them that say what the attack aims at; the others say how hard it tries."""

EFFORTS = [name for name in OPTIONS if name not in GOALS]


class CounterpartFinder:
    """Finds the run of the same attack on the same samples of the same kind of classifier, undefended."""

    def __init__(
        self, registry: Registry, opened: Iterable[Run], labels: Labels, certificates: CertificateFinder
    ) -> None:
        self._registry = registry
        self._certificates = certificates
        self._labels = labels
        self._opened = {run.id: run for run in opened}
        bare = [manifest for manifest in registry.entries("run") if self._is_undefended(manifest)]
        self._undefended = drop_copies(bare)
        self._places = {manifest.id: place_eps(manifest.as_run()[0].eps) for manifest in self._undefended}

    def find(self, run: Run, eps: float) -> Measured | None:
        """Return the fitting run whose options are nearest, the newest of equals, at an eps; None where none fits.

        The threat model is not compared: an undefended classifier has only one, and it is the counterpart of all.
        """
        key = key_eps(eps)
        at_eps = (manifest for manifest in self._undefended if key in self._places[manifest.id])
        fitting = (manifest for manifest in at_eps if _is_same_attack(run.recipe, manifest.recipe))
        opened = (self._open(manifest) for manifest in fitting)
        candidates = [other for other in opened if other and _is_comparable(run, other)]
        # ``max`` keeps the first of equals, and the registry lists the newest first.
        best = max(candidates, key=lambda other: _rate_likeness(run, other), default=None)
        return Measured(best, self._places[best.id][key]) if best else None

    def list_undefended(self, run: Run) -> list[Run]:
        """Return all runs on the same samples of the same kind of classifier, undefended, the most similar first."""
        digest = run.recipe.dataset.digest
        opened = (self._open(manifest) for manifest in self._undefended if manifest.recipe.dataset.digest == digest)
        fitting = [other for other in opened if other and _is_comparable(run, other)]
        return sorted(fitting, key=lambda other: _rate_likeness(run, other), reverse=True)

    def _is_undefended(self, manifest: Manifest) -> bool:
        """Whether a run's classifier has no purifier and was not retrained; False where it cannot be read."""
        recipe = manifest.recipe
        try:
            classifier = self._registry.manifest(recipe.classifier) if isinstance(recipe, RunRecipe) else None
        except (NotFoundError, CorruptError):
            return False
        if classifier is None or classifier.parents:
            return False
        return isinstance(classifier.recipe, ClassifierRecipe) and classifier.recipe.retrained is None

    def _open(self, manifest: Manifest) -> Run | None:
        """Return a run that was not named; one whose arrays are damaged is no counterpart."""
        if manifest.id not in self._opened:
            try:
                opened = open_run(self._registry, manifest, self._labels)
                certificates = self._certificates.find(opened.classifier.id)
                self._opened[manifest.id] = replace(opened, certificates=certificates)
            except (CorruptError, NotFoundError):
                return None
        return self._opened[manifest.id]


def drop_copies(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the runs, each attack once: one that was made again to store its adversarial examples is the same one.

    The one without them stays, where both are there.
    """
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        recipe, _ = manifest.as_run()
        key = json.dumps(recipe.model_dump(mode="json", exclude={"save_adversarial"}))
        if not (key in found and recipe.save_adversarial):
            found[key] = manifest
    return list(found.values())


def has_same_options(run: Run, other: Run) -> bool:
    """Whether two runs of one method tried equally hard: the same steps, step size, restarts, loss and so on."""
    return values_of(run.recipe, EFFORTS) == values_of(other.recipe, EFFORTS)


def describe_differences(run: Run, other: Run) -> str:
    """Return the options of EFFORTS in which a run differs from another of its method: ``steps 40 instead of 80``."""
    mine, theirs = (values_of(one.recipe, EFFORTS) for one in (run, other))
    differing = (name for name in EFFORTS if mine[name] != theirs[name])
    texts = (
        f"{RUN_OPTIONS[name].word} {mine[name] or 'none'} instead of {theirs[name] or 'none'}" for name in differing
    )
    return ", ".join(texts)


def identify_attack(run: Run) -> str:
    """Return what runs of one attack have in common, whatever they attacked, from whatever seed and at whatever eps."""
    recipe = run.recipe
    return json.dumps([recipe.method, recipe.threat, recipe.examples, values_of(recipe, OPTIONS)])


def _is_same_attack(mine: RunRecipe, other: object) -> bool:
    if not isinstance(other, RunRecipe):
        return False
    ours, theirs = ((r.dataset.digest, r.method, r.examples, values_of(r, GOALS)) for r in (mine, other))
    return ours == theirs


def _is_comparable(run: Run, other: Run) -> bool:
    """Whether the classifiers are of one kind and the very same samples were attacked, in the same order."""
    import numpy as np

    same_model = run.classifier_recipe.model == other.classifier_recipe.model
    return same_model and np.array_equal(run.outcomes["sample_ids"], other.outcomes["sample_ids"])


def _rate_likeness(run: Run, other: Run) -> tuple[bool, bool, bool]:
    """Return the sort key of counterparts: equal attack options count most, then training options, then the seed."""
    mine, theirs = run.classifier_recipe, other.classifier_recipe
    return has_same_options(run, other), mine.options == theirs.options, mine.seed == theirs.seed
