"""The help of every command: examples that can be parsed, every option described, and what fits a screen."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from advae.attacks import ATTACKS, list_attacks
from advae.cli.app import build_app
from advae.cli.command_examples import HELP_PAGES
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import CLASSIFIERS
from tests.calls import call, list_commands, succeed
from tests.cli.registry_calls import call_at_terminal, one_line

COMMANDS = list_commands(get_command(build_app()))
GROUPS = {"", "registry", "data"}


def list_options(command: Any) -> set[str]:
    context = command.make_context("it", [], resilient_parsing=True)
    parameters = (one for one in command.get_params(context) if one.param_type_name == "option")
    return {name for one in parameters for name in (*one.opts, *one.secondary_opts)}


def test_every_command_and_group_has_a_page() -> None:
    assert {" ".join(words) for words in COMMANDS} | GROUPS == {*HELP_PAGES}
    assert all(len(page.examples) in (1, 2, 3) for page in HELP_PAGES.values())


@pytest.mark.parametrize("name", HELP_PAGES)
def test_every_example_can_be_parsed(name: str) -> None:
    for example in HELP_PAGES[name].examples:
        program, *words = shlex.split(example.partition(" | ")[0].partition(" > ")[0])
        assert program == "advae"
        path = next(path for path in COMMANDS if tuple(words[: len(path)]) == path)
        assert name in GROUPS or " ".join(path) == name
        values = COMMANDS[path].make_context("it", words[len(path) :]).params
        for option, table in (("type_", AUTOENCODERS), ("model", CLASSIFIERS)):
            assert values.get(option) is None or values[option] in table
        if path == ("attack",):
            assert values["eps"]
            assert values["method"] in ATTACKS


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_described(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """By ``--help-all``; ``--help`` describes most, and names the others."""
    monkeypatch.setenv("COLUMNS", "80")
    options, page = list_options(COMMANDS[path]), HELP_PAGES[" ".join(path)]
    short, everything = (succeed(*path, option).out for option in ("--help", "--help-all"))
    assert succeed(*path, "-h").out == short
    described = {word.strip(",") for line in everything.splitlines() if line[:3] == "  -" for word in line.split()}
    assert options - described == set()
    assert {*page.rare} - options == set()
    named = {word.rstrip(",.") for word in short.split()} | {"-h", "--help", "--no-intercept"}
    assert options - named == set()
    examples = {f"  {example}" for example in page.examples}
    for text in (short, everything):
        assert not re.search(r"<[a-z]", text), "types of Python are not shown"
        assert [line for line in text.splitlines() if len(line) > 80 and line not in examples] == []
    assert short.index("Examples:") < short.index("All commands:")


@pytest.mark.parametrize("group", [(), ("registry",), ("data",)])
def test_a_group_has_one_help(group: tuple[str, ...]) -> None:
    assert succeed(*group, "--help-all").out == succeed(*group, "--help").out


def test_help_fits_a_screen_and_a_narrow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = {" ".join(path): succeed(*path, "--help").out.count("\n") for path in COMMANDS}
    assert {name: count for name, count in lines.items() if count > 50} == {"train-ae": lines["train-ae"]}
    assert lines["train-ae"] <= 62
    monkeypatch.setenv("COLUMNS", "40")
    shown = succeed("attack", "--help").out
    examples = {f"  {example}" for example in HELP_PAGES["attack"].examples}
    assert [line for line in shown.splitlines() if len(line) > 40 and line not in examples] == []


def test_the_methods_are_listed_for_people_and_for_programs() -> None:
    assert [line.split("\t")[0] for line in succeed("attack", "--methods").out.splitlines()] == list_attacks()
    assert [row["name"] for row in succeed("attack", "--methods", "--json").json] == list_attacks()
    title, *lines = call_at_terminal("attack", "--methods").out.splitlines()
    assert title.split() == ["method", "what", "it", "is"]
    assert {line.split()[0] for line in lines} >= {*list_attacks()}
    refused = one_line(call("attack", "--eps", "0.1"), 2)
    assert all(f" {name}" in refused for name in list_attacks())
    assert "`advae attack --methods`" in refused
    assert "missing option '--eps'" in one_line(call("attack", "--method", "fgsm"), 2)
