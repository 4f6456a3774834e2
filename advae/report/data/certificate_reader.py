"""Reads certificates, and refuses one whose manifest, arrays and classifier contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from advae.checks import ProvedImages
from advae.errors import CorruptError
from advae.metrics import ABSTAINS, decide_radii, wilson_interval
from advae.records import NOISE_OPTIONS, PROVED, CertificateRecipe, Manifest, key_eps
from advae.report.data.agreement import ALIKE, list_differences
from advae.report.data.entry_arrays import fit_artifact, suggest_repair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.registry import Registry
    from advae.report.data.entry_arrays import Arrays

Refuse = Callable[[str, Exception], None]
"""(id, error) -> None, or raises the error where the certificate must be in the report."""


class CertificateFinder:
    """Finds the certificates of classifiers, each opened once."""

    def __init__(self, registry: Registry, refuse: Refuse) -> None:
        self._registry, self._refuse = registry, refuse
        manifests, corrupt = registry.scan("cert")
        for id_, error in corrupt.items():
            refuse(id_, error)
        self._waiting = manifests
        self._found: dict[str, tuple[ProvedImages, ...]] = {}

    def find(self, classifier_id: str) -> tuple[ProvedImages, ...]:
        """Return the certificates of a classifier that can be read, in a fixed order."""
        if classifier_id not in self._found:
            own = [manifest for manifest in self._waiting if classifier_id in manifest.parents]
            opened = filter(None, map(self._open, own))
            self._found[classifier_id] = tuple(sorted(opened, key=_order))
        return self._found[classifier_id]

    def _open(self, manifest: Manifest) -> ProvedImages | None:
        try:
            return open_certificate(self._registry, manifest)
        except CorruptError as error:
            self._refuse(manifest.id, error)
            return None


def _order(certificate: ProvedImages) -> tuple[object, ...]:
    recipe = certificate.recipe
    return recipe.norm != "linf", certificate.smoothed, recipe.method, recipe.eps, certificate.id


def open_certificate(registry: Registry, manifest: Manifest) -> ProvedImages:
    """Return a certificate with its arrays, held against each other.

    Raises CorruptError for an entry that is no certificate, whose arrays do not fit its recipe, or whose numbers are
    not those of its arrays; and what the registry raises.
    """
    recipe, metrics = manifest.as_certificate()
    arrays = _read_arrays(registry, manifest)
    classifier = registry.find(recipe.classifier)
    found = _find_contradictions(manifest, arrays, classifier)
    if contradiction := next(found, None):
        raise CorruptError(f"{manifest.id} contradicts itself: {contradiction}; {suggest_repair(manifest)}")
    return ProvedImages(
        id=manifest.id,
        recipe=recipe,
        metrics=metrics,
        sample_ids=arrays["sample_ids"],
        labels=arrays["labels"],
        predictions=arrays["predictions"],
        certified=arrays["certified"],
        radii=arrays.get("radii"),
        imported=manifest.imported,
    )


def _read_arrays(registry: Registry, manifest: Manifest) -> Arrays:
    import numpy as np

    recipe, metrics = manifest.as_certificate()
    n = metrics.n
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("sample_ids", "labels", "predictions"), (n,))
    shapes["certified"] = (len(recipe.eps), n)
    found = registry.read_arrays(manifest, PROVED)
    if recipe.sigma is None:
        return fit_artifact(manifest, PROVED, found, shapes)
    smoothed = {"abstained": (n,), "radii": (n,), "counts": (n, 2, len(recipe.dataset.classes))}
    noise = fit_artifact(manifest, PROVED, found, smoothed)
    if found.get("predictions", np.zeros(0)).shape == (n,):
        # An abstention is no class.
        found["predictions"] = np.where(noise["abstained"], 0, found["predictions"])
    fitted = fit_artifact(manifest, PROVED, found, shapes) | noise
    fitted["predictions"] = np.where(noise["abstained"], ABSTAINS, fitted["predictions"])
    return fitted


# ---------------------------------------------------------------- contradictions


def _find_contradictions(manifest: Manifest, arrays: Arrays, classifier: Manifest | None) -> Iterator[str]:
    """Yield what is wrong with a certificate whose arrays have the right shapes."""
    recipe, metrics = manifest.as_certificate()
    if classifier and classifier.recipe.dataset.key != recipe.dataset.key:
        yield f"it is on another dataset than {classifier.id}"
    given = {name for name, value in recipe.noise.items() if value is not None}
    if given and given != set(NOISE_OPTIONS):
        yield f"it has {', '.join(sorted(given))} without {', '.join(sorted(set(NOISE_OPTIONS) - given))}"
    if (metrics.abstained is not None) is not bool(given):
        yield "only the smoothed pipeline abstains"
    if [result.eps for result in metrics.results] != list(recipe.eps):
        yield "it has results at other eps than its recipe"
    if len(set(arrays["sample_ids"].tolist())) < metrics.n:
        yield "it counts an image twice"
    if recipe.limit is not None and metrics.n > recipe.limit:
        yield f"it has {metrics.n} images, and a limit of {recipe.limit}"
    yield from _check_images(manifest, arrays)
    yield from _check_counts(recipe, arrays)
    yield from _check_numbers(manifest, arrays)


def _check_images(manifest: Manifest, arrays: Arrays) -> Iterator[str]:
    """Yield an image that is certified although it cannot be."""
    recipe, _ = manifest.as_certificate()
    right = arrays["predictions"] == arrays["labels"]
    order = sorted(range(len(recipe.eps)), key=lambda place: key_eps(recipe.eps[place]))
    for place in order:
        eps, certified = recipe.eps[place], arrays["certified"][place]
        yield from _name_first(arrays, certified & ~right, f"is certified at eps {eps:.4g} and misclassified")
        if "radii" in arrays:
            beyond = certified & ~(arrays["radii"] > eps)
            yield from _name_first(arrays, beyond, f"is certified at eps {eps:.4g}, beyond its certified radius")
    for small, large in pairwise(order):
        lost = arrays["certified"][large] & ~arrays["certified"][small]
        where = f"{recipe.eps[large]:.4g} and not at {recipe.eps[small]:.4g}"
        yield from _name_first(arrays, lost, f"is certified at eps {where}")


def _check_counts(recipe: CertificateRecipe, arrays: Arrays) -> Iterator[str]:
    """Yield an image of a smoothed pipeline whose prediction or radius does not follow from its counts."""
    import numpy as np

    if recipe.sigma is None or recipe.samples is None or recipe.alpha is None:
        return
    copies = arrays["counts"].sum(axis=2) != [recipe.select, recipe.samples]
    yield from _name_first(
        arrays, copies.any(axis=1), "was counted on another number of noisy copies than its recipe has"
    )
    predictions, radii = decide_radii(arrays["counts"], sigma=recipe.sigma, samples=recipe.samples, alpha=recipe.alpha)
    yield from _name_first(
        arrays, predictions != arrays["predictions"], "has a class that does not follow from its counts"
    )
    # Other versions of SciPy round otherwise.
    far = ~np.isclose(radii, arrays["radii"], rtol=ALIKE, atol=1e-9)
    yield from _name_first(arrays, far, "has a certified radius that does not follow from its counts")


def _name_first(arrays: Mapping[str, NDArray[np.int64]], where: NDArray[np.bool_], what: str) -> Iterator[str]:
    for image in arrays["sample_ids"][where][:1].tolist():
        yield f"image {image} {what}"


def _check_numbers(manifest: Manifest, arrays: Arrays) -> Iterator[str]:
    """Yield each number of the manifest that does not follow from the arrays."""
    _, metrics = manifest.as_certificate()
    n, right = metrics.n, int((arrays["predictions"] == arrays["labels"]).sum())
    clean = {"clean_accuracy": right / n, "clean_accuracy_interval": wilson_interval(right, n)}
    if "abstained" in arrays:
        clean["abstained"] = int(arrays["abstained"].sum())
    yield from list_differences(metrics, clean, PROVED)
    for result, certified in zip(metrics.results, arrays["certified"], strict=False):
        proved = int(certified.sum())
        found = {"certified_accuracy": proved / n, "certified_accuracy_interval": wilson_interval(proved, n)}
        yield from list_differences(result, found, PROVED, f" at eps {result.eps:.4g}")
