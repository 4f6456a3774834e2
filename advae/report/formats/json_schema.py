"""The type of ``report.json``, and the JSON Schema that follows from it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from advae.records import AutoencoderRecipe, ClassifierRecipe, Reals, Record, RunMetrics, RunRecipe
from advae.records.base import absent_unless_given
from advae.report.analysis.baseline_comparison import MissingBaselines
from advae.report.analysis.check_results import FailureRecord
from advae.report.analysis.confusion import ScoresRecord
from advae.report.analysis.tables import Table
from advae.report.formats.catalogue import list_tables

REPORT_VERSION: Literal[5] = 5
"""Version of ``report.json``; raised when a program that reads it would have to change.

That is, when something is renamed, removed or means something else; not when something is added.
"""

SCHEMA_ID: Literal["urn:advae:report:5"] = "urn:advae:report:5"
KIND = "Kind of the entry: ae, an autoencoder or baseline; clf, a classifier; run, an attack."

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class RunEntry(Record):
    """One attack run, as it is stored, with its scores by class."""

    id: str
    """The run's id in the registry."""
    imported: str | None
    """When it came from a bundle, in UTC: its numbers were measured elsewhere, and what follows from the stored
    outcomes was computed again here; null for one that was made here."""
    recipe: RunRecipe
    """All that decides the result."""
    metrics: RunMetrics
    """What was measured."""
    scores: tuple[ScoresRecord, ...]
    """Predictions by class of the unchanged images, then of those at each eps."""


class LossHistory(Record):
    """Mean loss by epoch, and accuracies of what is trained against attacks.

    How long it took is not in it: equal trainings make equal reports.
    """

    loss: Reals
    """Mean training loss of each epoch."""
    validation_loss: Reals
    """Mean loss of each epoch on the held-out part of the training images."""
    clean_accuracy: tuple[float, ...] | None = absent_unless_given()
    """Share of the held-out training images that is classified correctly after each epoch, 0 to 1; absent where
    training knows of no attack."""
    attacked_accuracy: tuple[float, ...] | None = absent_unless_given()
    """Share of them that is classified correctly under a short PGD at the radius that is trained for, 0 to 1; absent
    where training knows of no attack."""
    certified_accuracy: tuple[float, ...] | None = absent_unless_given()
    """Share of them whose class is proved not to change inside the radius that is trained for, 0 to 1; absent where
    training computes no bounds."""
    unstable_relus: tuple[float, ...] | None = absent_unless_given()
    """Share of ReLUs whose input can have either sign inside that radius, 0 to 1; absent where training computes no
    bounds."""


class NetworkEntry(Record):
    """One trained autoencoder or classifier that a run depends on."""

    id: str
    """The entry's id in the registry."""
    imported: str | None
    """When it came from a bundle, in UTC; null for one that was made here."""
    recipe: Annotated[AutoencoderRecipe | ClassifierRecipe, Field(discriminator="kind")]
    """All that decides the result."""
    history: LossHistory | None
    """Loss by epoch; null for what is not trained."""
    test_mse: float | None
    """Mean squared error per pixel of purified test images; null for a classifier."""


class Document(Record):
    """Everything that a report shows, its numbers unrounded: the records of each of its tables, under the table's name.

    Eps and pixels are in units of an image's range, 0 to 1; rates are shares of 1; intervals are Wilson's 95 %
    confidence intervals.
    """

    schema_id: Literal["urn:advae:report:5"] = Field(default=SCHEMA_ID, serialization_alias="$schema")
    """The id of the JSON Schema that describes this file; `advae report --schema` prints it."""
    version: Literal[5] = Field(default=REPORT_VERSION, serialization_alias="schema")
    """Version of this file: raised when a field is renamed, removed or means something else."""
    title: str
    """The finding of the report: which autoencoders protect the classifier."""
    plan: str | None
    """The plan, one that comes with advae, whose cells these are; null for another plan and for a whole registry."""
    about: str | None
    """What the plan says that it does; null where it says nothing, and for a whole registry."""
    raised_checks: dict[str, str]
    """What each check means where it ends with WARN or FAIL, and what to do, by its name."""
    failures: tuple[FailureRecord, ...]
    """Every check that fails; `report --strict` and `attack --fail-under` count these."""
    missing_baselines: tuple[MissingBaselines, ...]
    """Baselines that were not run, and what runs them."""
    runs: tuple[RunEntry, ...]
    """Every run that the report is about, as it is stored."""
    networks: tuple[NetworkEntry, ...]
    """Every autoencoder and network that a run depends on, and those that were only looked at."""
    threats: dict[str, str]
    """What the attacker knows under each threat model of the runs, by its name."""
    commands: tuple[str, ...]
    """Shell commands that make all of this again, in an order that works; of a plan that comes with
    advae the first makes all of it."""


def build_model(sections: Mapping[str, Table]) -> type[Document]:
    """Return the type of the document, with a field for each table that has records, the sections included."""
    fields: dict[str, Any] = {
        name: (GenericAlias(tuple, (table.record, ...)), Field(description=table.explanation))
        for name, table in list_tables(sections).items()
        if table.record
    }
    return create_model("Document", __base__=Document, __doc__=Document.__doc__, **fields)


# ---------------------------------------------------------------- the JSON Schema


class _Generator(GenerateJsonSchema):
    """Describes the written JSON, which omits fields without a value."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return field.get("serialization_exclude_if") is None

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """Describe each field by the words below it."""
        described, model = super().model_schema(schema), schema["cls"]
        texts = read_descriptions(model)
        for field, facts in described.get("properties", {}).items():
            if "description" not in facts:
                facts["description"] = KIND if field == "kind" else texts[field]
        return described


def read_descriptions(model: type[Record]) -> dict[str, str]:
    """Return the words below each field of a record, by the field's name in JSON."""
    texts: dict[str, str] = {}
    for base in (base for base in reversed(model.__mro__) if base is not Record and issubclass(base, Record)):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, TypeError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                name = ast.unparse(field.target)
                texts[model.model_fields[name].serialization_alias or name] = inspect.cleandoc(str(text.value.value))
    return {name: " ".join(text.split()) for name, text in texts.items()}


def describe_schema(sections: Mapping[str, Table]) -> dict[str, Any]:
    """Return the JSON Schema of ``report.json``, draft 2020-12, every field described."""
    model = build_model(sections)
    schema = model.model_json_schema(by_alias=True, mode="serialization", schema_generator=_Generator)
    return {"$schema": DIALECT, "$id": SCHEMA_ID} | schema | {"title": "report.json of advae"}
