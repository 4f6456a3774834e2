"""What others chose to call things: shown everywhere, obeyed by no terminal, page, shell or spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.records import Manifest, Record
from advae.registry import Registry
from advae.registry.manifest_files import PARENTS
from advae.report import FORMATS
from tests.calls import Outcome, call, succeed
from tests.cli.terminal import call_at
from tests.entries import locate, seal_document
from tests.report_fixtures import DIGITS, Lab, list_executed, make_views, unpack_page

COLOURS, INJECTED = "\x1b[31;5;7m", "\nadvae: all is well"
MARK = f"{COLOURS}\u202e\u2066\u200f\u061c\u200b\x9b2J\u2028\r|<script>alert(1)</script>`$(id)`';=1+1\t@x{INJECTED}"
STRAY = "\udcff"
"""A byte of a file's name that is not UTF-8."""


# ---------------------------------------------------------------- a registry whose every string is foreign


class Forger(Registry):
    """A registry that publishes entries with MARK in every string that it then still reads."""

    def publish(self, recipe: Any, metrics: Any, arrays: Any, **options: Any) -> Manifest:
        options["source"] = f"/tmp/{MARK}{STRAY}.npz"
        made = super().publish(taint(recipe), taint(metrics), arrays, **options)
        path = locate(self, made)
        stored = json.loads(path.read_bytes())
        del stored["sha256"]
        stored |= {"versions": {MARK: MARK}, "created": f"9{MARK}{STRAY}"}
        path.write_bytes(seal_document(stored))
        return self.manifest(made.id)


def taint(record: Record) -> Any:
    """Return a record with MARK in each of its strings, one by one, where it is a valid one then."""
    document = record.model_dump(mode="json")
    for holder, key in list(find_strings(document)):
        before, holder[key] = holder[key], f"{holder[key]}{MARK}{STRAY}"
        try:
            type(record).model_validate(document)
        except ValueError:
            holder[key] = before
    return type(record).model_validate(document)


def find_strings(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where each string of a document stands, but for those that name other entries."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, str) and key not in PARENTS:
            yield value, key
        elif isinstance(inner, dict | list):
            yield from find_strings(inner)


def publish_names(lab: Lab) -> list[Manifest]:
    """Publish entries of a dataset that has such a name, and classes, and is otherwise like any."""
    classes = (f"={MARK}", f"-{MARK}{STRAY}", "", f"@{MARK}", "accuracy", "-1", *"6789")
    lab.dataset = DIGITS.model_copy(update={"name": f"+{MARK}{STRAY}.npz", "classes": classes})
    lab.source = f"/tmp/{MARK}{STRAY}.npz"
    return publish_entries(lab)


def publish_all(lab: Lab) -> list[Manifest]:
    lab.registry = Forger(lab.registry.home)
    return publish_entries(lab)


def publish_entries(lab: Lab) -> list[Manifest]:
    bare, *behind = (
        lab.add_classifier(purifier) for purifier in (None, lab.add_autoencoder(views=make_views(plane=True)))
    )
    behind.append(lab.add_classifier(lab.add_autoencoder("blur")))
    runs = [lab.add_run(bare, checked=True, threat="adaptive", method=method) for method in ("bim", "non-targeted")]
    runs += [lab.add_run(one, checked=True, threat=threat) for one in behind for threat in ("adaptive", "oblivious")]
    return [*runs, lab.add_run(behind[0], method="tfgsm", target=0), lab.add_run(behind[0], method="natural")]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "home")


PUBLISHED = {"every name": publish_names, "every string": publish_all}


@pytest.mark.parametrize("publish", PUBLISHED.values(), ids=PUBLISHED)
def test_no_string_of_any_record_is_executed(
    lab: Lab, tmp_path: Path, publish: Callable[[Lab], list[Manifest]]
) -> None:
    runs, out = publish(lab), tmp_path / "out"
    shown = [runs[-1].id, *runs[-1].parents, runs[2].id]
    for run in (run_in_pipes, run_at_terminal):
        for command in (
            ("report", "--out", out, *(("--format", "csv") if run is run_at_terminal else ())),
            ("registry", "ls"),
            *(("registry", "show", id_) for id_ in shown),
            ("registry", "verify"),
            ("registry", "rm", shown[1]),
            ("registry", "gc", "--dry-run"),
            ("attack", "--method", "fgsm", "--eps", "0.1", "--clf", shown[1]),
        ):
            outcome = run(*command, "--home", lab.registry.home)
            assert outcome.code in ((2, 3, 4, 6) if {"attack", "rm"} & {*command} else (0,)), outcome.err
            assert_tame(outcome.out)
            assert_tame(outcome.err)
    for command in (
        ("report", "--out", out, "-q", "--format", "csv"),
        ("registry", "ls"),
        ("registry", "show", shown[0]),
    ):
        check_json(succeed(*command, "--json", "--home", lab.registry.home).out)
    files = list(out.iterdir())
    assert {path.suffix[1:] for path in files} == set(FORMATS)
    for path in files:
        CHECKS[path.suffix[1:]](path.read_text("utf-8"))


def run_in_pipes(*command: object) -> Outcome:
    return call(*command)


def run_at_terminal(*command: object) -> Outcome:
    return call_at(100, *command)


# ---------------------------------------------------------------- what each kind of reader must not find


def assert_tame(text: str) -> None:
    """Hold that nothing but Rich's own sequences moves a cursor, and that no name makes a line."""
    assert COLOURS not in text
    assert INJECTED not in text
    text = re.sub(r"\r?\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert {char for char in text if not char.isprintable()} <= {"\n", "\N{NO-BREAK SPACE}"}


def check_page(packed: str) -> None:
    """Hold that no name runs or leads a line, in the page as it opens, in its parts and in its charts' data."""
    assert_tame(packed)
    text = unpack_page(packed)
    assert_tame(text)
    assert list_executed(text) == [""]
    for data in re.findall(r'<script type="application/json"[^>]*>([^<]*)</script>', text):
        assert_tame("".join(find_texts(json.loads(data))))
    assert "<script>alert" not in text
    assert r"\x1b[31;5;7m\u202e" in text, "it is shown, as what it is"


def find_texts(value: Any) -> Iterator[str]:
    """Yield every string of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from find_texts(one)


def check_markdown(text: str) -> None:
    assert_tame(text)
    prose = re.sub(r"^(`{3,})sh\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script>" not in prose
    for table in (block.splitlines() for block in prose.split("\n\n") if block.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    blocks = re.findall(r"^(`{3,})sh\n(.*?)\n\1$", text, flags=re.DOTALL | re.MULTILINE)
    check_commands({line for _, block in blocks for line in block.splitlines()})


def check_commands(commands: set[str]) -> None:
    """Hold that a shell takes each for one command of ours, and reads the file's name out of it."""
    for line in (line for line in commands if line.startswith("advae ")):
        words = read_words(line)
        assert words[0] == b"advae"
        assert not any(b"\x1b" in word for word in words) or any(
            b"\nadvae: all is well\xff" in word for word in words
        ), line


def read_words(line: str) -> list[bytes]:
    """Return the words of a command line, as a shell takes them."""
    return subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout.split(b"\0")


def check_spreadsheet(text: str) -> None:
    """Hold that no program computes anything, wherever it splits the lines, and that numbers are numbers."""
    assert_tame(text)
    for separator in ",;\t|":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in row:
                assert not re.match(r"""[\s"]*[=+\-@]""", cell) or is_number(cell), (separator, cell)
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert all(len(row) == len(header) for row in rows)


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def check_json(text: str) -> None:
    assert text.isascii()
    assert_tame(text)


CHECKS = {"html": check_page, "md": check_markdown, "csv": check_spreadsheet, "json": check_json}


# ---------------------------------------------------------------- a file, a folder and a home that have such names


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images in it, and a home, whose names are no text."""
    folder = tmp_path / f"{MARK.replace('/', '')}{STRAY}"
    folder.mkdir()
    monkeypatch.setenv("ADVAE_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = (0.5 * rng.random((120, 4, 4)) + 0.5 * y[:, None, None]).astype(np.float32)
    np.savez(folder / f"{STRAY}.npz", x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])
    return folder


def test_a_file_whose_name_is_no_text_is_worked_with_from_training_to_report(strange: Path) -> None:
    file = strange / f"{STRAY}.npz"
    told: list[Outcome] = []

    def run(*command: object) -> str:
        outcome = call_at(100, *command)
        assert outcome.code == 0, outcome.err
        told.append(outcome)
        return outcome.id

    ae = run("train-ae", "--type", "blur", "--dataset", file)
    clf = run("train-clf", "--model", "lr", "--ae", ae, "--dataset", file)
    run("attack", "--method", "fgsm", "--eps", "0.1", "--clf", clf)
    run("data", "verify", file)
    run("registry", "export", clf, strange / f"{STRAY}.tar")
    run("registry", "import", strange / f"{STRAY}.tar")
    run("reproduce", "--dataset", file, "--dry-run")
    for outcome in told:
        assert_tame(outcome.err)
    page = Path(os.fsdecode(succeed("report", "-q", "--out", strange / "out").out.removesuffix("\n")))
    for path in page.parent.iterdir():
        CHECKS[path.suffix[1:]](path.read_text("utf-8")) if path.suffix != ".html" else assert_tame(
            path.read_text("utf-8")
        )
    commands = json.loads((page.parent / "report.json").read_text())["commands"]
    words = [os.fsdecode(word) for word in read_words(next(line for line in commands if "train-ae" in line))[1:-1]]
    assert succeed(*words, "-q").id == ae, "what is copied from the page finds the file"


def test_a_mistake_with_such_a_file_is_one_line(strange: Path) -> None:
    for command in (
        ("train-ae", "--type", "vanilla", "--dataset", f"no{MARK}{STRAY}.npz"),
        ("report", "--out", strange / f"{STRAY}.npz"),
        ("report", f"no{MARK}"),
        ("registry", "import", f"no{MARK}{STRAY}"),
        ("reproduce", "--plan", f"no{MARK}{STRAY}"),
        ("attack", "--method", MARK, "--eps", "0.1"),
        ("data", "verify", f"no{MARK}{STRAY}.npz", "--data-dir", f"no{MARK}{STRAY}"),
    ):
        for run in (run_in_pipes, run_at_terminal):
            refused = run(*command)
            assert refused.code in (2, 3, 5, 6), refused.err
            assert_tame(refused.err)
            assert re.search(r"advae: [^\n]*\n\Z", refused.err)
            assert run is run_at_terminal or refused.err.count("\n") == 1
