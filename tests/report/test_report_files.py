"""The report's files: which are written, that they are the same each time, light, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError, DiskError, NotFoundError, UsageError
from advae.records import Manifest
from advae.report import FORMATS, write_report
from advae.report.analysis.collecting import compare_runs
from tests.calls import call
from tests.entries import read_tree
from tests.report_fixtures import Lab, Tags, make_views, read_files


def test_writes_every_format_and_nothing_else(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    files = write_report(lab.registry, pair, tmp_path / "deep" / "out")
    assert FORMATS == ("html", "md", "json", "csv")
    assert tuple(key for key in files if "-" not in key) == FORMATS
    assert all(path.name == f"report{key[3:]}.csv" for key, path in files.items() if key.startswith("csv"))
    assert sorted(tmp_path.joinpath("deep/out").iterdir()) == sorted(files.values())


def test_writes_only_the_formats_asked_for(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    write_report(lab.registry, pair, tmp_path / "out", formats=["json", "json"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]


def test_equal_records_give_equal_bytes(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    first = read_files(lab, pair, tmp_path / "a")
    assert first == read_files(lab, pair[::-1] + pair, tmp_path / "b")


def test_what_an_earlier_version_called_otherwise_is_removed(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    former = {"ladder": "classifier_id,run,eps,threat", "verdicts": "classifier_id,run,check,status"}
    former |= {"stored-verdicts": former["verdicts"], "controls": "classifier_id,run,role,purifier"}
    out = tmp_path / "out"
    out.mkdir()
    own = out / "report-rungs.csv"
    for name, columns in (*former.items(), ("rungs", former["ladder"])):
        (out / f"report-{name}.csv").write_text(f"{columns}\n")
    files = write_report(lab.registry, pair, out, formats=["csv"])
    assert set(out.iterdir()) == {*files.values(), own}


def test_a_foreign_file_under_a_former_name_is_not_removed(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    own = tmp_path / "report-ladder.csv"
    own.write_text("height,weight\n")
    write_report(lab.registry, pair, tmp_path, formats=["csv"])
    assert own.read_text() == "height,weight\n"


def test_page_asks_nothing_of_any_server(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    page = read_files(lab, pair, tmp_path)["html"]
    links = Tags(page).links
    assert links
    # Its own files lie beside it, and are opened only by a reader who follows the link.
    beside = {"report.json", "report.csv", "report.md"}
    assert all(link.startswith(("#", "data:")) or link in beside for link in links)
    assert set(re.findall(r"url\((?!#)[^)]*", page)) == set()
    assert "@import" not in page


def test_page_has_no_id_twice_and_no_dangling_link(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    page = read_files(lab, pair, tmp_path)["html"]
    tags = Tags(page)
    assert len(tags.ids) == len(set(tags.ids))
    targets = {link[1:] for link in tags.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]*)\)", page))
    assert targets <= set(tags.ids)


@pytest.mark.parametrize("place", ["home", "home/entries", "home/new/deep", "link", "link/new", "out"])
def test_nothing_is_written_into_the_registry(lab: Lab, pair: list[Manifest], tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(lab.registry.home / "entries")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report-threat-models.csv").symlink_to(lab.registry.home / "entries" / "x.csv")
    before = read_tree(lab.registry.home)
    for command in ("report", "reproduce"):
        refused = call(command, "--out", tmp_path / place, "--home", lab.registry.home)
        assert refused.code == 2
        assert refused.err.endswith("it is in the registry's folder; write it elsewhere\n")
    assert read_tree(lab.registry.home) == before


def test_unknown_format_is_a_usage_error(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'htm'; did you mean 'html'"):
        write_report(lab.registry, pair, tmp_path, formats=["htm"])
    assert not list(tmp_path.glob("report.*"))


def test_no_runs_is_an_error_and_not_an_empty_page(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="advae attack"):
        write_report(lab.registry, [], tmp_path)


def test_unwritable_folder_is_one_line(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(DiskError) as caught:
        write_report(lab.registry, pair, blocked / "out", formats=["json"])
    assert "\n" not in str(caught.value)


def test_an_entry_that_is_no_run_is_refused(lab: Lab) -> None:
    with pytest.raises(CorruptError, match="is not a run"):
        compare_runs(lab.registry, [lab.add_classifier()])


def test_arrays_that_do_not_fit_the_recipe_are_refused(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier())
    outcomes = lab.registry.read_arrays(run, "outcomes.npz")
    samples = lab.registry.read_arrays(run, "samples.npz")
    sampling = run.metrics.model_copy(update={"fresh_draws": 50})
    rates = {
        "success_rate": np.full(outcomes["predictions"].shape, 1.1),
        "clean_success_rate": np.zeros(len(outcomes["labels"])),
    }
    for change, metrics in (
        ({"labels": outcomes["labels"][:-1]}, run.metrics),
        ({"predictions": outcomes["predictions"] + 90}, run.metrics),
        ({}, sampling),
        (rates, sampling),
    ):
        arrays = {"outcomes.npz": outcomes | change, "samples.npz": samples}
        bad = lab.registry.publish(run.recipe, metrics, arrays, replace=True)
        with pytest.raises(CorruptError, match="does not fit its recipe"):
            compare_runs(lab.registry, [bad])
    good = {"outcomes.npz": outcomes | rates | {"success_rate": rates["success_rate"] - 1}, "samples.npz": samples}
    compare_runs(lab.registry, [lab.registry.publish(run.recipe, sampling, good, replace=True)])


VIEWS = ("x", "purified", "labels", "codes", "code_labels", "axes", "generated")
MISSHAPEN = [(key, value) for key in VIEWS for value in (np.zeros(()), np.full((3, 3), 90))]
# Without codes an autoencoder has no latent plane, which is no fault.
MISSING = [(key, None) for key in VIEWS if key != "codes"]


@pytest.mark.parametrize(("key", "damage"), [*MISSHAPEN, *MISSING])
def test_images_of_an_autoencoder_that_do_not_fit_its_recipe_are_refused(
    lab: Lab, key: str, damage: np.ndarray[Any, Any] | None
) -> None:
    views = {name: value for name, value in (make_views(plane=True) | {key: damage}).items() if value is not None}
    purifier = lab.add_autoencoder(views=views)
    with pytest.raises(CorruptError, match=f"samples.npz of {purifier.id} does not fit its recipe: .*train-ae"):
        compare_runs(lab.registry, [lab.add_run(lab.add_classifier(purifier))])


# ---------------------------------------------------------------- weight


def test_import_is_light_and_writing_loads_no_network(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from typing import Any
import advae.report
heavy = {{"numpy", "matplotlib", "jinja2", "sklearn", "tensorflow", "keras"}} & set(sys.modules)
assert not heavy, heavy
from advae.registry import Registry
registry = Registry(Path({str(lab.registry.home)!r}))
advae.report.write_report(registry, registry.entries("run"), Path({str(tmp_path / "out")!r}))
loaded = {{"tensorflow", "keras", "matplotlib.pyplot"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
