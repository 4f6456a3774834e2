"""The errors: the exit codes of the command-line contract, and the line for an unknown name."""

from __future__ import annotations

import inspect

import pytest

from advae import errors
from advae.errors import (
    MEMORY_SIGNS,
    AdvaeError,
    BudgetError,
    DiskError,
    UsageError,
    is_memory_error,
    printable,
    unknown,
)

EXIT_CODES = {
    "AdvaeError": 1,
    "UsageError": 2,
    "BudgetError": 2,
    "NotFoundError": 3,
    "NewerSchemaError": 4,
    "CorruptError": 4,
    "DiskError": 5,
    "KilledError": 5,
    "DatasetError": 6,
    "CheckFailedError": 7,
    "DivergedError": 8,
}
"""What people script against; 130 is the interrupted command's own."""

ATTACKS = ("fgsm", "tfgsm", "bim", "non-targeted")


def test_every_error_has_the_exit_code_of_the_contract() -> None:
    defined = {
        name: cls.exit_code
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, AdvaeError) and cls.__module__ == errors.__name__
    }
    assert defined == EXIT_CODES


@pytest.mark.parametrize(
    ("text", "shown"),
    [("76.5\N{NO-BREAK SPACE}% é", "76.5 % é"), ("a\x1b[31mb\r\n\u202ec", r"a\x1b[31mb\r\n\u202ec"), ("", "")],
)
def test_what_is_shown_moves_no_cursor_and_keeps_its_spaces(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_a_bad_budget_is_a_usage_error() -> None:
    assert issubclass(BudgetError, UsageError)


def test_an_error_contains_the_value_it_was_given() -> None:
    with pytest.raises(AdvaeError, match=r"^bad eps 2$"):
        raise BudgetError("bad eps 2")


@pytest.mark.parametrize(
    ("got", "nearest"), [("fgms", "fgsm"), ("FGSM", "fgsm"), ("tfgs", "tfgsm"), ("untargeted", "non-targeted")]
)
def test_a_near_name_is_suggested(got: str, nearest: str) -> None:
    line = unknown("attack", got, ATTACKS)
    assert line == f"unknown attack {got!r}; did you mean {nearest!r}? (bim, fgsm, non-targeted, tfgsm)"


@pytest.mark.parametrize("got", ["zzz", "", "\x00", "q" * 1000])
def test_a_far_name_gets_the_list_alone(got: str) -> None:
    line = unknown("attack", got, ATTACKS)
    assert "did you mean" not in line
    assert repr(got) in line
    assert line.endswith("(bim, fgsm, non-targeted, tfgsm)")


def test_the_allowed_names_may_be_any_iterable() -> None:
    table = {"mnist": 1, "digits": 2}
    expected = "unknown dataset 'minst'; did you mean 'mnist'? (digits, mnist)"
    assert unknown("dataset", "minst", table) == expected
    assert unknown("dataset", "minst", (name for name in table)) == expected


def test_what_was_got_cannot_break_the_line() -> None:
    assert "\n" not in unknown("attack", "fg\nsm\r\x1b[31m", ATTACKS)
    assert "\x1b" not in unknown("attack", "fg\nsm\r\x1b[31m", ATTACKS)


def test_too_little_memory_is_recognized_by_the_messages_of_libraries() -> None:
    signs = (f"x: {sign}: y" for sign in MEMORY_SIGNS)
    assert all(is_memory_error(error) for error in (MemoryError(), *map(RuntimeError, signs)))
    others = (ValueError("x"), RecursionError(), DiskError("Cannot allocate memory"))
    assert not any(is_memory_error(error) for error in others)
