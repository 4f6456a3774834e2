"""Reading a .skops file: scikit-learn's models, as steps where they are known, else by their scores alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advae.arrayfiles import DAMAGED, explain
from advae.errors import CorruptError, UsageError, printable
from advae.models.added.foreign import Ending, ForeignModel
from advae.models.added.score_process import ScoreProcess
from advae.models.added.sklearn_restore import STEPS, measure_steps
from advae.models.added.sklearn_steps import Conversion, NotConvertibleError, Operation, convert_estimator
from advae.models.added.sklearn_types import KNOWN_TYPES, check_objects
from advae.models.added.skops_archive import SkopsArchive
from advae.models.added.skops_nodes import NodeReader, SkopsObject

STEPS_FORMAT, SCORES_FORMAT = "sklearn", "sklearn-scores"
"""Names of FORMATS: a chain of steps, and a file that is asked for scores."""

MAX_TYPES_NAMED = 12
"""Types that an error names."""


@dataclass(frozen=True)
class CheckedSkops:
    """A .skops file whose nodes and arrays were checked."""

    root: SkopsObject
    """The model, as plain data."""
    trusted: tuple[str, ...]
    """Its types that are not known, and that the user trusts; sorted."""
    sparse: bool
    """Whether it has a sparse matrix."""


def check_skops(content: bytes, trust: Sequence[str] = ()) -> CheckedSkops:
    """Return what a .skops file holds, as plain data; nothing is imported or constructed.

    trust: full names of types that are opened though they are not known. Raises CorruptError.
    """
    try:
        archive = SkopsArchive(content)
        nodes = NodeReader(archive, frozenset(KNOWN_TYPES), frozenset(trust))
        root = nodes.read(archive.read_schema())
        _require_known(nodes.untrusted)
        if not isinstance(root, SkopsObject):
            raise ValueError("it holds no model")
        check_objects(root)
    except DAMAGED as error:
        raise CorruptError(printable(explain(error))) from None
    return CheckedSkops(root, tuple(sorted(nodes.trusted)), nodes.sparse)


def _require_known(untrusted: set[str]) -> None:
    if not untrusted:
        return
    names = sorted(untrusted)
    options = " ".join(f"--trust {name}" for name in names[:MAX_TYPES_NAMED])
    more = f" and {len(names) - MAX_TYPES_NAMED} more" if len(names) > MAX_TYPES_NAMED else ""
    raise CorruptError(
        f"it holds types that are not known to be safe: {', '.join(names[:MAX_TYPES_NAMED])}{more}; "
        f"if you trust the author of the file: {options}"
    )


def read_skops(content: bytes, path: Path, *, trust: Sequence[str] = ()) -> ForeignModel:
    """Return a scikit-learn model of a .skops file.

    Pipelines of known steps become steps and arrays, and skops is not even imported. Another model is opened once, in
    a process of its own, to learn its classes; it is asked for scores only. path: for the error; trust: full names of
    types, the user's own decision. Raises CorruptError for a file that is damaged or refused; UsageError for one
    without a classifier.
    """
    try:
        return _take_apart(content, trust)
    except CorruptError as error:
        raise CorruptError(f"{printable(str(path))} is refused: {error}") from None


def _take_apart(content: bytes, trust: Sequence[str]) -> ForeignModel:
    checked = check_skops(content, trust)
    try:
        conversion = convert_estimator(checked.root)
    except NotConvertibleError as reason:
        return _read_scores(content, checked, str(reason))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        damage = (
            f"it has no {error.args[0]}; was it fitted before it was saved?"
            if isinstance(error, KeyError)
            else explain(error)
        )
        raise CorruptError(f"its model is damaged: {printable(damage)}") from None
    return _build_model(conversion, checked)


def _build_model(conversion: Conversion, checked: CheckedSkops) -> ForeignModel:
    steps = conversion.steps
    if not conversion.predicts:
        if conversion.inverse is None:
            raise UsageError("the file holds no classifier, and a transformer of it has no inverse")
        steps = [*steps, *conversion.inverse]
    arrays = {str(position): step.array for position, step in enumerate(steps) if step.array is not None}
    graph: dict[str, Any] = {"steps": [step.step for step in steps], "takes": _count_inputs(steps, checked.root)}
    if conversion.classes:
        graph["classes"] = conversion.classes
    takes, gives = measure_steps(graph, arrays)
    return ForeignModel(
        STEPS_FORMAT,
        graph,
        arrays,
        (takes,),
        (gives,),
        ending=_find_ending(checked.root, gives),
        affine=all(STEPS[step.step["op"]].affine for step in steps),
        notes=_note_trust(checked.trusted),
    )


def _count_inputs(steps: list[Operation], root: SkopsObject) -> int:
    """Return the number of inputs: the length of the first array, or what the model says. Raises CorruptError."""
    width = next((len(step.array) for step in steps if step.array is not None), None)
    width = width or root.fields.get("n_features_in_")
    if type(width) is not int or width < 1:
        raise CorruptError("its model does not say how many pixels it takes")
    return width


def _find_ending(root: SkopsObject, outputs: int) -> Ending | None:
    """Return the activation that scikit-learn puts behind a perceptron's scores, and that the steps leave out."""
    while root.type.endswith((".Pipeline", ".GridSearchCV")):
        root = root.fields["best_estimator_"] if "best_estimator_" in root.fields else root.fields["steps"][-1][1]
        if not isinstance(root, SkopsObject):
            return None
    if not root.type.endswith(".MLPClassifier"):
        return None
    return "sigmoid" if outputs == 1 else "softmax"


def _read_scores(content: bytes, checked: CheckedSkops, reason: str) -> ForeignModel:
    if checked.sparse:
        raise CorruptError("it holds a sparse matrix, which only the coefficients of a linear model may be")
    graph: dict[str, Any] = {"trusted": list(checked.trusted)}
    process = ScoreProcess(SCORES_FORMAT, content, graph)
    try:
        found = process.describe()
    finally:
        process.close()
    note = f"it is asked for scores only, without gradients: {reason.rpartition('.')[2]} is no chain of known steps"
    return ForeignModel(
        SCORES_FORMAT,
        {**graph, "classes": found.classes},
        {},
        (found.takes,),
        (found.gives,),
        differentiable=False,
        file=content,
        notes=(note, *found.notes, *_note_trust(checked.trusted)),
    )


def _note_trust(trusted: Sequence[str]) -> tuple[str, ...]:
    return (f"trusted by --trust: {', '.join(trusted)}",) if trusted else ()
