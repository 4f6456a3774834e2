"""The file of a plan: read, checked and refused in one line."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from reprlib import Repr

from pydantic import ValidationError

from advae.arrayfiles import explain
from advae.attacks import ATTACKS, FROM_FILE
from advae.certificates import CERTIFICATES
from advae.datasets.table import DATASETS, is_npz, is_own
from advae.errors import BudgetError, UsageError, unknown
from advae.experiments.calibration import Calibration
from advae.experiments.code_attack_plan import CodeAttackPlan
from advae.experiments.plan import NONE, OWN, AttackPlan, CertificatePlan, Experiment, PlannedPipelines, SurfacePlan
from advae.named_plans import PAPER_PLAN, PLANS
from advae.paths import to_path
from advae.records import Record
from advae.requests import read_float

PAPER = PLANS[PAPER_PLAN].path
"""The plan of the paper's experiment."""

LONGEST = 1 << 20
"""Largest size of a plan, in bytes."""


def find_plan(name: str) -> Path:
    """Return the file of a plan that comes with advae, or else the path that a user gave.

    Raises UsageError for a name that is neither.
    """
    if name in PLANS:
        return PLANS[name].path
    path = to_path(name)
    if path.suffix or path.exists() or len(path.parts) > 1:
        return path
    raise UsageError(unknown("plan", name, PLANS) + "; or a file, PLAN.toml")


def read_experiment(path: Path | None = None) -> Experiment:
    """Return the plan of a TOML file; path: None for the paper's plan. Paths are relative to the file.

    Raises UsageError for a file that cannot be read, is no TOML, or uses a name that it does not define.
    """
    path = path or PAPER
    try:
        text = _decode(_read(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"bad plan {path}: not UTF-8 text, at byte {error.start}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read plan {path}: {explain(error)}") from None
    try:
        experiment = Experiment.model_validate(tomllib.loads(text, parse_float=read_float))
    except ValidationError as error:
        raise UsageError(f"bad plan {path}: {_explain(error)}") from None
    except RecursionError:
        raise UsageError(f"bad plan {path}: its tables or lists are nested too deeply") from None
    # ValueError is also raised for a number with more digits than Python reads.
    except (ValueError, BudgetError) as error:
        raise UsageError(f"bad plan {path}: {error}") from None
    for problem in _find_problems(experiment):
        raise UsageError(f"bad plan {path}: {problem}")
    places = tuple(_place(name, path.parent) for name in experiment.datasets)
    return experiment.model_copy(update={"datasets": places})


def _read(path: Path) -> bytes:
    """Return the bytes of a plan, also from a pipe. Raises ValueError for too long a plan; OSError."""
    with path.open("rb") as stream:
        content = stream.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} bytes")
    return content


def _decode(content: bytes) -> str:
    """Return the text of a plan: UTF-8, or as some Windows programs write it, with a byte order mark or in UTF-16."""
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    # TOML does not allow a lone carriage return as the end of a line.
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


_SHORT = Repr()
"""Shows a value of a plan in one line; long values are shortened."""
_SHORT.maxstring = _SHORT.maxother = 200


def _explain(error: ValidationError) -> str:
    """Return the first error that pydantic found, with its place in the file.

    An unknown name comes before a missing one, because it is often the same name mistyped.
    """
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    if first["type"] == "extra_forbidden":
        return _explain_unknown(first["loc"])
    place = _write_place(first["loc"])
    # For a missing field pydantic shows the whole table.
    got = "" if first["type"] == "missing" else f", got {_SHORT.repr(first['input'])}"
    return f"{place[:200]}: {first['msg'].lower()}{got}"


PLAN_TABLES: dict[str, type[Record]] = {
    "attacks": AttackPlan,
    "certificates": CertificatePlan,
    "surfaces": SurfacePlan,
    "code-attacks": CodeAttackPlan,
    "calibrate": Calibration,
}
"""Name of a list of tables in a plan, or of a table in one of them -> what it contains."""

LONGEST_KEY = 200
"""Most characters of an unknown key that are shown."""


def _explain_unknown(place: Sequence[int | str]) -> str:
    """Return the error line for a key that a plan, or a table of it, does not have, with all keys that it has."""
    *above, key = place
    tables = [part for part in above if isinstance(part, str)]
    fields = (PLAN_TABLES[tables[-1]] if tables else Experiment).model_fields
    known = [field.alias or name for name, field in fields.items()]
    where = f"{_write_place(above)}: " if above else ""
    return where + unknown("key", str(key)[:LONGEST_KEY], known)


def _write_place(parts: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _find_problems(experiment: Experiment) -> Iterator[str]:
    """Yield each error in the names and options of a plan."""
    if experiment.resize and all(name in DATASETS or is_npz(name) for name in experiment.datasets):
        yield f"resize is for folders of images, and there is none among datasets: {', '.join(experiment.datasets)}"
    if NONE in experiment.autoencoders:
        yield f"autoencoders.{NONE}: the name means no autoencoder"
    if OWN in experiment.classifiers:
        yield f"classifiers.{OWN}: the name means the classifier that an autoencoder was trained with"
    for name in experiment.autoencoders:
        yield from _try(f"autoencoders.{name}", partial(experiment.request_autoencoder, name, 0))
        yield from _try(f"autoencoders.{name}", partial(experiment.find_protected, name))
    for name in experiment.classifiers:
        yield from _try(f"classifiers.{name}", partial(experiment.request_classifier, name, 0))
    results = (experiment.attacks, experiment.certificates, experiment.surfaces, experiment.code_attacks)
    if not any(results):
        yield "it has no attacks, no certificates, no surfaces and no code-attacks"
    for index, plan in enumerate(experiment.attacks):
        yield from _find_misnamed(experiment, f"attacks[{index}]", plan)
        yield from _find_given(f"attacks[{index}]", plan)
        if bool(plan.eps) == (plan.calibrate is not None):
            yield f"attacks[{index}]: it has either eps, a list of radii, or calibrate, how eps is searched"
        if plan.calibrate:
            yield from _try(f"attacks[{index}].calibrate", partial(plan.calibrate.make_request, 0, plan.norm))
        yield from _try(f"attacks[{index}]", partial(plan.list_requests, 0))
    for index, certified in enumerate(experiment.certificates):
        yield from _find_misnamed(experiment, f"certificates[{index}]", certified)
        yield from _try(f"certificates[{index}]", partial(certified.list_requests, 0))
    for index, drawn in enumerate(experiment.surfaces):
        yield from _find_misnamed(experiment, f"surfaces[{index}]", drawn)
        yield from _try(f"surfaces[{index}]", partial(drawn.make_request, 0))
    for index, steered in enumerate(experiment.code_attacks):
        place = f"code-attacks[{index}]"
        yield from _find_unknown(f"{place}.autoencoders", steered.autoencoders, tuple(experiment.autoencoders))
        yield from _try(place, partial(steered.make_request, 0))


def _find_misnamed(experiment: Experiment, place: str, plan: PlannedPipelines) -> Iterator[str]:
    """Yield the names of classifiers, autoencoders and certificates that there are not; attacks are checked later."""
    yield from _find_unknown(f"{place}.classifiers", plan.classifiers, tuple(experiment.classifiers))
    yield from _find_unknown(f"{place}.behind", plan.behind, (NONE, *experiment.autoencoders))
    if isinstance(plan, CertificatePlan):
        yield from _find_unknown(f"{place}.methods", plan.methods or (), tuple(CERTIFICATES), "method")


def _find_given(place: str, plan: AttackPlan) -> Iterator[str]:
    """Yield where a plan asks for adversarial examples from a file, which it cannot make again."""
    for option, names in (("methods", plan.methods), ("threats", plan.threats)):
        for name in names:
            if name in (FROM_FILE, ATTACKS[FROM_FILE].threat):
                yield (
                    f"{place}.{option}: a plan has no {name!r}, whose adversarial examples are made elsewhere; "
                    "`advae attack --from-file ADV.npy` scores them"
                )


def _try(place: str, action: Callable[[], object]) -> Iterator[str]:
    try:
        action()
    except UsageError as error:
        yield f"{place}: {error}"


def _find_unknown(place: str, names: Sequence[str], known: tuple[str, ...], what: str = "name") -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{place}: {unknown(what, name, known)}"


def _place(name: str, folder: Path) -> str:
    """Return a dataset's name, or the path of an .npz or a folder, which is relative to the plan."""
    path = folder / to_path(name)
    return str(path) if is_own(name, path) else name
