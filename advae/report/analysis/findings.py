"""The answer that a report opens with: the robust accuracy of the defences, and whether it is reliable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.checks import CHECKS
from advae.errors import printable
from advae.report.analysis.check_results import count_elsewhere, count_results, summarize_checks
from advae.report.analysis.illusion_gap import weigh_gap
from advae.report.analysis.ranking import ClassifierGroup, PipelineSummary, group_pipelines
from advae.report.data.contents import Comparison, Row
from advae.report.data.grouping import group_by
from advae.report.wording import (
    COLLAPSED,
    NBSP,
    NOT_ESTABLISHED,
    NOT_RUN,
    describe_seeds,
    format_eps,
    format_rate,
    format_share,
    name_attack,
    name_attacked,
    name_autoencoder,
)

TOLD = 4
"""Numbers that are told one by one where no two can be compared; the table has them all."""

NOT_SHARED = "they were not attacked on the same images at the same eps"


def answer(comparison: Comparison) -> str:
    """Return the answer: a few sentences; a line for each where there are several datasets or kinds of classifier."""
    groups = group_pipelines(comparison)
    lines = [" ".join([*_answer_group(group), *_vouch(group), *_admit(group)]) for group in groups]
    # A name in them begins no line.
    return "\n".join(
        printable(line, keep=NBSP) for line in (lines if len(groups) == 1 else [_introduce(groups), *lines])
    )


def _introduce(groups: Sequence[ClassifierGroup]) -> str:
    defences = [summary for group in groups for summary in group.defences]
    if not defences:
        return "No autoencoder was attacked."
    where = ", ".join(name_attacked(group.first.pipeline.first) for group in groups)
    reliable = sum(summary.reliable for summary in defences)
    share = "each" if reliable == len(defences) else f"{reliable} of {len(defences)}" if reliable else "none"
    what = f"{_count(defences)} {'was' if len(defences) == 1 else 'were'} attacked ({where})"
    return f"{what}; for {share} an adaptive attack was run and no check fails{_count_absent(defences)}."


def _answer_group(group: ClassifierGroup) -> Iterator[str]:
    """Yield the sentences on one kind of classifier and dataset."""
    attacked = [summary for summary in group.defences if summary.adaptive]
    reliable = [summary for summary in attacked if summary.reliable]
    if not group.defences:
        yield from _answer_undefended(group)
    elif not attacked:
        yield _deny(group)
    elif not reliable:
        yield from _doubt(group, attacked)
    else:
        yield from _praise(group, reliable)


def _vouch(group: ClassifierGroup) -> Iterator[str]:
    """Yield how many checks were run on the results that no check makes unreliable."""
    reliable = [summary for summary in group.defences if summary.reliable]
    if not reliable:
        return
    peers, best = _choose_peers(reliable), _choose_best(reliable)
    others = len(group.defences) - len(reliable)
    if len(group.defences) == 1:
        yield f"No check fails: {summarize_checks(best.checks)}."
        return
    alone = len(peers) == 1 < len(reliable)
    found = "" if alone else f" on {best.name} ({summarize_checks(best.checks)})"
    rest = [summary for summary in reliable if alone or summary is not best]
    if rest:
        found += f"{' on these' if alone else ', nor on any other'}{_count_absent(rest)}"
    have = f"; {others} of {len(group.defences)} {'is' if others == 1 else 'are'} not reliable"
    yield f"No check fails{found}{have if others else ''}."


def _admit(group: ClassifierGroup) -> Iterator[str]:
    """Yield how many checks fail on runs that none of the numbers above is from."""
    total = sum(count_elsewhere(summary.pipeline for summary in group.summaries).values())
    if total:
        yield f"On other runs {total} {'check fails' if total == 1 else 'checks fail'}."


# ---------------------------------------------------------------- nothing to answer


def _answer_undefended(group: ClassifierGroup) -> Iterator[str]:
    where = name_attacked(group.first.pipeline.first)
    baselines = [summary for summary in group.baselines if summary.reliable]
    if baselines:
        best = _choose_best(baselines)
        name = best.name.replace(", a baseline", "")
        yield f"No autoencoder in front of {where} was attacked. The baseline {name} has {_write_robust(best)}."
        return
    yield f"No autoencoder in front of {where} was attacked."
    bare = [summary for summary in group.summaries if summary.adaptive and not summary.defended]
    if bare:
        weakest = min(_choose_peers(bare), key=_read_robust)
        warning = _warn(weakest)
        yield f"Without one it has {_write_robust(weakest)}{f', but {warning}' if warning else ''}."


def _deny(group: ClassifierGroup) -> str:
    """Return that no valid adaptive attack on the defences was run."""
    first, where = group.defences[0], name_attacked(group.first.pipeline.first)
    if len(group.defences) == 1:
        return f"{NOT_ESTABLISHED.capitalize()} for {_name_defence(first)} in front of {where}: {first.pipeline.doubt}."
    return (
        f"{NOT_ESTABLISHED.capitalize()} for any of {_count(group.defences)} in front of {where}: no valid adaptive "
        "attack was run."
    )


# ---------------------------------------------------------------- results that are not reliable


def _doubt(group: ClassifierGroup, attacked: Sequence[PipelineSummary]) -> Iterator[str]:
    best = _choose_best([summary for summary in attacked if not summary.collapsed] or attacked)
    where = name_attacked(group.first.pipeline.first)
    if len(group.defences) == 1:
        yield f"The robust accuracy of {_name_defence(best)} in front of {where} is not known: {_warn(best)}."
    else:
        yield (
            f"The robust accuracy of {_count(group.defences)} in front of {where} is not known: for each, "
            f"a check fails or {NOT_ESTABLISHED.replace('not', 'is not')}. The highest number is that of {best.name}: "
            f"{_warn(best)}."
        )
    yield f"It has {_write_robust(best)}, which is not a reliable result."


def _warn(summary: PipelineSummary) -> str:
    """Return what is wrong with a number, empty where nothing is known to be."""
    failed = len(summary.failures)
    if failed:
        constant = f"it has {COLLAPSED}, it predicts one class whatever the image; " if summary.collapsed else ""
        checks = f"{failed} of {len(CHECKS)} checks {'fails' if failed == 1 else 'fail'}"
        return f"{constant}{checks}, so it is not reliable"
    doubt = summary.doubt if summary.defended else None
    return f"{NOT_ESTABLISHED}, {doubt}" if doubt else ""


# ---------------------------------------------------------------- reliable results


def _praise(group: ClassifierGroup, reliable: Sequence[PipelineSummary]) -> Iterator[str]:
    peers, best = _choose_peers(reliable), _choose_best(reliable)
    if len(peers) == 1 < len(reliable):
        yield from _list_unlike(group, reliable)
        return
    yield f"{_introduce_best(group, reliable)} {_write_robust(best)}{_compare(best, group)}."
    yield _weigh(best, "it" if len(group.defences) == 1 else best.name)


def _list_unlike(group: ClassifierGroup, reliable: Sequence[PipelineSummary]) -> Iterator[str]:
    """Yield the numbers of those that were all attacked on other terms, none of them the best."""
    where = f"{_count(group.defences)} in front of {name_attacked(group.first.pipeline.first)}"
    yield f"Of {where}, {len(reliable)} have a reliable result, but no two can be compared: {NOT_SHARED}."
    for summary in reliable[:TOLD]:
        yield f"{summary.name[0].upper()}{summary.name[1:]} has {_write_robust(summary)}."
    if reliable[TOLD:]:
        yield f"The table has {len(reliable[TOLD:])} more."


def _introduce_best(group: ClassifierGroup, reliable: Sequence[PipelineSummary]) -> str:
    """Return the subject of the sentence, with what it is the best of, and its verb."""
    peers, best, total = _choose_peers(reliable), _choose_best(reliable), len(group.defences)
    where = name_attacked(group.first.pipeline.first)
    defences = f"{_count(group.defences)} in front of {where}"
    if total == 1:
        return f"{_name_defence(best)} in front of {where}".replace("the", "The", 1) + " has"
    if len(reliable) == 1:
        return f"Of {defences}, one has a reliable result: {best.name} has"
    equal = len({format_share(_read_robust(summary)) for summary in peers}) == 1
    if len(peers) < total:
        whose = "none of these has more than" if equal else f"the best, {best.name}, has"
        return f"Of {defences}, {len(peers)} can be compared; {whose}"
    return f"None of {defences} has more than" if equal else f"The best of {defences}, {best.name}, has"


def _compare(best: PipelineSummary, group: ClassifierGroup) -> str:
    """Return the robust accuracy without it, and that of a baseline where that is as high."""
    other = best.adaptive.undefended if best.adaptive else None
    without = f"; without it {format_share(other.accuracy)}" if other else ""
    rivals = [one for one in group.baselines if one.adaptive and one.terms == best.terms and not one.collapsed]
    rival = max(rivals, key=_read_robust, default=None)
    if rival is None or _read_robust(rival) < _read_robust(best):
        return without
    return f"{without}; behind {rival.name}, which has learnt nothing, {format_share(_read_robust(rival))}"


def _weigh(best: PipelineSummary, name: str) -> str:
    if best.oblivious is None or best.gap is None:
        where = " on the same images at the same eps" if best.oblivious else ""
        return f"The oblivious attack on {name} was {NOT_RUN}{where}."
    robust = format_share(best.oblivious.accuracy)
    return f"Under an oblivious attacker, who does not know of {name}, it is {robust}: {weigh_gap(best.gap)}."


# ---------------------------------------------------------------- words


def _choose_peers(summaries: Sequence[PipelineSummary]) -> list[PipelineSummary]:
    """Return the most summaries that are on the same terms; of equally many those on the most images."""
    terms = group_by(summaries, lambda summary: summary.terms)
    return max(terms.values(), key=lambda peers: (len(peers), peers[0].row.run.metrics.n if peers[0].row else 0))


def _choose_best(summaries: Sequence[PipelineSummary]) -> PipelineSummary:
    """Return the peer with the highest robust accuracy; of equals the one with the largest illusion gap."""
    return max(_choose_peers(summaries), key=lambda summary: (_read_robust(summary), summary.gap or 0.0))


def _read_robust(summary: PipelineSummary) -> float:
    return summary.adaptive.accuracy if summary.adaptive else 0.0


def _write_robust(summary: PipelineSummary) -> str:
    row = summary.adaptive
    if row is None:
        return NOT_RUN
    attacker = " under an adaptive attack" if summary.defended else ""
    return f"{format_rate(row.attacked)} robust accuracy{attacker} ({_name_attack(row)})"


def _name_attack(row: Row) -> str:
    return f"{name_attack(row.run)}, eps {format_eps(row.eps, row.run.recipe.norm)}, n = {row.run.size}"


def _name_defence(summary: PipelineSummary) -> str:
    run = summary.pipeline.first
    raw = name_autoencoder(run).removeprefix(run.autoencoder_type)
    return f"the {run.autoencoder_type} autoencoder{raw}{describe_seeds(run)}"


def _count(defences: Sequence[PipelineSummary]) -> str:
    """Return how many there are; an autoencoder in front of two classifiers is two pipelines."""
    total, one = len(defences), len(defences) == 1
    if len({_find_autoencoder(summary) for summary in defences}) == total:
        return f"{total} autoencoder{'' if one else 's'}"
    return f"{total} pipelines with an autoencoder"


def _find_autoencoder(summary: PipelineSummary) -> str | None:
    autoencoder = summary.pipeline.first.autoencoder
    return autoencoder.id if autoencoder else None


def _count_absent(summaries: Sequence[PipelineSummary]) -> str:
    """Return how many checks were not run on each, in brackets."""
    counts = sorted({count_results(summary.checks)["NOT RUN"] for summary in summaries})
    span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return f" ({span} of {len(CHECKS)} {NOT_RUN})"
