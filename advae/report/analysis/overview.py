"""The first screen: its title, the number that it shows large, and the summary to copy."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from advae.errors import printable
from advae.records import Norm, key_eps
from advae.report.analysis.code_attack_records import list_code_attacks, title_code_attacks
from advae.report.analysis.eps_choices import EpsChoice, list_eps_choices
from advae.report.analysis.headline_records import Strength
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.ratings import PROTECTS, DefenceRating, NumberRating
from advae.report.analysis.tables import Findings, Ids, ShownInterval, ShownShare, TableRecord
from advae.report.analysis.titles import title_dataset, title_report
from advae.report.wording import NBSP, NOT_RUN, TITLE, format_budget, format_rate, format_share


class OverviewRecord(TableRecord):
    """What a report finds on one dataset, in one title and one number."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    title: str
    """The finding, one sentence without a full stop."""
    classifier_id: str | None
    """The id of the classifier whose number is shown large: the best autoencoder, else the best of all that was
    measured; null where no pipeline has a number."""
    pipeline: str | None
    """That pipeline in words; null likewise."""
    norm: Norm | None
    """The norm of the eps that is shown first; null where nothing was attacked or certified."""
    eps: float | None
    """The eps that is shown first, in units of an image's range, 0 to 1; null likewise."""
    shared_eps: bool
    """Whether every pipeline with a purifier that was attacked has its number at this eps."""
    robust_accuracy: ShownShare | None
    """White-box robust accuracy of that pipeline, 0 to 1; null where it was only certified."""
    robust_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of it; null likewise."""
    oblivious_accuracy: ShownShare | None
    """Its robust accuracy under an oblivious attacker, 0 to 1; null where that was not run, or without purifier."""
    certified_accuracy: ShownShare | None
    """Its certified accuracy, 0 to 1; null where nothing is proved."""
    images: str | None
    """Number of test images of the number in words: of how many, and how they were chosen; null without a number."""
    attack: str | None
    """The attack of the number in words; null without a number."""
    runs: int
    """Number of runs on the dataset."""
    defences: Ids
    """Ids of the classifiers behind an autoencoder that the title counts."""
    protecting: Ids
    """Those of them whose defence holds or is partial."""
    defence: DefenceRating | None
    """Whether that defence is good; null for an undefended classifier and without a number."""
    reliability: NumberRating | None
    """Whether that number is reliable; null without a number."""
    measured: str
    """The day on which the newest run or classifier was made, in UTC: year-month-day."""
    version: str
    """Version of advae that wrote the report."""
    summary: str
    """All of this as a few lines of plain text, to copy."""


def list_overviews(findings: Findings) -> Iterator[OverviewRecord]:
    """Yield the record of each dataset, in alphabetical order."""
    for dataset in findings.comparison.datasets:
        numbers = [one for one in findings.collect(list_first_numbers) if one.dataset == dataset]
        choices = [one for one in findings.collect(list_eps_choices) if one.dataset == dataset]
        yield _describe(findings, dataset, numbers, next((one for one in choices if one.shown), None))


def write_title(findings: Findings) -> str:
    """Return the title of the whole report: its finding on each dataset."""
    titles = [(one.dataset, one.title) for one in findings.collect(list_overviews)]
    return printable(title_report(titles or [("", TITLE)]), keep=NBSP)


def _describe(
    findings: Findings, dataset: str, numbers: list[PipelineNumber], choice: EpsChoice | None
) -> OverviewRecord:
    defences = [one for one in numbers if one.role == "autoencoder"]
    best, robust = find_best(numbers, choice), None
    robust = best.white_box if best and isinstance(best.white_box, Strength) else None
    record = OverviewRecord(
        dataset=dataset,
        title=printable(_write_finding(findings, dataset, numbers), keep=NBSP),
        classifier_id=best.classifier_id if best else None,
        pipeline=best.pipeline if best else None,
        norm=choice.norm if choice else None,
        eps=choice.eps if choice else None,
        shared_eps=bool(choice and choice.shared),
        robust_accuracy=robust.robust_accuracy if robust else None,
        robust_accuracy_interval=robust.robust_accuracy_interval if robust else None,
        oblivious_accuracy=best.oblivious.robust_accuracy if best and isinstance(best.oblivious, Strength) else None,
        certified_accuracy=best.certified.accuracy if best and best.certified else None,
        images=robust.images if robust else None,
        attack=robust.attack if robust else None,
        runs=sum(run.dataset == dataset for run in findings.comparison.runs),
        defences=tuple(one.classifier_id for one in defences),
        protecting=tuple(one.classifier_id for one in defences if one.defence and one.defence.result in PROTECTS),
        defence=best.defence if best else None,
        reliability=best.reliability if best else None,
        measured=_find_newest(findings, dataset),
        version=metadata.version("advae"),
        summary="",
    )
    # A line break in a name from a file begins no line.
    lines = (printable(line, keep=NBSP) for line in _summarize(record, best))
    return record.model_copy(update={"summary": "\n".join(lines)})


def _write_finding(findings: Findings, dataset: str, numbers: list[PipelineNumber]) -> str:
    """Return the finding on a dataset as its title; on one of which only codes were attacked, what that found."""
    smoothed = _count_smoothed(findings, dataset)
    attacked = [one for one in findings.collect(list_code_attacks) if one.dataset == dataset]
    return title_dataset(numbers, smoothed) if numbers or smoothed or not attacked else title_code_attacks(attacked)


def find_best(numbers: list[PipelineNumber], choice: EpsChoice | None) -> PipelineNumber | None:
    """Return the pipeline whose number is shown large; None where none has one.

    An autoencoder before a retrained classifier before a baseline before none; one that protects before one that does
    not, a result that is not established and a collapsed classifier last; then one at the eps that is shown first; then
    by robust accuracy, then by the illusion gap.
    """
    known = [one for one in numbers if one.robust or one.certified]
    roles = ("autoencoder", "retrained", "baseline", "undefended")
    ranks = {"holds": 0, "partial": 0, "weak": 1, "broken": 1, "not established": 2, "collapsed": 3}

    def rank(one: PipelineNumber) -> tuple[object, ...]:
        gap = one.illusion_gap if isinstance(one.illusion_gap, float) else 0.0
        elsewhere = choice is None or (one.norm, key_eps(one.eps)) != choice.budget
        rating = ranks[one.defence.result] if one.defence else 1
        return roles.index(one.role), rating, elsewhere, -one.known, -gap, one.classifier_id

    return min(known, key=rank, default=None)


def _count_smoothed(findings: Findings, dataset: str) -> int:
    """Return how many pipelines of a dataset were smoothed and neither attacked nor certified in another way."""
    own = [one for one in findings.comparison.unattacked if one.dataset == dataset]
    return sum(all(proof.smoothed for proof in one.certificates) for one in own)


def _find_newest(findings: Findings, dataset: str) -> str:
    comparison = findings.comparison
    made = [run.manifest.created for run in comparison.runs if run.dataset == dataset]
    made = made or [one.classifier.created for one in comparison.unattacked if one.dataset == dataset]
    newest = max(made or [one.manifest.created for one in comparison.code_attacks if one.dataset == dataset])
    # The day alone, so that the same results give the same report.
    return newest[: len("2026-11-30")]


def _summarize(record: OverviewRecord, best: PipelineNumber | None) -> Iterator[str]:
    """Yield the lines of the summary to copy."""
    attack = "white-box (adaptive) attack"
    yield record.title
    if best:
        rate = f"{format_rate(best.robust)} robust accuracy (95{NBSP}% interval), {attack}"
        yield f"{best.pipeline}: {rate if best.robust else f'{attack} {NOT_RUN}'}"
        proved = best.certified
        if proved:
            yield f"Certified accuracy: {format_rate(proved.rate)} ({proved.method}, n = {proved.n})"
        how = f"{record.attack}, n = {record.images}, " if record.attack else ""
        yield f"{how}eps {format_budget(best.eps, best.norm)}, {best.norm}, dataset {record.dataset}"
        if isinstance(best.oblivious, Strength):
            yield f"Robust accuracy under an oblivious attack: {format_share(best.oblivious.robust_accuracy)}"
        yield f"Clean accuracy: {format_rate(best.clean)}; chance: {format_share(best.chance)}"
        if best.defence:
            yield f"Defence: {best.defence.result} ({best.defence.reason})"
        yield f"Number: {best.reliability.result} ({best.reliability.reason})"
    yield f"advae {record.version}, measured {record.measured}"
