"""The tables for LaTeX: every sign is escaped, every row has all cells, and the file that reads them names them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from advae.report import write_report
from advae.report.formats.latex import TEX_HEAD, escape_tex
from advae.report.wording import NBSP
from tests.calls import call
from tests.report_fixtures import DIGITS, Lab


def unescape(text: str) -> str:
    """Return what LaTeX shows of an escaped text; raise ValueError where a sign would be a command."""
    shown, place = "", 0
    names = {
        "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">",
        "textbar": "|", "textquotedbl": '"',
    }  # fmt: skip
    pattern = re.compile(r"\\([a-z]+)\{\}|\\([&%$#_{}])|(\$-\$)|(~)|([^\\&%$#_{}~^<>|\"])")
    while place < len(text):
        found = pattern.match(text, place)
        if found is None:
            raise ValueError(f"{text[place:]!r} is not escaped")
        command, sign, minus, space, plain = found.groups()
        shown += names[command] if command else sign or ("\N{MINUS SIGN}" if minus else NBSP if space else plain)
        place = found.end()
    return shown


@pytest.mark.parametrize(
    "text", ["a_b & c%", r"\\begin{x}$", '~^<>|"#{}', f"4.4{NBSP}% [2.8,{NBSP}7.1]", "\N{MINUS SIGN}7.2"]
)
def test_latex_shows_what_was_written(text: str) -> None:
    assert unescape(escape_tex(text)) == text


def test_names_from_files_are_no_commands_and_move_no_line(tmp_path: Path) -> None:
    escaped = escape_tex("x\n\\input{/etc/passwd}\x1b")
    assert "\n" not in escaped
    assert "\x1b" not in escaped
    assert "\\input" not in escaped


def test_every_table_is_a_whole_one_in_a_file_of_its_own(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", DIGITS.model_copy(update={"name": "my_data & 100%"}))
    lab.add_run(lab.add_classifier(), keep=(0.3, 0.0), checked=True)
    for kind in ("vanilla", "sparse"):
        lab.add_run(lab.add_classifier(lab.add_autoencoder(kind)), keep=(0.6, 0.2), checked=True)
    files = write_report(lab.registry, lab.registry.entries("run"), tmp_path / "out", formats=("tex",))
    main = files.pop("tex").read_text()
    assert {"tex-numbers", "tex-pairs", "tex-accuracy"} <= files.keys()
    assert re.findall(r"\\input\{(.*)\}", main) == [path.stem for path in files.values()]
    for path in files.values():
        text = path.read_text()
        assert text.startswith(TEX_HEAD)
        assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") > 0
        for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
            rows = [line for line in body.splitlines() if line.endswith(r" \\")]
            assert len(rows) > 1
            for row in rows:
                cells = row.removesuffix(r" \\").split(" & ")
                assert len(cells) == len(columns)
                assert all(unescape(cell) for cell in cells)
        assert "my_data" not in text


def test_a_second_report_replaces_its_files_and_no_others(tmp_path: Path) -> None:
    lab, out = Lab(tmp_path / "home"), tmp_path / "out"
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True)
    other = lab.add_run(lab.add_classifier(), checked=True)
    write_report(lab.registry, [run, other], out, formats=("tex",))
    assert (out / "report-pairs.tex").exists()
    write_report(lab.registry, [run], out, formats=("tex",))
    assert not (out / "report-pairs.tex").exists()
    (out / "report-numbers.tex").write_text("mine")
    refused = call("report", run.id, "--home", lab.registry.home, "--out", out, "--format", "tex")
    assert (refused.code, "report-numbers.tex was not written by a report" in refused.err) == (2, True)
