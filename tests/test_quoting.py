"""Foreign words as a shell and a spreadsheet read them."""

from __future__ import annotations

import os
import subprocess

import pytest

from advae.quoting import disarm_formulas, join_command

WORDS = (
    "plain.npz",
    "a b.npz",
    "it's.npz",
    "$(touch x) `touch x` ${HOME} !! \\n",
    "\x1b[2J\n\u202egnp.exe",
    "it's\x07 $(touch x) !! \\033 ;",
    os.fsdecode(b"caf\xe9 \xff1.npz"),
    "é☃",
    "--x=1",
    "",
)


def test_a_shell_reads_back_what_was_quoted() -> None:
    line = join_command(WORDS)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in WORDS]


def test_what_is_no_file_name_can_be_pasted_too() -> None:
    assert join_command(["a\ud800b"]) == r"$'a\355\240\200b'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("--1", "'--1"),
        ("  \t=1", "  \t'=1"),
        ('"=1', "\"'=1"),
        ("＝1＋1", "'＝1＋1"),
        ("＠x", "'＠x"),
        ("a;=1;b", "a;'=1;b"),
        ("a, -x|+y", "a, '-x|'+y"),
        ("-1", "-1"),
        ("+1.5e-3", "+1.5e-3"),
        ("-.5", "-.5"),
        ("a; -1; +2.5", "a; -1; +2.5"),
        ("a-b = c+d @ e", "a-b = c+d @ e"),
        ("", ""),
    ],
)
def test_a_spreadsheet_computes_nothing_and_numbers_stay(text: str, shown: str) -> None:
    assert disarm_formulas(text) == shown
