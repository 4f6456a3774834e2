"""The classifier that ``advae attack`` attacks and ``advae certify`` certifies, with its dataset."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from advae.errors import NotFoundError
from advae.models.classifiers import gives_gradients
from advae.quoting import quote_word
from advae.records import ClassifierRecipe, Dataset, Manifest
from advae.workflows.workspace import Workspace, load_dataset_of, load_named, resolve_model


@dataclass(frozen=True)
class Target:
    """A classifier to attack or to certify."""

    classifier: Manifest
    """Its manifest."""
    load: Callable[[], Dataset]
    """Returns its dataset, which is read at the first call only."""

    @property
    def recipe(self) -> ClassifierRecipe:
        return self.classifier.as_classifier()[0]

    @property
    def purified(self) -> bool:
        return self.recipe.autoencoder is not None

    @property
    def retrained(self) -> bool:
        return self.recipe.retrained is not None

    @property
    def scores_only(self) -> bool:
        return not gives_gradients(self.recipe)


def choose_classifier(workspace: Workspace, ref: str | None, dataset_name: str | None) -> Target:
    """Return the classifier to attack or to certify: the newest (of the dataset, where one is named) if none is named.

    A dataset that the user names is read at once and compared with the classifier's own. Raises NotFoundError.
    """
    registry = workspace.registry
    newest = [entry for entry in (registry.latest("clf"), *registry.entries("clf")) if entry] if not ref else []
    if ref or (newest and not dataset_name):
        classifier = resolve_model(workspace, ref, "clf") if ref else newest[0]
        load = functools.cache(lambda: load_dataset_of(workspace, classifier, dataset_name))
        if dataset_name:
            load()
        return Target(classifier, load)
    if dataset_name:
        dataset = load_named(workspace, dataset_name)
        for entry in newest:
            if entry.recipe.dataset.digest == dataset.ref.digest:
                return Target(entry, lambda: dataset)
            if entry.recipe.dataset.whole_digest == dataset.ref.digest:
                return Target(entry, functools.cache(partial(load_dataset_of, workspace, entry, dataset_name)))
    of = f" of dataset {dataset_name!r}" if dataset_name else ""
    option = f" --dataset {quote_word(dataset_name)}" if dataset_name else ""
    raise NotFoundError(f"no classifier{of} in {registry.home}; `advae train-clf --model nn{option}` makes one")
