"""Every table of the report. A row here puts one into Markdown and CSV; the page has its own places for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from advae.report.analysis.activations import SOFTPLUS, ActivationRecord, list_activation_records
from advae.report.analysis.baseline_comparison import (
    BaselineRecord,
    list_baselines,
    list_missing_baselines,
)
from advae.report.analysis.certified_accuracy import (
    CertifiedRecord,
    SmoothedRecord,
    list_certified,
    list_smoothed,
)
from advae.report.analysis.check_results import (
    CheckRecord,
    describe_place,
    list_checks,
    list_run_checks,
    summarize_checks,
)
from advae.report.analysis.confusion import (
    MOST_SHOWN,
    ScoresRecord,
    list_matrix_lines,
    list_score_lines,
    select_shown,
    tabulate_matrix,
    tabulate_report,
    title_scores,
)
from advae.report.analysis.headline_records import HeadlineRecord, list_headlines
from advae.report.analysis.illusion_gap import GapRecord, list_gaps
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.run_results import AccuracyRecord, list_accuracies
from advae.report.analysis.seed_spread import SeedRecord, list_spreads
from advae.report.analysis.tables import Findings, Table, flatten_record
from advae.report.analysis.threat_comparison import ThreatModelRecord, list_threat_models
from advae.report.data.grouping import group_by
from advae.report.data.runs import Run
from advae.report.data.word_tables import Grid, Part
from advae.report.formats.accuracy_table import explain_rows, tabulate_accuracy
from advae.report.formats.certificate_tables import tabulate_certified, tabulate_smoothed
from advae.report.formats.code_attack_table import CODE_TABLES
from advae.report.formats.record_tables import (
    tabulate_activations,
    tabulate_baselines,
    tabulate_checks,
    tabulate_headlines,
    tabulate_spreads,
    tabulate_threats,
)
from advae.report.formats.retraining_tables import RETRAINING_TABLES
from advae.report.formats.screen_tables import SCREEN_TABLES
from advae.report.formats.surface_tables import SURFACE_TABLES
from advae.report.wording import BENEFIT, NOT_RUN


def _tabulate_headlines(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_headlines):
        yield Part(tabulate_headlines(records, findings.collect(list_first_numbers)), {})


def _tabulate_accuracy(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_accuracies):
        yield Part(tabulate_accuracy(records), {}, aside=explain_rows(findings, "report.csv"))


def _tabulate_certified(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_certified):
        yield Part(tabulate_certified(records), {})


def _tabulate_smoothed(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_smoothed):
        yield Part(tabulate_smoothed(records), {})


def _tabulate_activations(findings: Findings) -> Iterator[Part]:
    records = findings.collect(list_activation_records)
    if records:
        yield Part(tabulate_activations(records), {})


def _tabulate_baselines(findings: Findings) -> Iterator[Part]:
    explained = explain_rows(findings, "report-baselines.csv")
    found = group_by(findings.collect(list_baselines), lambda one: (one.dataset, one.classifier))
    lacking = {(one.dataset, one.classifier): one for one in findings.collect(list_missing_baselines)}
    for key in sorted({*found, *lacking}):
        name, missing = ", ".join(key), lacking.get(key)
        absent = f"{NOT_RUN}: {', '.join(missing.missing)}; the command below runs them." if missing else ""
        aside, command = " ".join(filter(None, (explained, absent))), missing.command if missing else ""
        yield Part(tabulate_baselines(name, found.get(key, [])), {}, name, aside, command)


def _tabulate_seeds(findings: Findings) -> Iterator[Part]:
    spreads = findings.collect(list_spreads)
    if spreads:
        yield Part(tabulate_spreads(spreads), {}, aside=explain_rows(findings, "report-seeds.csv"))


def _tabulate_threats(findings: Findings) -> Iterator[Part]:
    aside = explain_rows(findings, "report-threat-models.csv")
    records = group_by(findings.collect(list_threat_models), lambda one: one.classifier_id)
    for id_, several in group_by(findings.collect(list_accuracies), lambda one: one.classifier_id).items():
        grid = tabulate_threats(records.get(id_, ()), sized=len({one.samples for one in several}) > 1)
        yield Part(grid, {"classifier_id": id_}, THREATS_HEADING, aside)


def _tabulate_checks(findings: Findings) -> Iterator[Part]:
    for (id_, headline), records in group_by(findings.collect(list_checks), _identify_checked).items():
        run, eps, norm = records[0].run, records[0].eps, records[0].norm
        about = "" if headline else " in the other norm"
        aside = f"On the strongest adaptive attack: {describe_place(run, eps, norm)}." if run else ""
        grid = tabulate_checks(f"Checks on {id_}{about}", records)
        yield Part(grid, {"classifier_id": id_}, f"{CHECKS_HEADING}{about}: {summarize_checks(records)}", aside)


def _identify_checked(record: CheckRecord) -> tuple[str, bool]:
    return record.classifier_id, record.headline


def _tabulate_run_checks(findings: Findings) -> Iterator[Part]:
    for id_, records in group_by(findings.collect(list_run_checks), lambda one: str(one.run)).items():
        yield Part(tabulate_checks(f"Checks on {id_} alone", records), {"run": id_}, RUN_CHECKS_HEADING)


def _tabulate_scores(
    caption: str, large: str, tabulate: Callable[[Run, ScoresRecord], Grid]
) -> Callable[[Findings], Iterator[Part]]:
    """Return what tabulates the scores of each run that a page has room for. large: the caption for many classes."""

    def tabulate_all(findings: Findings) -> Iterator[Part]:
        shown = select_shown(findings)
        for run in findings.comparison.runs:
            for scores in shown[run.id]:
                aside = large if scores.is_large else caption
                yield Part(tabulate(run, scores), {"run": run.id, "eps": scores.eps}, title_scores(run, scores), aside)

    return tabulate_all


ACCURACY = "accuracy"
HEADLINES_EXPLAINED = (
    "Oblivious: an attacker who does not know of the defence. Adaptive: an attacker who knows all of it. The illusion "
    "gap is the overestimated robustness: the robust accuracy under the first minus that under the second. Pipelines "
    "of one dataset are shown at the same eps, the largest that all share, those of one kind of classifier on the same "
    "images, as far as they were attacked there and no other attack leads to a clearly lower robust accuracy; any "
    "other number names its attack."
)
CERTIFIED_EXPLAINED = (
    "Certified accuracy: the share of the images that are classified correctly everywhere within eps, by proof, "
    "whatever the attack. The strongest attack within eps bounds the robust accuracy from above, on the same images. "
    "Between the two it is not known; where no attack was run, nothing is known above the certified accuracy. Without "
    "the purifier: the same classifier, trained in the same way. A loss, or a difference with a p-value (McNemar) of "
    "0.05 or more, means that the purifier brings nothing."
)
SMOOTHED_EXPLAINED = (
    "Randomised smoothing certifies another pipeline: the one that predicts the most frequent class under noise. It "
    "has a clean accuracy of its own, and an abstention counts as wrong. The certificate of an image is wrong with "
    "probability alpha at most. Attacks on the pipeline without noise say nothing about it: its own upper bound is NOT "
    "RUN."
)
THREATS_HEADING = "Robust accuracy by threat model"
CHECKS_HEADING = "Checks"
RUN_CHECKS_HEADING = "Checks on this run alone"
MATRIX = "Confusion matrix. Rows: true class. Columns: predicted class."
REPORT = "Classification report."
LARGE_MATRIX = f"The {MOST_SHOWN} most frequent mistakes; report-matrices.csv and report.json have all."
LARGE_REPORT = f"The {MOST_SHOWN} classes with the lowest F1; report-scores.csv and report.json have all."

TABLES: dict[str, Table] = {
    **SCREEN_TABLES,
    "headlines": Table(
        "Robust accuracy of each pipeline",
        HEADLINES_EXPLAINED,
        "report",
        _tabulate_headlines,
        HeadlineRecord,
        list_headlines,
        marks=("classifier_id", "pipeline", "clean_accuracy"),
    ),
    "illusion_gaps": Table(
        "Illusion gaps",
        "Overestimated robustness: the robust accuracy under an oblivious attacker minus that under an adaptive one.",
        "report",
        lambda _: (),
        GapRecord,
        list_gaps,
        marks=("classifier_id", "illusion_gap"),
    ),
    "certified": Table(
        "Certified accuracy",
        CERTIFIED_EXPLAINED,
        "report",
        _tabulate_certified,
        CertifiedRecord,
        list_certified,
        marks=("classifier_id", "certificate", "certified_accuracy"),
    ),
    "smoothed": Table(
        "Certified accuracy of smoothed pipelines",
        SMOOTHED_EXPLAINED,
        "report",
        _tabulate_smoothed,
        SmoothedRecord,
        list_smoothed,
        marks=("classifier_id", "certificate", "sigma"),
    ),
    **RETRAINING_TABLES,
    **SURFACE_TABLES,
    **CODE_TABLES,
    "activations": Table(
        "Activations of the hidden layers",
        f"Autoencoders that differ in the activations of their hidden layers only. {SOFTPLUS}",
        "report",
        _tabulate_activations,
        ActivationRecord,
        list_activation_records,
        marks=("hidden_activations", "training_loss"),
    ),
    ACCURACY: Table(
        "Accuracy, defended and undefended",
        "The undefended counterpart is the same attack, at the same eps and on the same images, on a classifier of the "
        "same kind that has no purifier. NOT RUN means that the registry holds no such run.",
        "report",
        _tabulate_accuracy,
        AccuracyRecord,
        list_accuracies,
        marks=("run", "classifier_id", "threat", "eps"),
    ),
    "baselines": Table(
        "Autoencoders and baselines",
        BENEFIT,
        "report",
        _tabulate_baselines,
        BaselineRecord,
        list_baselines,
        marks=("classifier_id", "run", "purifier"),
    ),
    "seeds": Table(
        "Robust accuracy over seeds",
        "Pipelines that differ in their seeds only, under the same attack on the same images: how much a number "
        "depends on chance.",
        "report",
        _tabulate_seeds,
        SeedRecord,
        list_spreads,
        marks=("pipeline", "seeds", "runs"),
    ),
    "threat_models": Table(
        THREATS_HEADING,
        "Robust accuracy under the strongest valid attack of each threat model at each eps, from the least knowledge "
        "to the most.",
        "pipeline",
        _tabulate_threats,
        ThreatModelRecord,
        list_threat_models,
        marks=("classifier_id", "run", "threat"),
    ),
    "checks": Table(
        CHECKS_HEADING,
        "Every check on the result of the strongest adaptive attack, compared with the other runs.",
        "pipeline",
        _tabulate_checks,
        CheckRecord,
        list_checks,
        marks=("classifier_id", "run", "check", "status"),
    ),
    "run_checks": Table(
        RUN_CHECKS_HEADING,
        "The checks that need no other run, as they were stored with the run.",
        "run",
        _tabulate_run_checks,
        None,
        flatten=lambda findings: map(flatten_record, findings.collect(list_run_checks)),
        marks=("classifier_id", "run", "check", "status"),
    ),
    "matrices": Table(
        "Confusion matrices",
        "How many images of each true class were predicted as which. What is omitted for its size is in report.json.",
        "run",
        _tabulate_scores(MATRIX, LARGE_MATRIX, tabulate_matrix),
        None,
        flatten=list_matrix_lines,
        marks=("run", "true_label", "predicted_label"),
    ),
    "scores": Table(
        "Classification reports",
        "Precision, recall and F1 of each class, as scikit-learn defines them, and their averages.",
        "run",
        _tabulate_scores(REPORT, LARGE_REPORT, tabulate_report),
        None,
        flatten=list_score_lines,
        marks=("run", "label", "precision", "support"),
    ),
}
"""By name, in their order in the report. ``report.json`` has the records of a table under its name.

The CSV of ACCURACY is ``report.csv``, else ``report-<name>.csv``.
"""


def list_tables(sections: Mapping[str, Table]) -> dict[str, Table]:
    """Return the tables of a report in their order: the sections follow the headlines."""
    return {"headlines": TABLES["headlines"], **sections, **TABLES}


def name_keys(sections: Mapping[str, Table]) -> dict[str, str]:
    """Return what the CSV of each table is called among the report's files, ``csv-seeds``; by the table's name."""
    names = {name: f"csv-{name.replace('_', '-')}" for name in list_tables(sections)}
    return names | {ACCURACY: "csv"}


def group_parts(findings: Findings) -> dict[object, list[tuple[str, Part]]]:
    """Return the parts of the tables about pipelines and runs, each with its table's name, by classifier's or run's id.

    The key of a part that names it comes first among its keys.
    """
    tables = [(name, table) for name, table in TABLES.items() if table.about != "report"]
    named = ((name, part) for name, table in tables for part in table.tabulate(findings))
    return group_by(named, lambda one: next(iter(one[1].keys.values())))
