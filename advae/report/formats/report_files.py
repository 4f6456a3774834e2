"""The files of a report in a folder: replaced and removed only where a report wrote them, known by their contents."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from advae.atomic_files import make_folder, write_aside
from advae.errors import DiskError, UsageError
from advae.report.analysis.tables import Table
from advae.report.formats.catalogue import list_tables, name_keys
from advae.report.formats.latex import TEX_HEAD, list_tex_keys
from advae.report.wording import FORMER_TITLE, TITLE

HEAD_BYTES = 1 << 16
"""Bytes of a file by which it is known; the longest header of a table has 3,000."""

FORMER_KEYS = {
    "csv-controls": "baselines",
    "csv-ladder": "threat_models",
    "csv-stored-verdicts": "run_checks",
    "csv-verdicts": "checks",
}
"""What earlier versions called the CSV of a table, and the table: their files are removed."""

_PAGE, _PAGE_POLICY = "<!DOCTYPE html>", "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

RECOGNIZERS: dict[str, Callable[[str], bool]] = {
    "html": lambda head: head.startswith(_PAGE) and _PAGE_POLICY in head[:1000],
    "md": lambda head: head.startswith((f"<!-- {TITLE} -->\n", f"# {TITLE}\n", f"# {FORMER_TITLE}\n")),
    "json": lambda head: '"urn:advae:report:' in head[:200],
    "tex": lambda head: head.startswith(TEX_HEAD),
}
"""How the beginning of a file of each format is recognized, those of earlier versions too."""


def write_files(
    out: Path, texts: Mapping[str, str], sections: Mapping[str, Table], *, stale: Iterable[str] = ()
) -> dict[str, Path]:
    """Write texts by key into a folder, remove an earlier report's files of the stale keys; return the paths.

    Raises UsageError, with nothing written, where a file that no report wrote has such a name; one under a stale key is
    not removed. Raises DiskError.
    """
    refuse_foreign(out, texts, sections)
    make_folder(out)
    for key in stale:
        path = out / name_file(key)
        if path.is_file() and _is_of_a_report(path, key, sections):
            _remove(path)
    return {key: _write(out / name_file(key), text) for key, text in texts.items()}


def refuse_foreign(out: Path, keys: Iterable[str], sections: Mapping[str, Table]) -> None:
    """Raise UsageError where a file is there under the name of one of the keys that no report wrote."""
    for key in keys:
        path = out / name_file(key)
        if path.is_file() and not _is_of_a_report(path, key, sections):
            raise UsageError(f"{path} was not written by a report; rename it, or write elsewhere with --out DIR")


def list_targets(out: Path, formats: Sequence[str], sections: Mapping[str, Table]) -> list[Path]:
    """Return the folder of a report and every file that one in these formats may write into it."""
    return [out, *(out / name_file(key) for key in list_keys(formats, sections))]


def list_keys(formats: Sequence[str], sections: Mapping[str, Table]) -> list[str]:
    """Return the keys of all files that a report in these formats may write, each once."""
    csv_keys = name_keys(sections).values() if "csv" in formats else ()
    tex_keys = list_tex_keys([*list_tables(sections)]) if "tex" in formats else ()
    return [*dict.fromkeys((*formats, *csv_keys, *tex_keys))]


def name_file(key: str) -> str:
    """Return the name of a file by its key: ``report.csv``, ``report-threat-models.csv``."""
    format_, dash, table = key.partition("-")
    return f"report{dash}{table}.{format_}"


def _is_of_a_report(path: Path, key: str, sections: Mapping[str, Table]) -> bool:
    try:
        with path.open("rb") as stream:
            # As text that was saved by another program: the line ends may be another system's.
            head = stream.read(HEAD_BYTES).decode("utf-8", errors="replace").replace("\r\n", "\n")
    except OSError as error:
        raise DiskError(f"cannot read {path}: {error.strerror or error}") from None
    known = RECOGNIZERS.get("tex" if key.startswith("tex-") else key)
    if known:
        return known(head)
    name = FORMER_KEYS.get(key) or next(name for name, own in name_keys(sections).items() if own == key)
    columns = next(csv.reader(head.splitlines()[:1]), [])
    return set(list_tables(sections)[name].marks) <= set(columns)


def _remove(path: Path) -> None:
    """Remove a file that may not be there. Raises DiskError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"cannot remove {path}: {error.strerror or error}") from None


def _write(path: Path, text: str) -> Path:
    """Write a file so that a reader sees the old one or the new one whole, and return its path."""
    with write_aside(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    return path
