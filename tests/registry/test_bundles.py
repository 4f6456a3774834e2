"""Bundles: what is taken from one home is in another byte for byte, and whatever else a tar holds is refused."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError, DiskError, NotFoundError, UsageError
from advae.registry import Registry, bundle_members, bundles
from advae.registry.bundle_members import MEMBER
from advae.registry.bundles import read_bundle, write_bundle
from tests.entries import (
    WEIGHTS,
    Family,
    list_names,
    locate,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    pack_bundle,
    publish,
    publish_family,
    read_unmarked,
    seal,
    seal_document,
    seal_first_schema,
    take_bundle,
)
from tests.hostile.members import (
    BLOCK,
    END,
    encode_bundle,
    encode_header,
    encode_member,
    open_manifest,
    take_apart,
    tell_own,
)
from tests.registry.faulty_disk import write_on_failing_disk


def read_entries(registry: Registry) -> dict[str, bytes | None]:
    return read_unmarked(registry.home)


def assert_untouched(registry: Registry, before: dict[str, bytes | None]) -> None:
    """Hold that no entry is another and no draft is left."""
    assert read_entries(registry) == before
    assert list_names(registry.folders.tmp) == []


# ---------------------------------------------------------------- there and back


def test_an_imported_entry_is_equal_to_the_byte(registry: Registry, other: Registry, family: Family) -> None:
    ids = [entry.id for entry in family]
    stream = io.BytesIO()
    assert write_bundle(registry, family[2], stream) == ids
    imported = take_bundle(other, stream.getvalue())
    assert (imported.ids, imported.present) == (tuple(ids), ())
    assert read_entries(other) == read_entries(registry)
    assert (other.home / "VERSION").read_bytes() == (registry.home / "VERSION").read_bytes()
    assert other.tags() == {}
    assert pack_bundle(other, other.manifest(ids[2])) == stream.getvalue()


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_an_entry_is_exported_with_its_ancestors_only(
    kind: int, registry: Registry, other: Registry, family: Family
) -> None:
    publish(registry, make_autoencoder_recipe(seed=9))
    assert take_bundle(other, pack_bundle(registry, family[kind])).ids == tuple(
        entry.id for entry in family[: kind + 1]
    )


def test_a_shared_ancestor_is_exported_once_and_before_both(registry: Registry, other: Registry) -> None:
    ae, clf, _ = publish_family(registry)
    undefended = publish(registry, make_classifier_recipe(autoencoder=ae.id, seed=3))
    run = publish(registry, make_run_recipe(classifier=clf.id, twin=undefended.id))
    ids = take_bundle(other, pack_bundle(registry, run)).ids
    assert sorted(ids) == sorted({ae.id, clf.id, undefended.id, run.id})
    assert (ids[0], ids[-1]) == (ae.id, run.id)


def test_entries_of_no_artifacts_and_of_several(registry: Registry, other: Registry) -> None:
    recipe, arrays = make_autoencoder_recipe(), {"b.npz": {"x": [1.0]}, "a.npz": {}, "z_9.npz": {"y": [2]}}
    made = {name: {key: np.array(value) for key, value in content.items()} for name, content in arrays.items()}
    several = registry.publish(recipe, make_metrics(recipe), made)
    none = registry.publish(make_autoencoder_recipe(seed=1), make_metrics(recipe), {})
    for entry in (several, none):
        take_bundle(other, pack_bundle(registry, entry))
    assert read_entries(other) == read_entries(registry)


def test_a_manifest_of_the_first_schema_is_exported_unchanged(
    registry: Registry, other: Registry, family: Family
) -> None:
    path = locate(registry, family[0])
    path.write_bytes(seal_first_schema(json.loads(path.read_bytes())))
    take_bundle(other, pack_bundle(registry, family[2]))
    here, there = registry.manifest(family[0].id), other.manifest(family[0].id)
    assert there.imported
    # Its place for the mark is that of schema 2, which says the same.
    assert there == here.model_copy(update={"imported": there.imported, "schema_version": 2})
    assert take_bundle(Registry(other.home / "third"), pack_bundle(other, there)).ids == (here.id,)


def test_equal_entries_give_equal_bytes(registry: Registry, other: Registry, family: Family) -> None:
    """Whenever, wherever and by whomever: nothing of the disk's own is in a bundle."""
    content = pack_bundle(registry, family[2])
    for path in registry.folders.entries.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert pack_bundle(registry, family[2]) == content
    take_bundle(other, content)
    assert pack_bundle(other, family[2]) == content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.getmembers()[0]
    assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)


def test_a_bundle_is_a_tar_that_tar_reads(registry: Registry, family: Family) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack_bundle(registry, family[2]))) as archive:
        members = archive.getmembers()
        assert all(member.isreg() and MEMBER.fullmatch(member.name) for member in members)
        for member in members:
            content = archive.extractfile(member)
            assert content is not None
            id_, _, name = member.name.partition(".")
            assert content.read() == (registry.folders.entries / id_ / name).read_bytes()


# ---------------------------------------------------------------- streams


class Pipe(io.RawIOBase):
    """What can be read once, from front to back, and never be asked where it is."""

    def __init__(self, content: bytes) -> None:
        self.stream = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.stream.readinto(memoryview(buffer)[:7])

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_pipe_will_do(pack: Any, registry: Registry, other: Registry, family: Family) -> None:
    class Sink(io.RawIOBase):
        def __init__(self) -> None:
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, content: Any) -> int:
            self.content += bytes(content)
            return len(content)

    sink = Sink()
    write_bundle(registry, family[2], sink)
    assert sink.content == pack_bundle(registry, family[2])
    read_bundle(other, io.BufferedReader(Pipe(pack(sink.content))))
    assert read_entries(other) == read_entries(registry)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_gzip_is_unpacked(level: int, registry: Registry, other: Registry, family: Family) -> None:
    content = pack_bundle(registry, family[2])
    halves = gzip.compress(content[:3000], level) + gzip.compress(content[3000:], level)
    for packed in (gzip.compress(content, level), halves):
        take_bundle(other, packed, replace=True)
        assert read_entries(other) == read_entries(registry)


def test_only_padding_may_follow_the_end_of_a_tar(registry: Registry, other: Registry, family: Family) -> None:
    content = pack_bundle(registry, family[2])
    members = b"".join(encode_member(name, part) for name, part in take_apart(content))
    for end in (bytes(BLOCK), END, END + bytes(-len(members + END) % tarfile.RECORDSIZE)):
        assert take_bundle(other, members + end, replace=True).ids[-1] == family[2].id
    before = read_entries(other)
    for rest in (content, b"whatever a tape held before", bytes(1 << 20) + b"x"):
        for whole in (content + rest, gzip.compress(content) + gzip.compress(rest), gzip.compress(content) + rest):
            with pytest.raises(CorruptError):
                take_bundle(other, whole)
            assert_untouched(other, before)


def test_memory_is_taken_for_pieces_only(tmp_path: Path, other: Registry) -> None:
    registry, recipe = Registry(tmp_path / "large"), make_autoencoder_recipe()
    large = {WEIGHTS: {"0.0": np.random.default_rng(0).random(1 << 22)}}
    entry, path = registry.publish(recipe, make_metrics(recipe), large), tmp_path / "large.tar"
    del large
    tracemalloc.start()
    try:
        with path.open("wb") as stream:
            write_bundle(registry, entry, stream)
        with path.open("rb") as stream:
            read_bundle(other, stream)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 32 << 20


# ---------------------------------------------------------------- what is there already


def test_existing_entries_are_kept_and_named(registry: Registry, other: Registry, family: Family) -> None:
    ids = tuple(entry.id for entry in family)
    take_bundle(other, pack_bundle(registry, family[0]))
    before = {path: path.stat().st_ino for path in other.folders.entries.rglob("*")}
    assert take_bundle(other, pack_bundle(registry, family[2])).present == ids[:1]
    assert take_bundle(other, pack_bundle(registry, family[2])).present == ids
    assert {path: path.stat().st_ino for path in before} == before
    take_bundle(other, pack_bundle(registry, family[2]), replace=True)
    assert read_entries(other) == read_entries(registry)


def test_names_of_replaced_entries_are_kept(registry: Registry, other: Registry, family: Family) -> None:
    content = pack_bundle(registry, family[2])
    registry.tag(family[0], "best")
    registry.mark_latest(family[1])
    take_bundle(registry, content, replace=True)
    assert registry.resolve("best").id == family[0].id
    assert registry.latest("clf") == family[1]
    assert list_names(registry.folders.tmp) == []


SPOILS: dict[str, Any] = {
    "artifact gone": lambda folder: (folder / WEIGHTS).unlink(),
    "artifact changed": lambda folder: (folder / WEIGHTS).write_bytes(b"x"),
    "manifest gone": lambda folder: (folder / "manifest.json").unlink(),
    "manifest changed": lambda folder: (folder / "manifest.json").write_bytes(b"{}"),
    "nothing in it": lambda folder: [path.unlink() for path in folder.iterdir()],
    "no folder": lambda folder: ([path.unlink() for path in folder.iterdir()], folder.rmdir(), folder.touch()),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=list(SPOILS))
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_damaged_one_of_the_same_id_is_only_replaced_by_force(
    spoil: Any, damaged: int, registry: Registry, other: Registry, family: Family
) -> None:
    content = pack_bundle(registry, family[2])
    take_bundle(other, content)
    spoil(other.folders.entries / family[damaged].id)
    if "artifact" in spoil.__code__.co_names or family[damaged].artifacts.keys() == {WEIGHTS}:
        before = read_entries(other)
        with pytest.raises(CorruptError, match=family[damaged].id) as caught:
            take_bundle(other, content)
        assert caught.value.exit_code == 4
        assert_untouched(other, before)
    take_bundle(other, content, replace=True)
    assert read_entries(other) == read_entries(registry)
    assert list_names(other.folders.tmp) == []


def test_another_of_the_same_id_stays_unless_it_is_to_be_replaced(
    registry: Registry, other: Registry, family: Family
) -> None:
    """The same recipe, trained elsewhere: sound, and not the same to the byte."""
    mine = publish_family(other)
    before = read_entries(other)
    assert before != read_entries(registry)
    assert take_bundle(other, pack_bundle(registry, family[2])).present == tuple(entry.id for entry in mine)
    assert_untouched(other, before)
    take_bundle(other, pack_bundle(registry, family[2]), replace=True)
    assert read_entries(other) == read_entries(registry)


# ---------------------------------------------------------------- what is not handed on


@pytest.mark.parametrize("damaged", [0, 1, 2])
@pytest.mark.parametrize("name", [WEIGHTS, "manifest.json"])
def test_a_damaged_entry_is_not_written_not_even_its_beginning(
    damaged: int, name: str, registry: Registry, family: Family
) -> None:
    path = locate(registry, family[damaged], name)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    stream = io.BytesIO()
    with pytest.raises(CorruptError, match=str(path)):
        write_bundle(registry, registry.manifest(family[2].id), stream)
    assert stream.getvalue() == b""


def test_an_entry_without_its_parent_is_not_exported(registry: Registry, family: Family) -> None:
    registry.remove_all([family[0].id])
    stream = io.BytesIO()
    with pytest.raises((NotFoundError, CorruptError), match=family[0].id):
        write_bundle(registry, family[2], stream)
    assert stream.getvalue() == b""


def test_a_bundle_that_import_would_refuse_is_not_written(registry: Registry) -> None:
    """An entry whose artifact has another name than ours have could be published and never be read."""
    recipe = make_autoencoder_recipe()
    with pytest.raises((TypeError, ValueError, CorruptError), match=r"Weights-1\.npz"):
        registry.publish(recipe, make_metrics(recipe), {"Weights-1.npz": {"x": np.zeros(1)}})
    assert registry.ids() == list_names(registry.folders.tmp) == []


def test_on_a_failing_disk_no_partial_import_remains(registry: Registry, tmp_path: Path, family: Family) -> None:
    content, failed = pack_bundle(registry, family[2]), []
    for at in range(80):
        home = Registry(tmp_path / f"{at}")
        disk, error = write_on_failing_disk(partial(take_bundle, home, content), at, errno.ENOSPC)
        if error is None:
            break
        failed.append(disk.failed)
        assert str(error) == f"cannot write to {home.home}: {os.strerror(errno.ENOSPC)}"
        assert list_names(home.folders.tmp) == []
        there = home.ids()
        # Ancestors come first: whatever is there already rests on nothing that is not.
        assert there == [entry.id for entry in family if entry.id in there]
        assert all(home.check(home.manifest(id_)) is None for id_ in there)
        take_bundle(home, content)
        assert read_entries(home) == read_entries(registry)
    assert {"mkdir", "open", "fsync", "rename"} <= set(failed)
    assert error is None
    assert len(failed) > 10


def test_a_reader_that_fails_is_one_of_our_errors(other: Registry) -> None:
    class Failing(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises((CorruptError, DiskError), match=os.strerror(errno.EIO)):
        read_bundle(other, Failing())
    assert list_names(other.folders.tmp) == []


# ---------------------------------------------------------------- caps


def refuse(registry: Registry, content: bytes, words: str) -> None:
    """Hold that a bundle is refused with some words, in one line, and leaves the home as it was."""
    before = read_entries(registry)
    with pytest.raises(CorruptError, match=words) as caught:
        take_bundle(registry, content)
    assert str(caught.value).startswith("the bundle is refused: ")
    assert str(caught.value).isprintable()
    assert_untouched(registry, before)


def measure_bundle(content: bytes) -> dict[str, int]:
    """Return the lowest caps that let a bundle pass."""
    parts = take_apart(content)
    return {
        "MAX_MEMBERS": len(parts),
        "MAX_TOTAL": sum(len(encode_member(name, part)) for name, part in parts) + BLOCK,
        "MAX_BUNDLED_MANIFEST": max(len(part) for name, part in parts if name.endswith(".json")),
    }


@pytest.mark.parametrize(
    ("cap", "words"),
    [("MAX_MEMBERS", "more than 5 files"), ("MAX_TOTAL", "holds more than"), ("MAX_BUNDLED_MANIFEST", "longer than")],
)
def test_caps_hold_for_import_and_export(
    cap: str, words: str, registry: Registry, other: Registry, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pack_bundle(registry, family[2])
    least = measure_bundle(content)[cap]
    modules = [module for module in (bundles, bundle_members) if hasattr(module, cap)]
    for module in modules:
        monkeypatch.setattr(module, cap, least - 1)
    refuse(other, content, words)
    with pytest.raises(UsageError, match=f"^{family[2].id} cannot be exported: with its ancestors it has .*, at most"):
        write_bundle(registry, family[2], stream := io.BytesIO())
    assert stream.getvalue() == b""
    for module in modules:
        monkeypatch.setattr(module, cap, least)
    take_bundle(other, content)


def test_the_ratio_is_capped(other: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, recipe = Registry(tmp_path / "zeros"), make_autoencoder_recipe()
    entry = registry.publish(recipe, make_metrics(recipe), {WEIGHTS: {"0.0": np.zeros(1 << 19)}})
    packed = gzip.compress(pack_bundle(registry, entry), 9)
    assert len(packed) * bundle_members.MAX_RATIO < 1 << 22
    refuse(other, packed, "unpacks to more than 100 times its size")
    take_bundle(other, gzip.compress(pack_bundle(registry, entry), 0))
    small = registry.publish(make_autoencoder_recipe(seed=1), make_metrics(recipe), {WEIGHTS: {"0.0": np.zeros(1000)}})
    take_bundle(other, gzip.compress(pack_bundle(registry, small), 9))


def test_endless_zeros_are_not_unpacked(registry: Registry, other: Registry, family: Family) -> None:
    name, content = take_apart(pack_bundle(registry, family[0]))[0]
    document = open_manifest(content)
    document["artifacts"][WEIGHTS]["size"] = 1 << 33
    head = encode_member(name, seal_document(document)) + encode_header(f"{family[0].id}.{WEIGHTS}", 1 << 32)
    bomb = gzip.compress(head) + gzip.compress(bytes(1 << 24), 9) * 300
    tracemalloc.start()
    try:
        refuse(other, bomb, "missing|times its size")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


class Endless(io.RawIOBase):
    """A stream of some bytes, and then of others again and again; knows how much was read of it."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self.pending, self.again, self.taken = first, again * (1 + 8192 // len(again)), 0

    def read(self, size: int = -1) -> bytes:
        while len(self.pending) < size:
            self.pending += self.again
        content, self.pending = self.pending[:size], self.pending[size:]
        self.taken += size
        return content


EMPTY = gzip.compress(b"")
ENDLESS: dict[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "zeros after the end": lambda content: (gzip.compress(content), bytes(1)),
    "zeros between members": lambda content: (gzip.compress(content[:3000]), bytes(1)),
    "empty members after the end": lambda content: (gzip.compress(content), EMPTY),
    "empty members between": lambda content: (gzip.compress(content[:3000]), EMPTY),
    "empty members at once": lambda content: (b"", EMPTY),
    "members of nothing but a header": lambda content: (
        gzip.compress(content[:3000]),
        b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + bytes(0xFFFF) + EMPTY[10:],
    ),
    "a name": lambda content: (b"\x1f\x8b\x08\x08" + bytes(6), b"x"),
    "a comment": lambda content: (b"\x1f\x8b\x08\x10" + bytes(6), b"x"),
    "empty blocks": lambda content: (EMPTY[:10], b"\x00\x00\x00\xff\xff"),
    "a tar that is filled up": lambda content: (content, bytes(512)),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_padding_without_end_is_not_read_to_its_end(
    case: str, registry: Registry, other: Registry, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_members, "FREE_OF_RATIO", 1 << 16)
    content = pack_bundle(registry, family[2])
    stream = Endless(*ENDLESS[case](content))
    with pytest.raises(CorruptError, match=r"padding that unpacks to nothing|data follows its end"):
        read_bundle(other, stream)
    assert stream.taken < (1 << 17) + 4 * len(content)
    assert other.ids() == list_names(other.folders.tmp) == []


# ---------------------------------------------------------------- order and names

WORDS = {
    "an entry twice": (lambda members: [*members[:2], *members], "is in the wrong place"),
    "an artifact first": (lambda members: members[1:], "is in the wrong place"),
    "without its parent": (lambda members: members[2:], "which is not before it"),
    "without an artifact": (lambda members: [members[0], *members[2:]], "weights.npz of 606 bytes is missing|missing"),
    "nothing": (lambda members: [], "it is empty"),
    "another's manifest": (
        lambda members: [(members[0][0], members[2][1]), *members[1:]],
        "is the manifest of clf-|not before",
    ),
    "a foreign name": (lambda members: [("x", b"")], "'x' is not the name of an entry's file"),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_refusal_names_the_reason(case: str, registry: Registry, other: Registry, family: Family) -> None:
    change, words = WORDS[case]
    members = take_apart(pack_bundle(registry, family[2]))
    assert take_bundle(other, encode_bundle(members)).ids[-1] == family[2].id
    refuse(other, encode_bundle(change(members)), words)


@pytest.mark.parametrize("at", range(6))
def test_a_flipped_bit_is_seen_in_every_member(at: int, registry: Registry, other: Registry, family: Family) -> None:
    members = take_apart(pack_bundle(registry, family[2]))
    name, content = members[at]
    flipped = content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
    refuse(other, encode_bundle([*members[:at], (name, flipped), *members[at + 1 :]]), "digest|not match its manifest")


def test_every_cut_is_seen(registry: Registry, other: Registry, family: Family) -> None:
    content = pack_bundle(registry, family[2])
    whole = sum(len(encode_member(name, part)) for name, part in take_apart(content))
    for at in (*range(0, whole, BLOCK), *range(1, whole, 997), whole):
        refuse(other, content[:at], "it ends early|empty")


def test_parents_of_another_kind_are_refused(registry: Registry, other: Registry, family: Family) -> None:
    """A lineage has three steps at most; an endless one must not be followed."""
    ae, clf, run = (entry.id for entry in family)
    members = take_apart(pack_bundle(registry, family[2]))
    manifests = {name.partition("-")[0]: open_manifest(part) for name, part in members if name.endswith("json")}
    good = {"clf": {"autoencoder": ae, "seed": 7}, "run": {"classifier": clf, "twin": clf, "seed": 7}}
    bad = [("clf", {"autoencoder": other_id}) for other_id in (clf, run)]
    bad += [("run", {"classifier": other_id}) for other_id in (ae, run)]
    bad += [("run", {"twin": other_id}) for other_id in (ae, run)]
    for kind, change in (*good.items(), *bad):
        document = tell_own(manifests[kind] | {"recipe": manifests[kind]["recipe"] | change, "artifacts": {}})
        content = encode_bundle([*members, (f"{document['id']}.manifest.json", seal_document(document))])
        if change in good.values():
            assert take_bundle(other, content).ids[-1] == document["id"]
        else:
            refuse(other, content, "no id of kind|do not fit its recipe")


def test_a_pickle_whose_digest_fits_is_refused(registry: Registry, other: Registry, family: Family) -> None:
    import pickle

    locate(registry, family[0], WEIGHTS).write_bytes(pickle.dumps({"0.0": 1}))
    seal(registry, family[0])
    refuse(other, pack_bundle(registry, registry.manifest(family[0].id)), "holds no arrays")
