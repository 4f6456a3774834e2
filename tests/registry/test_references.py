"""Names: one file each, moved in one step, and whatever else lies beside them stands for nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from advae.errors import NotFoundError, UsageError
from advae.identity import ID, KINDS, Kind
from advae.registry.folders import Folders
from advae.registry.references import LATEST, MADE_BY, NAMES, References, check_tag, resolve_id
from tests.entries import list_names

AE, CLF, RUN = "ae-0123456789ab", "clf-0123456789ab", "run-abcdefabcdef"
IDS = [AE, "ae-01ffffffffff", CLF, RUN]


@pytest.fixture
def references(tmp_path: Path) -> References:
    return References(Folders(tmp_path / "home"))


def test_every_kind_has_a_maker_and_a_name() -> None:
    assert set(MADE_BY) == set(NAMES) == set(KINDS)


# ---------------------------------------------------------------- files


def test_a_name_is_one_line_in_one_file(references: References) -> None:
    references.write("ae", "best", AE)
    path = references.folders.refs / "ae" / "best"
    assert path.read_text() == f"{AE}\n"
    references.write("ae", "best", IDS[1])
    assert references.read("ae", "best") == IDS[1]
    assert references.read("clf", "best") is None
    assert list_names(references.folders.refs / "ae") == ["best"]
    assert list_names(references.folders.tmp) == []


def test_a_name_moves_in_one_step(references: References, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader finds the old id or the new one."""
    references.write("ae", "best", AE)
    seen, replace = [], os.replace

    def watch(source: Path, target: Path) -> None:
        seen.append(references.read("ae", "best"))
        replace(source, target)
        seen.append(references.read("ae", "best"))

    monkeypatch.setattr(os, "replace", watch)
    references.write("ae", "best", IDS[1])
    assert seen == [AE, IDS[1]]


def test_reading_makes_nothing(references: References) -> None:
    assert references.read("ae", "best") is None
    assert references.list_tags() == {}
    with pytest.raises(NotFoundError):
        references.remove("best")
    assert not references.folders.home.exists()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"hello", b"\xff\xfe", f"{CLF}\n".encode(), b"ae-0123", b"AE-0123456789ab", b"../../x", b"a\0b"),
        *(f"{AE}\n{AE}\n".encode(), b"x" * 100_000, f"{AE} {AE}".encode(), "ae-٠١٢٣٤٥٦٧٨٩ab".encode()),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_text_that_is_no_id_names_no_entry(references: References, content: bytes) -> None:
    references.write("ae", "best", AE)
    path = references.folders.refs / "ae" / "best"
    path.write_bytes(content)
    assert references.read("ae", "best") is None
    assert references.list_tags() == {}
    assert references.remove("best") == []
    assert not path.exists()


@pytest.mark.parametrize("name", ["..", "../ae/best", "/etc/passwd", "a/b", ".hidden", "-x", "", "a\0", "é", "x" * 65])
def test_an_impossible_name_is_not_looked_for(
    references: References, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    references.write("ae", "best", AE)
    monkeypatch.setattr(Path, "open", lambda *arguments: pytest.fail("opened"))
    assert references.read("ae", name) is None
    with pytest.raises(NotFoundError):
        references.remove(name)


def test_names_are_listed_by_id_sorted_without_latest(references: References) -> None:
    names: list[tuple[Kind, str, str]] = [("ae", "b", AE), ("ae", "a", AE), ("ae", LATEST, AE), ("clf", "a", CLF)]
    for kind, name, id_ in names:
        references.write(kind, name, id_)
    assert references.list_tags() == {AE: ["a", "b"], CLF: ["a"]}


def test_a_tag_of_several_kinds_is_removed_of_all(references: References) -> None:
    ids: dict[Kind, str] = {"ae": AE, "clf": CLF, "run": RUN}
    for kind, id_ in ids.items():
        references.write(kind, "best", id_)
    references.write("ae", LATEST, AE)
    assert references.remove("best") == [AE, CLF, RUN]
    with pytest.raises(NotFoundError, match="no tag 'latest'"):
        references.remove(LATEST)
    assert references.read("ae", LATEST) == AE


# ---------------------------------------------------------------- what a reference stands for

RESOLVED = [
    (AE, None, AE),
    (AE, "ae", AE),
    (AE[:-1], None, AE),
    ("0123456789ab", "ae", AE),
    ("0123456789ab", "clf", CLF),
    ("012345", "clf", CLF),
    ("run-a", None, RUN),
    ("ab", None, RUN),
    ("clf-0", None, CLF),
    ("ae-01f", None, IDS[1]),
    ("01f", None, IDS[1]),
]


@pytest.mark.parametrize(("ref", "kind", "expected"), RESOLVED)
def test_an_id_or_its_beginning_names_an_entry(
    references: References, ref: str, kind: Kind | None, expected: str
) -> None:
    assert resolve_id(references, IDS, ref, kind) == expected


UNRESOLVED = {
    **{kind: f"no entry {kind!r}" for kind in ("ae", "ae-", "clf", "clf-", "run", "run-")},
    "ae-0": "ambiguous; name one of ae-0123456789ab, ae-01ffffffffff",
    "01": "ambiguous",
    "0123456789ab": "ambiguous; name one of ae-0123456789ab, clf-0123456789ab",
    "a": "no entry 'a'",
    "": "no entry ''",
    f"{AE}0": "did you mean 'ae-0123456789ab'",
    "bets": "did you mean 'best'",
    "ae-0123456789AB": "no entry",
    "*": "no entry",
    "\x1b[31m\n": "no entry",
    "../ae/best": "no entry",
}


@pytest.mark.parametrize("ref", UNRESOLVED)
def test_a_reference_to_no_entry_or_several_is_one_line(references: References, ref: str) -> None:
    references.write("ae", "best", AE)
    with pytest.raises(NotFoundError) as caught:
        resolve_id(references, IDS, ref, None)
    assert UNRESOLVED[ref] in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_tag_does_not_hide_an_id_that_begins_with_it(references: References) -> None:
    """One that was given before the entry of that id was made; such a tag is refused otherwise."""
    references.write("ae", "ae-01f", AE)
    with pytest.raises(NotFoundError) as caught:
        resolve_id(references, IDS, "ae-01f", None)
    said = f"'ae-01f' is a tag and the beginning of an id; name one of {AE}, {IDS[1]}"
    assert str(caught.value) == said
    references.write("ae", "01f", IDS[1])
    assert resolve_id(references, IDS, "01f", None) == IDS[1]
    references.write("run", "01f", RUN)
    assert resolve_id(references, IDS, "01f", "run") == RUN
    references.write("ae", IDS[1], AE)
    assert resolve_id(references, IDS, IDS[1], None) == IDS[1]


def test_a_tag_of_a_removed_entry_names_no_entry(references: References) -> None:
    references.write("ae", "best", "ae-999999999999")
    with pytest.raises(NotFoundError):
        resolve_id(references, IDS, "best", None)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=70))
@example("a\n")
@example("latest")
@example("..")
def test_what_can_be_a_tag_is_a_file_name_and_what_cannot_is_refused(references: References, alias: str) -> None:
    try:
        check_tag(alias)
    except UsageError as error:
        reason = str(error)
        assert reason.isprintable()
        return
    assert Path(alias).name == alias
    assert alias.isascii()
    assert alias != LATEST
    assert not ID.fullmatch(alias)
    references.write("ae", alias, AE)
    assert references.read("ae", alias) == AE
