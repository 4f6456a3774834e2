"""Tables for terminals of any width: no number is broken or cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from advae.report.formats.fitted_table import FittedTable

NUMBERS = ("97.30% [96.93, 97.61]", "100.00%", "5.25% [4.82, 5.70]")


def draw(columns: int) -> list[str]:
    table = FittedTable(
        "nn undefended\nn = 10000", ("method", "threat", "eps", "accuracy\n[95 %]", "rate"), ("method", "threat")
    )
    table.add_row("hop-skip-jump l2", "fixed-randomness", "0.1961 (50/255)", NUMBERS[0], NUMBERS[1])
    table.add_row("", "", "mean of 10 draws", NUMBERS[2], "")
    table.notes = ("half of the images are broken at eps 0.1234",)
    console = Console(file=io.StringIO(), width=columns, soft_wrap=True)
    console.print(table)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("columns", [200, 120, 80, 60, 40])
def test_no_number_is_broken_or_cut(columns: int) -> None:
    lines = draw(columns)
    assert max(len(line.rstrip()) for line in lines) <= columns or columns == 40
    for number in (*NUMBERS, "0.1961", "mean of 10 draws", "0.1234"):
        assert any(number in line for line in lines), (number, lines)
    assert "…" not in "".join(lines)


def test_what_is_left_out_first_is_the_least() -> None:
    wide, narrow, narrowest = ("\n".join(draw(columns)) for columns in (120, 80, 40))
    assert "hop-skip-jump l2 fixed-randomness 0.1961 (50/255)" in " ".join(wide.split())
    assert "fixed-randomness" not in narrow
    assert "hop-skip-jump l2, fixed-randomness\n  eps 0.1961 (50/255)\n  accuracy 97.30%" in narrowest
