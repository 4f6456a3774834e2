"""What came from a bundle, and what rests on it, is marked in every format of the report."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.findings import answer
from advae.report.analysis.tables import Findings
from advae.report.wording import IMPORTED_EXPLAINED
from tests.entries import locate, seal_document
from tests.report_fixtures import Lab, Tags, print_summary, read_files

MOMENT = "2026-11-28T21:00:00.000000+00:00"


def import_entry(lab: Lab, entry: Manifest) -> None:
    """Make an entry what an import would have left."""
    path = locate(lab.registry, entry)
    stored = json.loads(path.read_bytes())
    del stored["sha256"]
    path.write_bytes(seal_document(stored | {"imported": MOMENT}))


@pytest.mark.parametrize("which", ["run", "classifier", "autoencoder", "undefended", "nothing"])
def test_every_format_marks_what_is_imported_and_what_rests_on_it(
    lab: Lab, pair: list[Manifest], tmp_path: Path, which: str
) -> None:
    bare, run = pair
    classifier = lab.registry.manifest(run.parents[0])
    entries = {"run": run, "classifier": classifier, "undefended": bare, "nothing": None}
    entries["autoencoder"] = lab.registry.manifest(classifier.parents[0])
    entry = entries[which]
    if entry:
        import_entry(lab, entry)
    runs = [lab.registry.manifest(one.id) for one in pair]
    files = read_files(lab, runs, tmp_path)
    shown = print_summary(compare_runs(lab.registry, runs), width=100)
    if entry is None:
        assert not any("mported:" in text for text in (files["html"], files["md"], shown))
        assert json.loads(files["json"])["runs"][0]["imported"] is None
        return
    own = entry is not bare
    explained = " ".join(IMPORTED_EXPLAINED.split())
    for text in (files["html"], files["md"], shown):
        assert explained in " ".join(text.split())
    assert (" vanilla, imported" in shown) is own
    assert "vanilla autoencoder in front of nn on digits" in answer(Findings(compare_runs(lab.registry, runs)))
    assert (">vanilla, imported<" in files["html"]) is own
    assert ("| vanilla, imported |" in files["md"]) is own
    assert f"imported, so measured elsewhere: {entry.id}" in files["md"]
    assert "imported" in Tags(files["html"]).styles
    for key, field in (("csv", "imported"), ("csv-headlines", "imported")):
        lines = [line for line in csv.DictReader(io.StringIO(files[key])) if line["autoencoder"] == "vanilla"]
        assert {line[field] for line in lines} == {entry.id if own else "n/a"}
    document = json.loads(files["json"])
    assert document["headlines"][0]["imported"] == document["accuracy"][0]["imported"] == ([entry.id] if own else [])
    times = {one["id"]: one["imported"] for one in (*document["runs"], *document["networks"])}
    assert times[entry.id] == MOMENT
    assert [id_ for id_, time in times.items() if time] == [entry.id]
