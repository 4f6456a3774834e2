"""The report's summary for a terminal: the answer, the accuracy of each pipeline, and the checks that did not pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from advae.checks import CHECKS, NOT_VALID
from advae.errors import printable
from advae.report.analysis.check_results import (
    CheckRecord,
    count_results,
    describe_excluded,
    list_all_failures,
    list_checks,
)
from advae.report.analysis.code_attack_records import answer_code_attacks
from advae.report.analysis.headline_records import HeadlineRecord, list_headlines
from advae.report.analysis.illusion_gap import describe_gap, find_largest_gap, list_gaps
from advae.report.analysis.overview import list_overviews, write_title
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.tables import Findings
from advae.report.analysis.unattacked import answer_unattacked
from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.formats.attack_checks import STATUS_COLOURS
from advae.report.formats.terminal_table import TO_ASCII, build_headline_table, wrap_text
from advae.report.wording import (
    NBSP,
    NOT_ESTABLISHED,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_IDS = 3
"""Ids that are named of several entries with one reason."""

SHOWN_CHECKS = 7
"""Checks that are quoted; the others are counted, and the page lists all of them."""


def summarize(comparison: Comparison, *, width: int, encoding: str) -> list[RenderableType]:
    """Return the parts of the summary, in order. width: columns of the terminal; encoding: of the terminal."""
    unicode, findings = _can_encode(encoding), Findings(comparison)
    unattacked, codes = (
        [printable(line, keep=NBSP) for line in answer_lines(findings)]
        for answer_lines in (answer_unattacked, answer_code_attacks)
    )
    paragraphs = [_write_overviews(findings), _list_doubts(findings), _explain_widest(findings), unattacked, codes]
    texts = ["\n".join(wrap_text(line, width) for line in lines) for lines in paragraphs]
    first, *more = (text if unicode else text.translate(TO_ASCII) for text in texts)
    table = [build_headline_table(findings, plain=not unicode)] if findings.collect(list_first_numbers) else []
    return [first, *table, *filter(None, more)]


def _write_overviews(findings: Findings) -> Iterator[str]:
    """Yield the title of the report, then what the summary of each dataset says, without version and date."""
    overviews = findings.collect(list_overviews)
    yield write_title(findings)
    for overview in overviews:
        _, *lines, _ = overview.summary.split("\n")
        yield from lines


def list_excluded(excluded: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each reason why entries are excluded, with the first of them and how many there are.

    excluded: id -> reason.
    """
    alike = group_by(excluded.items(), lambda one: one[1].replace(one[0], ""))
    for (id_, why), *others in alike.values():
        more = (
            f" (and {len(others)} more for the same reason: {_list_some([id_ for id_, _ in others])})" if others else ""
        )
        yield describe_excluded(id_, why) + more


def _list_some(ids: Sequence[str]) -> str:
    return ", ".join([*ids[:SHOWN_IDS], *(["..."] if ids[SHOWN_IDS:] else [])])


def _can_encode(encoding: str) -> bool:
    try:
        f"─{NBSP}\N{MINUS SIGN}".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


# ---------------------------------------------------------------- checks that did not pass


def _list_doubts(findings: Findings) -> Iterator[str]:
    """Yield a paragraph for each reason against the numbers: checks that fail or warn, and checks that were not run."""
    rows, headlines = findings.comparison.rows, {one.classifier_id: one for one in findings.collect(list_headlines)}
    invalid = sum(not row.result.within_budget for row in rows)
    if invalid:
        yield f"{NOT_VALID} ({invalid} of {len(rows)} measurements)"
    doubted = [one for one in headlines.values() if one.oblivious and one.doubt]
    if doubted:
        where = f"{len(doubted)} of {len(headlines)} pipelines, first {doubted[0].pipeline}, {doubted[0].classifier_id}"
        yield f"{NOT_ESTABLISHED} ({where}): {doubted[0].doubt}"
    checks = sorted(findings.collect(list_checks), key=lambda one: [*STATUS_COLOURS].index(one.status))
    found = group_by((one for one in checks if one.headline), lambda one: one.check)
    quoted = [check for check in CHECKS if check in found and found[check][0].status in ("FAIL", "WARN")]
    quoted.sort(key=lambda check: found[check][0].status != "FAIL")
    yield from (_quote_check(found[check], headlines) for check in quoted[:SHOWN_CHECKS])
    if quoted[SHOWN_CHECKS:]:
        yield f"and {len(quoted[SHOWN_CHECKS:])} more checks that did not pass; the page has them all"
    elsewhere = [one for one in list_all_failures(findings.comparison.pipelines) if not one.headline]
    if elsewhere:
        yield f"FAIL on other runs: {len(elsewhere)}, first {elsewhere[0].text}"
    absent = {check: count_results(found.get(check, ()))["NOT RUN"] for check in CHECKS}
    missing = ", ".join(f"{check} ({count})" for check, count in absent.items() if count)
    if missing:
        yield f"NOT RUN (on how many pipelines): {missing}"


def _quote_check(found: Sequence[CheckRecord], headlines: Mapping[str, HeadlineRecord]) -> str:
    """Return the worst result of a check, with its pipeline. found: of all pipelines, the worst first."""
    worst, whose = found[0], headlines[found[0].classifier_id]
    name = whose.purifier_name if whose.autoencoder_id else whose.purifier_name.replace("none", "undefended", 1)
    first = f"first {name}, {whose.attacked}"
    of = "" if len(found) == 1 else f" ({count_results(found)[worst.status]} of {len(found)} pipelines, {first})"
    return f"{worst.check} {worst.status}{of}: {worst.sentence}"


# ---------------------------------------------------------------- the largest illusion gap


def _explain_widest(findings: Findings) -> Iterator[str]:
    """Yield the sentence on the largest gap of all pipelines; nothing where there is none."""
    gap = find_largest_gap(findings.collect(list_gaps))
    names = {one.classifier_id: one.pipeline for one in findings.collect(list_headlines)}
    if gap:
        yield f"Largest illusion gap, {names[gap.classifier_id]}: {describe_gap(gap)}"
