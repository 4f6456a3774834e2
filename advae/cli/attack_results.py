"""The output of ``advae attack``: JSON for programs, tables for people, and the threshold of --fail-under."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from advae.checks import NOT_VALID, ON_IMAGES, check_run, describe_departure, find_version, show_size
from advae.cli.entry_names import say_found
from advae.cli.result_tables import start_table, write_clean, write_eps, write_method, write_rate
from advae.cli.seed_spread import list_classifiers, summarise_seeds, tabulate_spread
from advae.cli.session import Session
from advae.errors import CheckFailedError
from advae.records import ClassifierRecipe, EpsResult, RunMetrics
from advae.report.analysis.certified_accuracy import CertifiedRange, describe_bounds
from advae.report.analysis.check_results import FailureRecord, describe_excluded, list_all_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.data.certificate_reader import CertificateFinder
from advae.report.data.contents import AttackedPipeline, Comparison
from advae.report.data.run_reader import open_run
from advae.report.data.runs import Measured
from advae.report.formats.attack_checks import build_check_table
from advae.report.formats.fitted_table import FittedTable
from advae.report.wording import DRAW_RULES, UPPER_BOUND, describe_beyond, describe_distances
from advae.run_options import RUN_OPTIONS, values_of
from advae.settings import FLOAT32
from advae.threats import THREATS
from advae.workflows import Attacks, Made

Proved = dict[str, list[CertifiedRange | None]]
"""Id of a run -> what is certified at each of its eps, None where nothing is."""


def compare_attacks(session: Session, attacks: Attacks) -> Comparison:
    """Return the comparison of a command's runs; of equally strong runs the requested ones come first."""
    ids = _list_ids(attacks.all)
    return compare_runs(session.registry, [session.registry.manifest(id_) for id_ in ids], asked=ids)


def put_runs(session: Session, attacks: Attacks, comparison: Comparison | None) -> None:
    """Print the ids of the runs, the requested ones first, or with ``--json`` their results.

    With ``--check`` also the check results of each classifier that was attacked.
    """
    made = attacks.all
    for one in made:
        if one.cached:
            # A stored run, perhaps imported, must agree with its own stored outcomes.
            open_run(session.registry, one.manifest)
    classifiers = {id_: session.registry.manifest(id_).as_classifier()[0] for id_ in list_classifiers(made)}
    proved = _find_proved(session, made)
    for id_, classifier in classifiers.items():
        session.tell(_tabulate_runs([one for one in made if one.manifest.parents[0] == id_], classifier, proved))
    for one in made:
        if one.cached and one.manifest.imported:
            session.tell(f"{one.manifest.id} {say_found(one.manifest)}")
    for line in dict.fromkeys(line for one in made for line in _describe_given(one)):
        session.tell(line)
    if not attacks.checks:
        for line in _list_faults(made):
            session.tell(line)
    spread = list(summarise_seeds(made, classifiers)) if attacks.seeds > 1 else []
    if spread:
        session.tell(tabulate_spread(spread))
    documents = [_describe_run(one, classifiers[one.manifest.parents[0]].autoencoder, proved) for one in made]
    document: dict[str, Any] = {"runs": documents}
    if spread:
        document["spread"] = [vars(one) for one in spread]
    if attacks.checks and comparison:
        document |= _tell_checks(session, attacks, comparison)
    session.put(documents[0] if len(document) == len(documents) == 1 else document, "\n".join(_list_ids(made)))


def _find_proved(session: Session, made: Iterable[Made]) -> Proved:
    """Return what is certified at the eps of each run, by the run's id; says which certificates cannot be read."""
    registry = session.registry
    finder = CertificateFinder(registry, lambda id_, error: session.tell(describe_excluded(id_, str(error))))
    found: Proved = {}
    for one in made:
        if certificates := finder.find(one.manifest.parents[0]):
            run = replace(open_run(registry, one.manifest), certificates=certificates)
            found[run.id] = [describe_bounds(Measured(run, index)) for index in range(len(run.recipe.eps))]
    return found


def _describe_given(made: Made) -> Iterator[str]:
    """Yield what a reader must know of adversarial examples from a file."""
    recipe, metrics = made.manifest.as_run()
    if recipe.examples:
        yield UPPER_BOUND
        yield describe_distances(recipe, metrics)
        yield from describe_beyond(metrics, metrics.results)


def _list_faults(made: Iterable[Made]) -> list[str]:
    """Return a line for each failed check of the adversarial examples, which the table does not show."""
    runs = (one.manifest.as_run() for one in made)
    results = (result for recipe, metrics in runs for result in check_run(recipe, metrics))
    failed = (one for one in results if one.check in ON_IMAGES and one.status == "FAIL")
    return list(dict.fromkeys(f"{one.check} FAIL: {one.sentence}" for one in failed))


def _tell_checks(session: Session, attacks: Attacks, comparison: Comparison) -> dict[str, Any]:
    """Show the check results of the attacked classifiers and all failed checks; return them for programs."""
    asked = list_classifiers(attacks.requested)
    pipelines = {pipeline.id: pipeline for pipeline in comparison.pipelines}
    for id_ in asked:
        session.tell(build_check_table(pipelines[id_], width=session.console.width))
    failures = list_all_failures(comparison.pipelines)
    for failure in failures:
        if failure.classifier_id not in asked:
            session.tell(failure.text)
    return {
        "verdicts": [_describe_checks(pipelines[id_]) for id_ in asked],
        "failures": list(map(_describe_failure, failures)),
    }


def _describe_failure(failure: FailureRecord) -> dict[str, Any]:
    return {"classifier" if name == "classifier_id" else name: value for name, value in failure}


def _describe_checks(pipeline: AttackedPipeline) -> dict[str, Any]:
    results = [result.model_dump(mode="json") for result in pipeline.checks]
    run, eps = (pipeline.subject.id, pipeline.subject.eps) if pipeline.subject else (None, None)
    return {"classifier": pipeline.id, "run": run, "eps": eps, "verdicts": results}


def _list_ids(made: Iterable[Made]) -> list[str]:
    return [one.manifest.id for one in made]


def require_accuracy(attacks: Attacks, comparison: Comparison, least: float) -> None:
    """Raise CheckFailedError if a check fails, or if robust accuracy in a requested run is below ``least``.

    Of a pipeline that samples any-of-k accuracy is compared. Runs that perturb purified data instead of images are not
    compared with ``least``.
    """
    failures = list_all_failures(comparison.pipelines)
    if failures:
        first, more = failures[0], f"; and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise CheckFailedError(f"{first.run}: {first.check} failed: {first.sentence}{more}")
    for one in attacks.requested:
        recipe, metrics = one.manifest.as_run()
        for result in metrics.results if THREATS[recipe.threat].on_input else ():
            if result.robust_accuracy < least:
                draws = "" if result.any_of_k_accuracy is None else f" on every one of {metrics.k_draws} draws"
                raise CheckFailedError(
                    f"{one.manifest.id}: robust accuracy is {result.robust_accuracy:.2%}{draws} under {recipe.method}, "
                    f"{recipe.threat}, at eps {result.eps:.4g}; --fail-under asks for {least:.2%}"
                )


# ---------------------------------------------------------------- runs


def _describe_run(made: Made, autoencoder: str | None, proved: Proved) -> dict[str, Any]:
    """Return the JSON document of a run, with the keys of the command-line contract."""
    recipe, metrics = made.manifest.as_run()
    return {
        "id": made.manifest.id,
        "method": recipe.method,
        "threat": recipe.threat,
        "norm": recipe.norm,
        "classifier": recipe.classifier,
        "autoencoder": autoencoder,
        "dataset": recipe.dataset.title,
        "n": metrics.n,
        "seed": recipe.seed,
        "clean_accuracy": metrics.clean_accuracy,
        "results": [result.model_dump(mode="json") for result in metrics.results],
        "clean_accuracy_interval": metrics.clean_accuracy_interval,
        "clean_expected_accuracy": metrics.clean_expected_accuracy,
        "class_counts": metrics.class_counts,
        "clean_class_accuracy": metrics.clean_class_accuracy,
        "fresh_draws": metrics.fresh_draws,
        **_describe_clean_draws(metrics),
        "median_smallest_eps": metrics.median_smallest_eps,
        "cached": made.cached,
        "imported": made.manifest.imported,
        "twin": recipe.twin,
        "surrogate": recipe.surrogate,
        "examples": recipe.examples,
        "distances": dict(zip(("least", "median", "most"), metrics.distances, strict=True))
        if metrics.distances
        else None,
        **values_of(recipe, [name for name, option in RUN_OPTIONS.items() if option.row.printed]),
        "precision": recipe.precision or FLOAT32,
        "version": find_version(recipe),
        "departs": describe_departure(recipe, metrics),
        "certified": [one and one.model_dump(mode="json") for one in proved.get(made.manifest.id, ())] or None,
        "n_test": sum(metrics.test_counts) if metrics.test_counts else None,
        "verdicts": [result.model_dump(mode="json") for result in check_run(recipe, metrics)],
    }


def _list_draw_rates(metrics: RunMetrics, result: EpsResult | None) -> Iterator[tuple[str, str]]:
    """Yield the names of the accuracies under k draws and their texts, none where the pipeline does not sample.

    result: at one eps; None for the clean ones.
    """
    record, clean = (metrics, "clean_") if result is None else (result, "")
    for rule, words in DRAW_RULES.items() if metrics.k_draws else ():
        name = f"{clean}{rule}_accuracy"
        if getattr(record, name) is not None:
            yield (
                words.format(k=metrics.k_draws),
                write_rate(getattr(record, name), getattr(record, f"{name}_interval")),
            )


def _write_clean_draws(metrics: RunMetrics) -> str:
    """Return the line of clean accuracies under k draws, to go below another; empty where there are none."""
    found = ", ".join(" ".join(pair) for pair in _list_draw_rates(metrics, None))
    return f"\nclean, {found} draws" if found else ""


def _describe_clean_draws(metrics: RunMetrics) -> dict[str, Any]:
    """Return k and the clean accuracies under it; empty where the pipeline does not sample."""
    if metrics.k_draws is None:
        return {}
    return {"k_draws": metrics.k_draws} | {
        name: getattr(metrics, name)
        for rule in DRAW_RULES
        for name in (f"clean_{rule}_accuracy", f"clean_{rule}_accuracy_interval")
    }


def _tabulate_runs(made: list[Made], classifier: ClassifierRecipe, proved: Proved) -> FittedTable:
    """Return the accuracy table of the attacks on one classifier,  which fits its terminal."""
    recipe, first = made[0].manifest.as_run()
    clean = write_clean(show_size(recipe, first), first.clean_accuracy, first.clean_accuracy_interval)
    columns = ("method", "threat", "eps", "robust accuracy\n[95 % interval]", "attack\nsuccess rate")
    table = start_table(classifier, f"{clean}{_write_clean_draws(first)}", columns)
    for one in made:
        recipe, metrics = one.manifest.as_run()
        bounds = proved.get(one.manifest.id, [None] * len(metrics.results))
        for result, certified in zip(metrics.results, bounds, strict=True):
            rate = result.attack_success_rate
            table.add_row(
                write_method(recipe.method, recipe.norm),
                recipe.threat,
                write_eps(result.eps, recipe.norm),
                write_rate(result.accuracy, result.accuracy_interval),
                "-" if rate is None else f"{rate:.2%}",
            )
            if result.expected_accuracy is not None:
                table.add_row("", "", f"mean of {metrics.fresh_draws} draws", f"{result.expected_accuracy:.2%}", "")
            for words, share in _list_draw_rates(metrics, result):
                table.add_row("", "", words, share, "")
            if certified:
                table.add_row(*_list_certified(certified))
            if not result.within_budget:
                table.add_row("", "", f"L-inf {result.linf_max:.4g}", NOT_VALID, "")
    table.notes = (*_list_departures(made), *_describe_sweeps(made))
    return table


def _list_departures(made: list[Made]) -> Iterator[str]:
    """Yield for each published set of attacks in what a run differs from it, where it does."""
    for one in made:
        recipe, metrics = one.manifest.as_run()
        if departs := describe_departure(recipe, metrics):
            yield f"{write_method(recipe.method, recipe.norm)}, {recipe.threat}: {departs}"


def _describe_sweeps(made: list[Made]) -> Iterator[str]:
    """Yield for each sweep that carries successes how many, and the median of the smallest eps."""
    for one in made:
        recipe, metrics = one.manifest.as_run()
        carried = max(result.carried or 0 for result in metrics.results)
        median = metrics.median_smallest_eps
        if carried:
            half = "" if median is None else f"; half of the images are broken at eps {median:.4g} or less"
            yield (
                f"{write_method(recipe.method, recipe.norm)}: what a smaller eps broke is not attacked again "
                f"(up to {carried} of {metrics.n}){half}"
            )


def _list_certified(found: CertifiedRange) -> tuple[str, ...]:
    """Return the cells of the row below an attack's, none of them wider than those of attacks."""
    size = "" if found.all_attacked else f"n = {found.n}"
    return (
        "certified",
        found.method,
        f"{found.eps:.4g}",
        write_rate(found.accuracy, found.accuracy_interval),
        size,
    )
