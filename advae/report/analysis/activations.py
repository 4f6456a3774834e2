"""Autoencoders that differ in their activations only, beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence

from advae.models.layers import PAPER_ACTIVATIONS
from advae.records import AutoencoderRecipe
from advae.report.analysis.tables import Findings, TableRecord
from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.data.trained import Network, read_error

SOFTPLUS = (
    "The output stays softplus: cross-entropy has no meaning for negative outputs, which other activations would give."
)


class ActivationRecord(TableRecord):
    """One of the autoencoders that differ in the activations of their hidden layers only."""

    autoencoder: str
    """What the autoencoders have in common, in words: kind, dataset, seed."""
    hidden_activations: str
    """Activations of the hidden layers, in short."""
    training_loss: float | None
    """Mean training loss of the last epoch; null where there is none."""
    validation_loss: float | None
    """Mean loss of the last epoch on the held-out training images; null where there is none."""
    squared_error: float | None
    """Mean squared error per pixel of purified test images."""
    id: str
    """The autoencoder's id in the registry."""


def find_activations(comparison: Comparison) -> list[list[Network]]:
    """Return the groups of two and more autoencoders that differ in the activations of their hidden layers only."""
    trained = [network for network in comparison.networks if network.history and network.history.loss]
    groups = group_by((one for one in trained if one.purifier and one.purifier.network), _identify)
    return [sorted(group, key=_order) for group in groups.values() if len(group) > 1]


def _identify(network: Network) -> str:
    """Return what autoencoders have in common that differ in their hidden activations only."""
    fields = network.manifest.recipe.model_dump(mode="json")
    fields["network"]["activations"] = fields["network"]["activations"][-1]
    return json.dumps(fields, sort_keys=True)


def _order(network: Network) -> tuple[bool, str]:
    """Sort key: the paper's mix last, as what all others are compared with."""
    return list_activations(network) == PAPER_ACTIVATIONS, name_activations(network)


def list_activations(network: Network) -> tuple[str, ...]:
    """Return the activations of an autoencoder's layers, none for a baseline."""
    recipe = network.purifier
    return recipe.network.activations if recipe and recipe.network else ()


def name_activations(network: Network) -> str:
    """Return the hidden activations in short: ``relu`` where all are, the paper's mix by its name."""
    activations = list_activations(network)
    hidden = activations[:-1]
    words = hidden[0] if len(set(hidden)) == 1 else ", ".join(hidden)
    return f"paper's mix: {words}" if activations == PAPER_ACTIVATIONS else words


def list_activation_records(findings: Findings) -> list[ActivationRecord]:
    """Return a record for each autoencoder that differs from another in its hidden activations only."""
    return [_describe_network(network, group) for group in find_activations(findings.comparison) for network in group]


def _describe_network(network: Network, group: Sequence[Network]) -> ActivationRecord:
    history = network.history
    return ActivationRecord(
        autoencoder=name_group(group),
        hidden_activations=name_activations(network),
        training_loss=history.loss[-1] if history and history.loss else None,
        validation_loss=history.validation_loss[-1] if history and history.validation_loss else None,
        squared_error=read_error(network.manifest),
        id=network.id,
    )


def name_group(group: Sequence[Network]) -> str:
    """Return what the autoencoders of a group have in common, in words."""
    recipe = group[0].manifest.recipe
    kind = recipe.type if isinstance(recipe, AutoencoderRecipe) else recipe.kind
    return f"{kind} on {group[0].dataset}, seed {recipe.seed}"
