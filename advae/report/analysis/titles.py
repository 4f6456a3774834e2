"""The finding of a report as a title: which autoencoders protect the classifier."""

from __future__ import annotations

from collections.abc import Sequence

from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.ratings import PROTECTS, DefenceResult
from advae.report.wording import format_share

ALONE: dict[DefenceResult, str] = {
    "holds": "The {name} autoencoder protects the classifier",
    "partial": "The {name} autoencoder protects the classifier in part",
    "weak": "The {name} autoencoder hardly protects the classifier",
    "broken": "The {name} autoencoder does not protect the classifier",
    "not established": "Not established whether the {name} autoencoder protects the classifier",
    "collapsed": "The classifier behind the {name} autoencoder has collapsed to one class",
}
"""Title where there is one autoencoder, by its rating."""

MOST_NAMED = 2
"""Autoencoders that a title names; of more it gives the number."""


def title_report(datasets: Sequence[tuple[str, str]]) -> str:
    """Return the title of a report from the title of each dataset, (name, title)."""
    if len(datasets) == 1:
        return datasets[0][1]
    same = {title for _, title in datasets}
    if len(same) == 1:
        return f"{same.pop()} on {_join([name for name, _ in datasets])}"
    return "; ".join(f"{name}: {title[0].lower()}{title[1:]}" for name, title in datasets)


def title_dataset(numbers: Sequence[PipelineNumber], smoothed: int = 0) -> str:
    """Return the finding on one dataset.

    numbers: the headline of each pipeline; smoothed: number of pipelines that were only smoothed, and have none.
    """
    defences = [one for one in numbers if one.role == "autoencoder" and one.defence]
    if not defences:
        return _title_without(numbers, smoothed)
    if len(defences) == 1:
        return _title_one(defences[0])
    results = [one.defence.result for one in defences if one.defence]
    protecting = [one for one in defences if one.defence and one.defence.result in PROTECTS]
    if protecting:
        return _title_protecting(protecting, defences)
    if {*results} == {"collapsed"}:
        return f"The classifier behind each of {count_defences(defences)} has collapsed to one class"
    if {*results} <= {"not established", "collapsed"}:
        return f"Not established whether any of {count_defences(defences)} protects the classifier"
    several = f"{len({one.autoencoder_id for one in defences})} autoencoders"
    unknown = results.count("not established")
    if unknown:
        return f"None of {several} is shown to protect the classifier ({unknown} not established)"
    return f"None of {several} protects the classifier"


def _title_one(defence: PipelineNumber) -> str:
    result, name = defence.defence.result if defence.defence else "not established", _name(defence)
    if defence.robust is None and defence.certified:
        part = {"holds": "", "partial": " in part"}.get(result)
        if part is None:
            return f"The {name} autoencoder is certified and was not attacked"
        return f"A certificate proves that the {name} autoencoder protects the classifier{part}"
    return ALONE[result].format(name=name)


def _title_protecting(protecting: Sequence[PipelineNumber], defences: Sequence[PipelineNumber]) -> str:
    whole = any(one.defence and one.defence.result == "holds" for one in protecting)
    part = "" if whole else " in part"
    if len(protecting) == len(defences):
        return f"Each of {count_defences(defences)} protects the classifier{part}"
    verb = "protects" if len(protecting) == 1 else "protect"
    names = f": {_join([_name(one) for one in protecting])}" if len(protecting) <= MOST_NAMED else ""
    return f"{len(protecting)} of {count_defences(defences)} {verb} the classifier{part}{names}"


def _title_without(numbers: Sequence[PipelineNumber], smoothed: int) -> str:
    """Return the title of a report without the number of any autoencoder."""
    best = max((one for one in numbers if one.robust), key=lambda one: one.known, default=None)
    if smoothed and best is None:
        return (
            f"{smoothed} {'pipeline was' if smoothed == 1 else 'pipelines were'} smoothed and certified, not attacked"
        )
    if best is None or best.robust is None:
        return "No autoencoder was attacked or certified"
    known = {"undefended": "the undefended classifier", "retrained": f"the classifier {best.purifier_name}"}
    who = known.get(best.role, f"the baseline {best.purifier_name}")
    return f"No autoencoder was attacked; {who} has {format_share(best.robust.value)} robust accuracy"


def count_defences(defences: Sequence[PipelineNumber]) -> str:
    """Return how many there are; an autoencoder in front of two classifiers is two pipelines."""
    total = len(defences)
    if len({one.autoencoder_id for one in defences}) == total:
        return f"{total} autoencoders"
    return f"{total} pipelines with an autoencoder"


def _name(defence: PipelineNumber) -> str:
    return defence.purifier_name


def _join(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
