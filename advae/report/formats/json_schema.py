"""What ``report.json`` is made of, typed, and the JSON Schema that follows from it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from advae.records import (
    AutoencoderRecipe,
    CheckResult,
    ClassifierRecipe,
    EpsResult,
    Norm,
    Reals,
    Record,
    Rescale,
    RunMetrics,
    RunRecipe,
    Status,
)
from advae.records.base import absent_unless_given
from advae.report.analysis.tables import Difference, NotRun, ShownInterval, ShownShare, Table
from advae.report.formats.glossary import GLOSSARY

SCHEMA: Literal[4] = 4
"""Version of ``report.json``; raised when a program that reads it would have to change.

That is, when something is renamed, removed or means something else; not when something is added.
"""

SCHEMA_ID: Literal["urn:advae:report:4"] = "urn:advae:report:4"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _absent_unless_given() -> Any:
    return Field(default=None, exclude_if=lambda value: value is None)


# ---------------------------------------------------------------- one run at one eps


class _SideFacts(Record):
    status: Literal["measured"] = "measured"
    run: str
    n: int
    seed: int
    steps: int | None
    restarts: int | None
    loss: str | None
    threat: str
    clean_accuracy: ShownShare
    clean_accuracy_interval: ShownInterval


class MeasuredSide(EpsResult, _SideFacts):
    """What one run measured at one eps, with the options of its attack."""

    targets: None = Field(default=None, exclude=True)


Side = Annotated[MeasuredSide | NotRun, Field(discriminator="status")]


class RowEntry(Record):
    """One run at one eps, with and without the autoencoder: a row of the accuracy table."""

    run: str
    dataset: str
    classifier: str
    classifier_id: str
    autoencoder: str
    autoencoder_id: str | None
    rescale: Rescale | None
    method: str
    target: int | None
    clip: bool
    threat: str
    norm: Norm
    eps: float
    with_: Side = Field(serialization_alias="with")
    without: Side
    mcnemar_p: ShownShare | None
    notes: tuple[str, ...]
    imported: tuple[str, ...]


# ---------------------------------------------------------------- pipelines


class GapEntry(Record):
    """What an attacker who does not know of the defence leaves, beside one who does, at one eps on the same images."""

    eps: float
    norm: Norm
    n: int
    oblivious: ShownShare
    adaptive: ShownShare
    gap: Difference
    runs: tuple[str, str]


class HeadlineEntry(Record):
    """What is left of one pipeline under the strongest attack, and whether that can be believed."""

    classifier: str
    autoencoder: str | None
    name: str
    collapsed: bool
    robustness_established: bool
    strongest: Side
    by_threat: dict[str, Side]
    illusion_gaps: tuple[GapEntry, ...]
    illusion_gap_command: str | None
    verdicts: dict[Status, int]
    imported: tuple[str, ...]


class Subject(Record):
    """The run and eps that a pipeline's results are about."""

    run: str
    eps: float


class _CheckFacts(Record):
    place: int | None = _absent_unless_given()
    question: str | None = _absent_unless_given()


class JudgedVerdict(CheckResult, _CheckFacts):
    """What one check found of a pipeline."""


class _Budget(Record):
    norm: Norm


class MeasuredBudget(MeasuredSide, _Budget):
    """What the strongest valid attack of a threat model leaves at one eps."""


class MissingBudget(NotRun):
    """A norm and eps at which a threat model has no valid attack."""

    norm: Norm
    eps: float


class RungEntry(Record):
    """One threat model, at every norm and eps that the pipeline was attacked with."""

    threat: str
    worst: tuple[Annotated[MeasuredBudget | MissingBudget, Field(discriminator="status")], ...]


class OtherNorm(Record):
    """The results on a pipeline in another norm than that of its headline."""

    norm: Norm
    subject: Subject
    verdicts: tuple[JudgedVerdict, ...]


class FailureEntry(Record):
    """A check that fails: on a pipeline's headline number, in another norm, or on one run alone."""

    classifier: str
    check: str
    run: str
    eps: float | None
    sentence: str
    headline: bool


class PipelineEntry(Record):
    """One classifier with what stands in front of it: its results, and what each attacker leaves."""

    classifier: str
    autoencoder: str | None
    name: str
    subject: Subject | NotRun
    verdicts: tuple[JudgedVerdict, ...]
    other_norms: tuple[OtherNorm, ...]
    ladder: tuple[RungEntry, ...]


# ---------------------------------------------------------------- pipelines beside each other


class Purified(Record):
    """What one purifier leaves under the attack that is compared."""

    type: str
    classifier_id: str
    run: str
    accuracy: ShownShare
    benefit: Difference | None


class MissingPurified(NotRun):
    """A purifier that did not meet the attack; without a classifier's id, one that was not trained at all."""

    type: str
    classifier_id: str | None = _absent_unless_given()


class MatchEntry(Record):
    """One attack at one eps on the same images, on all purifiers that met it."""

    method: str
    threat: str
    norm: Norm
    eps: float
    n: int
    without: ShownShare | NotRun
    baselines: tuple[Purified | MissingPurified, ...]
    autoencoders: tuple[Purified | MissingPurified, ...]


class ContestEntry(Record):
    """Autoencoders and baselines in front of one kind of classifier on one dataset."""

    dataset: str
    classifier: str
    missing: tuple[str, ...]
    command: str | None
    matches: tuple[MatchEntry, ...]


class SpreadEntry(Record):
    """The same attack on pipelines that differ in their seeds only."""

    name: str
    method: str
    threat: str
    norm: Norm
    eps: float
    n: int
    seeds: int
    mean: ShownShare
    minimum: ShownShare
    maximum: ShownShare
    runs: tuple[str, ...]


# ---------------------------------------------------------------- records


class GroupScores(Record):
    """The scores of the samples of one class, or their average over classes."""

    precision: float
    recall: float
    f1: float = Field(serialization_alias="f1-score")
    support: float


class ScoresEntry(Record):
    """What became of the samples at one eps, by class."""

    eps: float | None
    confusion_matrix: tuple[tuple[int, ...], ...] | None
    confusion_counts: tuple[tuple[int, int, int], ...] | None = _absent_unless_given()
    classification_report: dict[str, GroupScores | float]


class RunEntry(Record):
    """One attack run, as it is stored, with its scores by class."""

    id: str
    imported: str | None
    recipe: RunRecipe
    metrics: RunMetrics
    scores: tuple[ScoresEntry, ...]


class LossHistory(Record):
    """Mean loss by epoch, and accuracies of what is trained against attacks.

    How long it took is not in it: equal trainings make equal reports.
    """

    loss: Reals
    validation_loss: Reals
    clean_accuracy: tuple[float, ...] | None = absent_unless_given()
    attacked_accuracy: tuple[float, ...] | None = absent_unless_given()


class NetworkEntry(Record):
    """One trained autoencoder or classifier that a run rests on."""

    id: str
    imported: str | None
    recipe: Annotated[AutoencoderRecipe | ClassifierRecipe, Field(discriminator="kind")]
    history: LossHistory | None
    test_mse: float | None


class Document(Record):
    """Everything that a report shows, its numbers unrounded.

    Eps and pixels are in units of an image's range, 0 to 1; rates are shares of 1; intervals are Wilson's, 95 %.
    """

    schema_id: Literal["urn:advae:report:4"] = Field(default=SCHEMA_ID, serialization_alias="$schema")
    version: Literal[4] = Field(default=SCHEMA, serialization_alias="schema")
    headlines: tuple[HeadlineEntry, ...]
    rows: tuple[RowEntry, ...]
    runs: tuple[RunEntry, ...]
    pipelines: tuple[PipelineEntry, ...]
    failures: tuple[FailureEntry, ...]
    baselines: tuple[ContestEntry, ...]
    seeds: tuple[SpreadEntry, ...]
    networks: tuple[NetworkEntry, ...]
    threats: dict[str, str]
    commands: tuple[str, ...]


def build_model(sections: Mapping[str, Table]) -> type[Document]:
    """Return the type of the document, with a field for each section that the report was handed."""
    fields: dict[str, Any] = {
        name: (tuple[table.record, ...], Field(description=table.explanation))  # type: ignore[name-defined]
        for name, table in sections.items()
        if table.record
    }
    return create_model("Document", __base__=Document, __doc__=Document.__doc__, **fields) if fields else Document


# ---------------------------------------------------------------- the JSON Schema


class _Generator(GenerateJsonSchema):
    """Describes what is written: a field is there unless it is left out for want of a value."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return field.get("serialization_exclude_if") is None

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """Describe each field by the words below it, or by GLOSSARY."""
        described, model = super().model_schema(schema), schema["cls"]
        texts = read_descriptions(model)
        for field, facts in described.get("properties", {}).items():
            if "description" not in facts:
                facts["description"] = texts.get(field) or GLOSSARY.get(f"{model.__name__}.{field}") or GLOSSARY[field]
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
