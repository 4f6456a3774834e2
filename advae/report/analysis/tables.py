"""What a table of the report is: typed records for programs, and parts for people."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ConfigDict, WithJsonSchema

from advae.records import Norm, Record, Rescale
from advae.records.pipeline_names import name_retraining
from advae.report.data.contents import Comparison
from advae.report.data.runs import Measured, Rate, StoredPipeline
from advae.report.data.word_tables import Part
from advae.report.wording import name_attack

# Promised, not checked: a stored number that breaks it is for the checks to find, and must not stop the report.
ShownShare = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Difference = Annotated[float, WithJsonSchema({"type": "number", "minimum": -1, "maximum": 1})]
ShownInterval = tuple[ShownShare, ShownShare]
IDS = "ids"
Ids = Annotated[tuple[str, ...], IDS]
"""Ids of the registry: in a CSV one cell, separated by spaces, n/a where there is none."""

Listed = TypeVar("Listed")
Collect = Callable[["Findings"], Iterable[Any]]

CsvLine = dict[str, Any]
"""A line of a CSV file: value by column. None: it has no meaning there."""


class TableRecord(Record):
    """A line of a table. A model is built when it is first used: most commands show no table."""

    model_config = ConfigDict(defer_build=True)

    @property
    def absent(self) -> str | None:
        """What its CSV has in place of null: NOT RUN where the whole line was not measured."""
        return "NOT RUN" if getattr(self, "status", "").startswith(("NOT RUN", "only")) else None


class NotRun(TableRecord):
    """In place of a number that was not measured."""

    status: Literal["NOT RUN"] = "NOT RUN"
    """NOT RUN: no such run is in the registry."""


class KindRecord(TableRecord):
    """Fields of a record about one kind of classifier on one dataset."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    classifier: str
    """Kind of the classifier: nn or mlp, a network, or lr, logistic regression."""

    @property
    def attacked(self) -> str:
        """The kind of classifier and the dataset, ``nn on mnist``."""
        return f"{self.classifier} on {self.dataset}"


class PipelineRecord(KindRecord):
    """Fields of a record about one classifier with its purifier."""

    classifier_id: str
    """The classifier's id in the registry."""
    autoencoder: str
    """Kind of the purifier in front of the classifier; none where there is none."""
    autoencoder_id: str | None
    """The id in the registry of the purifier in front; null where there is none."""
    rescale: Rescale | None
    """How the purifier's output becomes an image: intensity, scaled to its input's total and clipped to 0 to 1, or
    none, left as it is; null where there is no purifier."""
    retrained: str | None
    """What the classifier was retrained on, ``retrained on bim at 0.1``: attack and eps; null where it was not."""


class AttackRecord(TableRecord):
    """Fields of a record about one attack at one eps."""

    threat: str
    """What the attacker knows, as `advae attack --threat` takes it."""
    method: str
    """The attack, as `advae attack --method` takes it."""
    attack: str
    """The attack in words."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    n: int
    """Number of test images."""


def read_pipeline(pipeline: StoredPipeline) -> dict[str, Any]:
    """Return the fields of a PipelineRecord."""
    return {
        "dataset": pipeline.dataset,
        "classifier": pipeline.classifier_recipe.model,
        "classifier_id": pipeline.classifier.id,
        "autoencoder": pipeline.autoencoder_type,
        "autoencoder_id": pipeline.autoencoder.id if pipeline.autoencoder else None,
        "retrained": name_retraining(pipeline.classifier_recipe) or None,
        "rescale": pipeline.autoencoder_recipe.rescale if pipeline.autoencoder_recipe else None,
    }


def read_attack(row: Measured) -> dict[str, Any]:
    """Return the fields of an AttackRecord."""
    facts = {name: getattr(row.recipe, name) for name in ("threat", "method", "norm")}
    return facts | {"attack": name_attack(row.run), "eps": row.eps, "n": row.run.metrics.n}


def join_rate(share: float | None, interval: tuple[float, float] | None) -> Rate | None:
    """Return a share and its interval as one, None where nothing was measured."""
    return Rate(share, *interval) if share is not None and interval else None


@dataclass(frozen=True)
class Findings:
    """What every format of the report is made from."""

    comparison: Comparison
    """Runs, rows and pipelines of the report."""
    sections: Mapping[str, Table] = field(default_factory=dict)
    """Tables that the caller hands to the report, by name; shown behind the headlines."""
    collected: dict[Collect, tuple[Any, ...]] = field(default_factory=dict, compare=False, repr=False)
    """Records that were made already, by what makes them."""

    def collect(self, collect: Callable[[Findings], Iterable[Listed]]) -> tuple[Listed, ...]:
        """Return what a function makes of the findings, made once; every format shares it."""
        if collect not in self.collected:
            self.collected[collect] = tuple(collect(self))
        return self.collected[collect]


@dataclass(frozen=True)
class Table:
    """A table of the report."""

    heading: str
    """Heading on the page and in Markdown."""
    explanation: str
    """What the table shows; is written once below its heading, and describes it in the JSON schema."""
    about: Literal["report", "pipeline", "run"]
    """Where its parts belong: to the whole report, or to the pipeline or run that their keys name."""
    tabulate: Callable[[Findings], Iterable[Part]]
    """Return its parts for people, none where the report has nothing to show."""
    record: type[Record] | None
    """Type of its records; None where ``report.json`` has the numbers elsewhere, and ``flatten`` the CSV's lines."""
    collect: Collect = lambda _: ()
    """Return its records for programs: ``report.json`` has them as they are, the CSV flattened."""
    flatten: Callable[[Findings], Iterable[CsvLine]] | None = None
    """Return the lines of its CSV; None: its records, flattened."""
    marks: tuple[str, ...] = ()
    """Columns by which its CSV is known as a report's: those that every version has written."""
    draw: Collect = lambda _: ()
    """Return its own figures, each a Drawing, which the page shows above its parts."""

    def list_lines(self, findings: Findings) -> Iterable[CsvLine]:
        """Return the lines of the table's CSV."""
        return self.flatten(findings) if self.flatten else map(flatten_record, findings.collect(self.collect))


# ---------------------------------------------------------------- a record as a line


def flatten_record(record: Record, prefix: str = "") -> CsvLine:
    """Return a record as a line. Nested records, and maps, become columns ``<field>_<its field>``.

    An interval becomes ``<field without _interval>_low`` and ``_high``, a list one text, ids with spaces between them,
    texts with semicolons. What was not run is NOT RUN in each of its columns.
    """
    line: CsvLine = {}
    for name, facts in type(record).model_fields.items():
        value = getattr(record, name)
        if IDS in facts.metadata:
            line[prefix + name] = " ".join(value or ()) or None
        else:
            line |= _flatten_value(prefix + name, value, facts.annotation)
    absent = getattr(record, "absent", None)
    return {name: absent if value is None else value for name, value in line.items()} if absent else line


def _flatten_value(name: str, value: Any, annotation: Any) -> CsvLine:
    model = _find_model(annotation)
    if model and (value is None or isinstance(value, NotRun)):
        return dict.fromkeys(_list_columns(model, f"{name}_"), value and value.status)
    if isinstance(value, NotRun):
        return {name: value.status}
    if isinstance(value, Record):
        return flatten_record(value, f"{name}_")
    if isinstance(value, Mapping):
        return {f"{name}_{key}".lower().replace(" ", "_"): one for key, one in value.items()}
    if name.endswith("_interval"):
        low, high = value if value is not None else (None, None)
        return {f"{name.removesuffix('_interval')}_{end}": one for end, one in (("low", low), ("high", high))}
    if isinstance(value, tuple):
        return {name: "; ".join(map(str, value)) or "none"}
    return {name: value}


def _find_model(annotation: Any) -> type[Record] | None:
    """Return the record type that a field holds where it holds one; of a union the one that is no NotRun."""
    if get_origin(annotation) is Annotated:
        return _find_model(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return next(filter(None, map(_find_model, get_args(annotation))), None)
    is_model = isinstance(annotation, type) and issubclass(annotation, Record) and not issubclass(annotation, NotRun)
    return annotation if is_model else None


def _list_columns(model: type[Record], prefix: str) -> Iterator[str]:
    for name in model.model_fields:
        if name.endswith("_interval"):
            yield from (f"{prefix}{name.removesuffix('_interval')}_{end}" for end in ("low", "high"))
        else:
            yield prefix + name
