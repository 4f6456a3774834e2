"""The answer that a report opens with: the robust accuracy of the defences, and whether it is reliable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.errors import printable
from advae.models.baselines import BASELINES
from advae.report.analysis.certified_accuracy import explain_range
from advae.report.analysis.check_results import summarize_counts
from advae.report.analysis.code_attack_records import answer_code_attacks
from advae.report.analysis.headline_records import HeadlineRecord, Strength, list_headlines
from advae.report.analysis.illusion_gap import describe_gap_size
from advae.report.analysis.tables import Findings, NotRun
from advae.report.analysis.unattacked import answer_unattacked
from advae.report.data.grouping import group_by
from advae.report.wording import (
    COLLAPSED,
    NBSP,
    NOT_ESTABLISHED,
    NOT_RUN,
    format_eps,
    format_rate,
    format_share,
    mark_imported,
)

Group = Sequence[HeadlineRecord]
"""The records of all pipelines with one kind of classifier on one dataset."""

MOST_LISTED = 4
"""Numbers that are listed where no two can be compared; the table has all of them."""

NOT_SHARED = "they were not attacked on the same images at the same eps"


def answer(findings: Findings) -> str:
    """Return the answer: a few sentences; a line for each where there are several datasets or kinds of classifier.

    Pipelines that were certified and not attacked have a line each, behind the others, and so have attacks on codes.
    """
    records = findings.collect(list_headlines)
    groups = list(group_by(records, lambda one: (one.dataset, one.classifier)).values())
    lines = [" ".join(_write_group(group)) for group in groups]
    lines = [_introduce(groups), *lines] if len(groups) > 1 else lines
    lines += [*answer_unattacked(findings), *answer_code_attacks(findings)]
    # A name in them begins no line.
    return "\n".join(printable(line, keep=NBSP) for line in lines)


def _introduce(groups: Sequence[Group]) -> str:
    defences = [record for group in groups for record in _list_defences(group)]
    if not defences:
        return "No autoencoder was attacked."
    where = ", ".join(group[0].attacked for group in groups)
    reliable = sum(record.reliable for record in defences)
    share = "each" if reliable == len(defences) else f"{reliable} of {len(defences)}" if reliable else "none"
    what = f"{_count(defences)} {'was' if len(defences) == 1 else 'were'} attacked ({where})"
    return f"{what}; for {share} an adaptive attack was run and no check fails{_count_absent(defences)}."


def _write_group(group: Group) -> Iterator[str]:
    yield from _answer_group(group)
    yield from _answer_retrained(group)
    yield from _answer_certified(group)
    yield from _count_passed_checks(group)
    yield from _count_other_failures(group)


def _answer_group(group: Group) -> Iterator[str]:
    """Yield the sentences on one kind of classifier and dataset."""
    attacked = [record for record in _list_defences(group) if isinstance(record.adaptive, Strength)]
    reliable = [record for record in attacked if record.reliable]
    if not _list_defences(group):
        yield from _answer_undefended(group)
    elif not attacked:
        yield _explain_no_attack(group)
    elif not reliable:
        yield from _explain_unreliable(group, attacked)
    else:
        yield from _describe_best(group, reliable)


def _answer_certified(group: Group) -> Iterator[str]:
    """Yield between what the robust accuracy of the pipeline with the highest certified accuracy is, by proof."""
    proved = [(record.certified.accuracy, record) for record in _list_defences(group) or group if record.certified]
    best = max(proved, key=lambda one: one[0])[1] if proved else None
    if best and best.certified:
        name = best.purifier_name if best.defended else "the undefended classifier"
        name = f"the classifier {name}" if best.defended and not best.autoencoder_id else name
        yield f"The certified accuracy of {name} is {explain_range(best.certified)}."


def _count_passed_checks(group: Group) -> Iterator[str]:
    """Yield how many checks passed on the reliable results."""
    reliable = [record for record in _list_defences(group) if record.reliable]
    if not reliable:
        return
    peers, best = _choose_peers(reliable), _choose_best(reliable)
    others = len(_list_defences(group)) - len(reliable)
    if len(_list_defences(group)) == 1:
        yield f"No check fails: {summarize_counts(best.checks)}."
        return
    alone = len(peers) == 1 < len(reliable)
    found = "" if alone else f" on {best.purifier_name} ({summarize_counts(best.checks)})"
    rest = [record for record in reliable if alone or record is not best]
    if rest:
        found += f"{' on these' if alone else ', nor on any other'}{_count_absent(rest)}"
    have = f"; {others} of {len(_list_defences(group))} {'is' if others == 1 else 'are'} not reliable"
    yield f"No check fails{found}{have if others else ''}."


def _count_other_failures(group: Group) -> Iterator[str]:
    """Yield how many checks fail on other runs than those of the numbers above."""
    total = sum(record.fail_on_other_runs for record in group)
    if total:
        yield f"On other runs {total} {'check fails' if total == 1 else 'checks fail'}."


def _list_defences(group: Group) -> list[HeadlineRecord]:
    """Return those with an autoencoder in front."""
    return [record for record in group if record.autoencoder_id and record.autoencoder not in BASELINES]


def _answer_retrained(group: Group) -> Iterator[str]:
    """Yield the robust accuracy of the best classifier that was retrained on adversarial examples, without purifier."""
    retrained = [record for record in group if record.retrained and not record.autoencoder_id]
    attacked = [record for record in retrained if isinstance(record.adaptive, Strength)]
    if not attacked:
        return
    best = _choose_best([record for record in attacked if record.reliable] or attacked)
    warning = _warn(best)
    has = f"has {_write_robust(best)}{f', but {warning}' if warning else ''}"
    if len(attacked) == 1:
        yield f"The classifier {best.purifier_name} {has}."
    else:
        yield f"The best of {len(attacked)} classifiers without a purifier, {best.purifier_name}, {has}."


def _list_baselines(group: Group) -> list[HeadlineRecord]:
    """Return those with a purifier in front that has learnt nothing."""
    return [record for record in group if record.autoencoder in BASELINES]


# ---------------------------------------------------------------- nothing to answer


def _answer_undefended(group: Group) -> Iterator[str]:
    where = group[0].attacked
    baselines = [record for record in _list_baselines(group) if record.reliable]
    if baselines:
        best = _choose_best(baselines)
        name = best.purifier_name.replace(", a baseline", "")
        yield f"No autoencoder in front of {where} was attacked. The baseline {name} has {_write_robust(best)}."
        return
    yield f"No autoencoder in front of {where} was attacked."
    bare = [record for record in group if isinstance(record.adaptive, Strength) and not record.defended]
    if bare:
        weakest = min(_choose_peers(bare), key=lambda record: record.robust)
        warning = _warn(weakest)
        yield f"The undefended classifier has {_write_robust(weakest)}{f', but {warning}' if warning else ''}."


def _explain_no_attack(group: Group) -> str:
    """Return that no valid adaptive attack on the defences was run."""
    first, where = _list_defences(group)[0], group[0].attacked
    if len(_list_defences(group)) == 1:
        return f"{NOT_ESTABLISHED.capitalize()} for {_name_defence(first)} in front of {where}: {first.doubt}."
    defences = f"{_count(_list_defences(group))} in front of {where}"
    return f"{NOT_ESTABLISHED.capitalize()} for any of {defences}: no valid adaptive attack was run."


# ---------------------------------------------------------------- results that are not reliable


def _explain_unreliable(group: Group, attacked: Sequence[HeadlineRecord]) -> Iterator[str]:
    best = _choose_best([record for record in attacked if not record.collapsed] or attacked)
    where = group[0].attacked
    # A certificate bounds it from below, however weak the attack is.
    known = "known from attacks alone" if any(record.certified for record in attacked) else "known"
    if len(_list_defences(group)) == 1:
        yield f"The robust accuracy of {_name_defence(best)} in front of {where} is not {known}: {_warn(best)}."
    else:
        defences = f"{_count(_list_defences(group))} in front of {where}"
        found = f"a check fails or {NOT_ESTABLISHED.replace('not', 'is not')}"
        yield f"The robust accuracy of {defences} is not {known}: for each, {found}."
        yield f"The highest number is that of {best.purifier_name}: {_warn(best)}."
    unreliable = "an upper bound only" if best.certified else "not a reliable result"
    yield f"It has {_write_robust(best)}, which is {unreliable}."


def _warn(record: HeadlineRecord) -> str:
    """Return what is wrong with a number, empty where nothing is known to be."""
    failed = record.checks["FAIL"]
    if failed:
        constant = f"it has {COLLAPSED}, it predicts one class whatever the image; " if record.collapsed else ""
        checks = f"{failed} of {record.check_count} checks {'fails' if failed == 1 else 'fail'}"
        return f"{constant}{checks}, so it is not reliable"
    doubt = record.doubt if record.defended else None
    return f"{NOT_ESTABLISHED}, {doubt}" if doubt else ""


# ---------------------------------------------------------------- reliable results


def _describe_best(group: Group, reliable: Sequence[HeadlineRecord]) -> Iterator[str]:
    peers, best = _choose_peers(reliable), _choose_best(reliable)
    if len(peers) == 1 < len(reliable):
        yield from _list_unlike(group, reliable)
        return
    yield f"{_introduce_best(group, reliable)} {_write_robust(best)}{_compare_undefended(best, group)}."
    yield _compare_oblivious(best, "it" if len(_list_defences(group)) == 1 else best.purifier_name)


def _list_unlike(group: Group, reliable: Sequence[HeadlineRecord]) -> Iterator[str]:
    """Yield the numbers of those that were all attacked on other terms, none of them the best."""
    where = f"{_count(_list_defences(group))} in front of {group[0].attacked}"
    yield f"Of {where}, {len(reliable)} have a reliable result, but no two can be compared: {NOT_SHARED}."
    for record in reliable[:MOST_LISTED]:
        yield f"{record.purifier_name[0].upper()}{record.purifier_name[1:]} has {_write_robust(record)}."
    if reliable[MOST_LISTED:]:
        yield f"The table has {len(reliable[MOST_LISTED:])} more."


def _introduce_best(group: Group, reliable: Sequence[HeadlineRecord]) -> str:
    """Return the subject of the sentence, with what it is the best of, and its verb."""
    peers, best, total = _choose_peers(reliable), _choose_best(reliable), len(_list_defences(group))
    where = group[0].attacked
    defences = f"{_count(_list_defences(group))} in front of {where}"
    if total == 1:
        return f"{_name_defence(best)} in front of {where}".replace("the", "The", 1) + " has"
    if len(reliable) == 1:
        return f"Of {defences}, one has a reliable result: {best.purifier_name} has"
    equal = len({format_share(record.robust) for record in peers}) == 1
    if len(peers) < total:
        whose = "none of these has more than" if equal else f"the best, {best.purifier_name}, has"
        return f"Of {defences}, {len(peers)} can be compared; {whose}"
    return f"None of {defences} has more than" if equal else f"The best of {defences}, {best.purifier_name}, has"


def _compare_undefended(best: HeadlineRecord, group: Group) -> str:
    """Return the robust accuracy of the undefended classifier, and that of a baseline where that is as high."""
    other = best.adaptive.undefended_robust_accuracy if isinstance(best.adaptive, Strength) else None
    without = "" if other is None else f"; undefended {format_share(other)}"
    baselines = [one for one in _list_baselines(group) if one.terms == best.terms and not one.collapsed]
    baseline = max(baselines, key=lambda one: one.robust, default=None)
    if baseline is None or isinstance(baseline.adaptive, NotRun) or baseline.robust < best.robust:
        return without
    return f"{without}; behind {baseline.purifier_name}, which has learnt nothing, {format_share(baseline.robust)}"


def _compare_oblivious(best: HeadlineRecord, name: str) -> str:
    gap, robust = best.illusion_gap, best.oblivious
    if not isinstance(robust, Strength) or not isinstance(gap, float):
        where = " on the same images at the same eps" if isinstance(robust, Strength) else ""
        return f"The oblivious attack on {name} was {NOT_RUN}{where}."
    share = format_share(robust.robust_accuracy)
    return f"Under an oblivious attacker, who does not know of {name}, it is {share}: {describe_gap_size(gap)}."


# ---------------------------------------------------------------- words


def _choose_peers(records: Sequence[HeadlineRecord]) -> list[HeadlineRecord]:
    """Return the most records that are on the same terms; of equally many those on the most images."""
    terms = group_by(records, lambda record: record.terms)
    return max(terms.values(), key=lambda peers: (len(peers), peers[0].n or 0))


def _choose_best(records: Sequence[HeadlineRecord]) -> HeadlineRecord:
    """Return the peer with the highest robust accuracy; of equals the one with the largest illusion gap."""
    return max(_choose_peers(records), key=lambda one: (one.robust, one.gap or 0.0))


def _write_robust(record: HeadlineRecord) -> str:
    if isinstance(record.adaptive, NotRun):
        return NOT_RUN
    attacker = " under an adaptive attack" if record.defended else ""
    return f"{format_rate(record.adaptive.rate)} robust accuracy{attacker} ({_name_attack(record.adaptive)})"


def _name_attack(strength: Strength) -> str:
    return f"{strength.attack}, eps {format_eps(strength.eps, strength.norm)}, n = {strength.images}"


def _name_defence(record: HeadlineRecord) -> str:
    more = record.purifier_name.removeprefix(record.autoencoder)
    for mark in (f", {COLLAPSED}", mark_imported(record.imported)):
        more = more.replace(mark, "")
    return f"the {record.autoencoder} autoencoder{more}"


def _count(defences: Sequence[HeadlineRecord]) -> str:
    """Return how many there are; an autoencoder in front of two classifiers is two pipelines."""
    total, one = len(defences), len(defences) == 1
    if len({one.autoencoder_id for one in defences}) == total:
        return f"{total} autoencoder{'' if one else 's'}"
    return f"{total} pipelines with an autoencoder"


def _count_absent(records: Sequence[HeadlineRecord]) -> str:
    """Return how many checks were not run on each, in brackets."""
    counts = sorted({record.checks["NOT RUN"] for record in records})
    span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    totals = sorted({record.check_count for record in records})
    return f" ({span} of {totals[-1]} {NOT_RUN})"
