"""Retired words are absent from help, errors, messages and reports, and from docstrings, comments and names.

The README and the other documents are held in test_readme.py.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command

import advae
from advae.cli.app import ABOUT, build_app
from advae.report import write_report
from tests.calls import list_commands
from tests.report_fixtures import Lab

SOURCES = sorted(Path(advae.__file__).parent.rglob("*.py"))

RETIRED = re.compile(
    r"\b(twins?|rungs?|ladder|climb(s|ed)?|whoever|nobody|somebody|fooled|what is left(?! out)|verdicts?|"
    r"numbers? that stands?)\b",
    re.IGNORECASE,
)

HOLDERS = ("test_words.py", "test_readme.py")
"""The tests that list the retired words."""

STORED = re.compile(r"report-(ladder|controls|verdicts)\.csv|\"[a-z_]+\":|csv-\w+")
"""Names of files and keys, which programs read and which stay."""

ROOT = Path(__file__).parent.parent

CODE = [path for path in sorted([*SOURCES, *(ROOT / "tests").rglob("*.py")]) if path.name not in HOLDERS]
"""The package and all tests."""

RETIRED_IN_CODE = re.compile(
    r"\b(twins?|rungs?|ladders?|climb(s|ed|ing)?|whoever|nobody|somebody|fooled|what is left(?! out)|verdicts?|"
    r"judge[ds]?|judging|judgements?|believed?|numbers? that stands?|adversarial images?)\b",
    re.IGNORECASE,
)

STORED_NAMES = {
    "twin": "field of a stored run recipe, and key of attack --json",
    "verdicts": "field of stored run metrics, and key of attack --json",
    "twin_of": "column of the paper's results.csv",
}
"""Retired words that are names on disk or in JSON, which programs read, with the place."""

SAYS = {"tell", "tell_lines", "complain", "detail", "warn"}
"""Methods and functions that print a message for people."""


def find_retired(text: str) -> set[str]:
    return {found.group().lower() for found in RETIRED.finditer(STORED.sub("", text))}


def collect_strings(nodes: Iterable[ast.AST]) -> str:
    return " ".join(
        node.value
        for outer in nodes
        for node in ast.walk(outer)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def find_messages(path: Path) -> Iterator[str]:
    """Yield the strings of each error that a module makes and of each message that it prints."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called.endswith("Error") or called in SAYS:
                yield collect_strings([*node.args, *(keyword.value for keyword in node.keywords)])


@pytest.mark.parametrize("path", list_commands(get_command(build_app())), ids=" ".join)
def test_help_has_no_retired_word(path: tuple[str, ...]) -> None:
    command = list_commands(get_command(build_app()))[path]
    texts = [command.help or "", command.short_help or "", *(getattr(one, "help", "") or "" for one in command.params)]
    assert find_retired(" ".join(texts)) == set()


def test_the_list_of_commands_has_no_retired_word() -> None:
    groups = get_command(build_app())
    assert find_retired(" ".join([ABOUT, *(command.help or "" for command in groups.commands.values())])) == set()


def test_messages_have_no_retired_word() -> None:
    found = {
        f"{path.name}: {text}": words
        for path in SOURCES
        for text in find_messages(path)
        if (words := find_retired(text))
    }
    assert found == {}


def test_page_and_markdown_have_no_retired_word(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    for purifier in (None, lab.add_autoencoder("vanilla"), lab.add_autoencoder("blur")):
        classifier = lab.add_classifier(purifier) if purifier else lab.add_classifier()
        lab.add_run(classifier, keep=(0.4, 0.2), checked=True)
        if purifier:
            lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.8), checked=True)
    files = write_report(lab.registry, lab.registry.entries("run"), tmp_path / "out", formats=("html", "md"))
    page = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", files["html"].read_text("utf-8"), flags=re.DOTALL)
    assert find_retired(page) == set()
    assert find_retired(files["md"].read_text("utf-8")) == set()


def read_prose(path: Path) -> Iterator[str]:
    """Yield each comment and each docstring of a file, those of fields included."""
    with path.open("rb") as stream:
        yield from (token.string for token in tokenize.tokenize(stream.readline) if token.type == tokenize.COMMENT)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def read_names(path: Path) -> Iterator[str]:
    """Yield the names that a file gives: of functions, classes, parameters and variables."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def find_retired_in_code(text: str) -> set[str]:
    """Return the retired words of a comment or docstring, without code in double backticks and ``twin:`` of a field."""
    plain = re.sub(rf"``[^`]*``|\b({'|'.join(STORED_NAMES)}):", "", " ".join(text.split()))
    return {found.group().lower() for found in RETIRED_IN_CODE.finditer(plain)}


def test_docstrings_and_comments_have_no_retired_word() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {text}": words
        for path in CODE
        for text in read_prose(path)
        if (words := find_retired_in_code(text))
    }
    assert found == {}


def test_names_of_code_have_no_retired_word_but_stored_ones() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in CODE
        for name in read_names(path)
        if name not in STORED_NAMES and find_retired_in_code(name.replace("_", " "))
    }
    assert found == set()


RECORD_BASES = ("Record", "Request", "NamedTuple", "Recipe")

DESCRIBED_ELSEWHERE = ("RunOptions",)
"""The table of run options: each of its rows has a help text and a meaning."""


def is_record(node: ast.ClassDef) -> bool:
    """Return whether a class is a dataclass, a named tuple or a record of pydantic, by what its lines say."""
    decorated = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    return decorated or any(ast.unparse(base).endswith(RECORD_BASES) for base in node.bases)


def find_undescribed_fields(path: Path) -> Iterator[str]:
    """Yield the fields of a module's records without a docstring under them, but for the ``kind`` of a union."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef) and is_record(node) and node.name not in DESCRIBED_ELSEWHERE:
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) != "kind":
                    described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                    if not described:
                        yield f"{path.name}: {node.name}.{ast.unparse(field.target)}"


def test_every_field_of_a_record_has_a_line_under_it() -> None:
    assert [one for path in SOURCES for one in find_undescribed_fields(path)] == []
