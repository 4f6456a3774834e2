"""Rows of CORPUS: tars with other names, types, sizes and orders of members, damaged ones, and bombs."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable

from tests.entries import (
    BAD_NPZ,
    WEIGHTS,
    encode_npy,
    encode_npz,
    repeat_member,
    seal_document,
)
from tests.hostile.members import (
    BLOCK,
    binary_size,
    encode_bundle,
    encode_header,
    encode_member,
    open_manifest,
    seal_text,
    set_fields,
    take_apart,
    tell_own,
)
from tests.hostile.rows import FILE, READ, REPLACING, add_bundle, add_first_member, add_members, add_weights
from tests.hostile.scene import EIB8, MANIFEST, TIB8, Members, Scene

NAMES: dict[str, bytes] = {
    "above": b"../ae-000000000000.manifest.json",
    "above, later": b"ae-000000000000.manifest.json/../../x",
    "absolute": b"/tmp/ae-000000000000.manifest.json",
    "home": b"~/ae-000000000000.manifest.json",
    "drive": b"C:\\ae-000000000000.manifest.json",
    "backslash": b"..\\ae-000000000000.manifest.json",
    "here": b"./ae-000000000000.manifest.json",
    "folder": b"ae-000000000000/manifest.json",
    "folder of version 7": b"ae-000000000000.manifest.json/",
    "nothing": b"",
    "dot": b".",
    "dots": b"..",
    "line feed": b"ae-000000000000.manifest.json\n",
    "escape": b"\x1b[2J\x1b]0;x\x07ae-000000000000.manifest.json",
    "not ascii": "ae-000000000000.manifest.json\u202e".encode(),
    "not utf-8": b"ae-000000000000.manifest.json\xff",
    "hidden": b".ae-000000000000.manifest.json",
    "capitals": b"AE-000000000000.manifest.json",
    "unknown kind": b"os-000000000000.manifest.json",
    "short id": b"ae-00000000000.manifest.json",
    "another file": b"ae-000000000000.VERSION",
    "a program": b"ae-000000000000.weights.npz.py",
    "as long as it gets": b"ae-" + b"0" * 97,
    "another id": b"ae-000000000000.manifest.json",
}
for _name, _field in NAMES.items():
    add_first_member(f"name: {_name}", name=_field)
add_first_member("name: above, by its prefix", prefix=b"..")
add_first_member("name: absolute, by its prefix", prefix=b"/tmp")

TYPES: dict[str, bytes] = {
    "hard link": tarfile.LNKTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "folder": tarfile.DIRTYPE,
    "fifo": tarfile.FIFOTYPE,
    "contiguous": tarfile.CONTTYPE,
    "GNU long name": tarfile.GNUTYPE_LONGNAME,
    "GNU long link": tarfile.GNUTYPE_LONGLINK,
    "GNU sparse": tarfile.GNUTYPE_SPARSE,
    "GNU volume": b"V",
    "GNU continuation": b"M",
    "GNU folder": b"D",
    "pax": tarfile.XHDTYPE,
    "pax global": tarfile.XGLTYPE,
    "Solaris pax": tarfile.SOLARIS_XHDTYPE,
    "unknown": b"Z",
    "not ascii": b"\xff",
}
for _name, _field in TYPES.items():
    add_first_member(f"type: {_name}", type=_field, linkname=b"/etc/passwd")
    add_first_member(f"type: {_name}, of no size", type=_field, linkname=b"../../VERSION", size=b"0" * 11)


def encode_pax(**records: str) -> bytes:
    """Return what stands in a pax header."""
    text = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line) + 1
        length = len(line) + len(str(length + len(str(length)) - 1))
        text += f"{length}".encode() + line
    return text


def before(header: bytes) -> Callable[[Scene], bytes]:
    return lambda scene: header + scene.bundle


add_bundle("pax: another name", before(encode_member("pax", encode_pax(path="../../x"), type=b"x")))
add_bundle("pax: another size", before(encode_member("pax", encode_pax(size=str(TIB8)), type=b"x")))
add_bundle("pax: for all", before(encode_member("pax", encode_pax(linkpath="/etc/passwd"), type=b"g")))
add_bundle(
    "pax: sparse",
    before(encode_member("pax", encode_pax(GNU__sparse__major="1", GNU__sparse__realsize=str(TIB8)), type=b"x")),
)
add_bundle("pax: without end", before(encode_member("pax", b"9" * 4096, type=b"x")))
add_bundle("GNU long name", before(encode_member("././@LongLink", b"../" * 400 + b"x\0", type=b"L")))
add_bundle("GNU long name of 8 TiB", before(encode_header("././@LongLink", 0, type=b"L", size=binary_size(TIB8))))
add_bundle(
    "links, then through it",
    before(encode_header("ae-000000000000.weights.npz", 0, type=b"2", linkname=b"/tmp")),
)

SIZES: dict[str, bytes] = {
    "negative": binary_size(-1),
    "negative, of a block": binary_size(-BLOCK),
    "negative, in octal": b"-0000000777",
    "8 TiB": binary_size(TIB8),
    "8 EiB": binary_size(EIB8),
    "88 bits": b"\x80" + b"\xff" * 11,
    "8 GiB": b"7" * 11,
    "nothing": b"",
    "spaces": b" " * 12,
    "words": b"a lot of it",
    "digits that are not octal": b"99999999999",
    "one more": b"",
    "one less": b"",
    "none": b"0" * 11,
}
for _name, _field in SIZES.items():
    if _name.startswith("one "):
        _step = 1 if _name == "one more" else -1
        add_bundle(
            f"size: {_name}",
            lambda scene, step=_step: (
                set_fields(scene.bundle[:BLOCK], size=b"%011o" % (len(take_apart(scene.bundle)[0][1]) + step))
                + scene.bundle[BLOCK:]
            ),
        )
    else:
        add_first_member(f"size: {_name}", size=_field)
add_first_member("checksum: wrong", checksum=b"000000\0 ")
add_first_member("checksum: nothing", checksum=b"")


def enlarge(scene: Scene, size: int) -> bytes:
    """Return a bundle whose second member, weights, claims a size, in its manifest too, and goes on for ever."""
    (name, content), (artifact, old), *_ = take_apart(scene.bundle)
    document = open_manifest(content)
    document["artifacts"][WEIGHTS]["size"] = size
    return encode_member(name, seal_document(document)) + encode_header(artifact, 0, size=binary_size(size)) + old


add_bundle("size: weights of 8 TiB, in the manifest too", lambda scene: enlarge(scene, TIB8))
add_bundle("size: weights of 8 EiB, in the manifest too", lambda scene: enlarge(scene, EIB8))
add_bundle("size: weights of -1, in the manifest too", lambda scene: enlarge(scene, -1))

# ---------------------------------------------------------------- order of a tar

ORDERS: dict[str, Callable[[Members], Members]] = {
    "nothing": lambda members: [],
    "manifest alone": lambda members: members[:1],
    "no manifest": lambda members: members[1:],
    "weights before the manifest": lambda members: [members[1], members[0], *members[2:]],
    "child before its parent": lambda members: [*members[2:4], *members[:2], *members[4:]],
    "without the parent": lambda members: members[2:],
    "without an artifact": lambda members: members[:-1],
    "artifacts the other way round": lambda members: [*members[:-2], members[-1], members[-2]],
    "a manifest twice": lambda members: [members[0], *members],
    "an artifact twice": lambda members: [*members[:2], *members[1:]],
    "an entry twice": lambda members: [*members[:2], *members[:2], *members[2:]],
    "everything twice": lambda members: [*members, *members],
    "one artifact more": lambda members: [*members, (members[-1][0].replace("samples", "more"), members[-1][1])],
    "another's artifact": lambda members: [*members[:3], members[1], *members[4:]],
    "an artifact of another name": lambda members: [members[0], (members[0][0][:16] + "other.npz", members[1][1])],
}
for _name, _order in ORDERS.items():
    add_members(f"order: {_name}", _order, REPLACING)


def crowd(scene: Scene) -> bytes:
    """Return a bundle of more entries than a bundle may hold, each good."""
    content, made = take_apart(scene.bundle)[0][1], []
    for seed in range(1001):
        document = open_manifest(content) | {"artifacts": {}}
        document["recipe"]["seed"] = seed
        document = tell_own(document)
        made.append((f"{document['id']}.{MANIFEST}", seal_document(document)))
    return encode_bundle(made)


def build_diamonds(scene: Scene) -> bytes:
    """Return a bundle of 60 runs, two a step, each resting on both of the step below: 2 ** 30 ways to go down."""
    members = take_apart(scene.bundle)
    run = open_manifest(next(content for name, content in members if name.startswith("run-") and MANIFEST in name))
    below = [scene.clf, scene.clf]
    for _ in range(30):
        step = []
        for seed in range(2):
            recipe = run["recipe"] | {"seed": seed, "classifier": below[0], "twin": below[1]}
            document = tell_own(run | {"recipe": recipe, "artifacts": {}})
            members.append((f"{document['id']}.{MANIFEST}", seal_document(document)))
            step.append(document["id"])
        below = step
    return encode_bundle(members)


def build_chain(scene: Scene) -> bytes:
    """Return a bundle of 900 classifiers, each behind the one before it."""
    members = take_apart(scene.bundle)
    clf = open_manifest(next(content for name, content in members if name.startswith("clf-") and MANIFEST in name))
    before, members = scene.ae, members[:2]
    for _ in range(900):
        document = tell_own(clf | {"recipe": clf["recipe"] | {"autoencoder": before}, "artifacts": {}})
        members.append((f"{document['id']}.{MANIFEST}", seal_document(document)))
        before = document["id"]
    return encode_bundle(members)


add_bundle("crowd", crowd, {"import": 4})
add_bundle("lineage: a chain of diamonds", build_diamonds)
add_bundle("lineage: a chain of 900", build_chain)

# ---------------------------------------------------------------- damaged and no bundles at all, and bombs

ZEROS = gzip.compress(bytes(1 << 24), 9)
"""16 MiB in 16 KiB."""

OTHERS: dict[str, Callable[[Scene], bytes]] = {
    "empty": lambda scene: b"",
    "text": lambda scene: b"hello\n",
    "zeros": lambda scene: bytes(1 << 16),
    "ones": lambda scene: b"\xff" * (1 << 16),
    "one byte": lambda scene: b"\x1f",
    "gzip's first two bytes": lambda scene: b"\x1f\x8b",
    "gzip of nothing": lambda scene: gzip.compress(b""),
    "gzip of text": lambda scene: gzip.compress(b"hello\n" * 1000),
    "gzip with a name without end": lambda scene: b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"a" * 100_000,
    "bz2": lambda scene: __import__("bz2").compress(scene.bundle),
    "xz": lambda scene: __import__("lzma").compress(scene.bundle),
    "zip": lambda scene: encode_npz({"manifest.json": b"{}"}),
    "shell script": lambda scene: b"#!/bin/sh\ntouch canary\n",
}
for _name, _make in OTHERS.items():
    add_bundle(f"other: {_name}", _make, FILE)
for _part in (1, 511, 512, 513, 2000, -1025, -1500):
    add_bundle(f"cut at {_part}", lambda scene, part=_part: scene.bundle.rstrip(b"\0")[:part])
add_bundle("cut by gzip", lambda scene: gzip.compress(scene.bundle)[:-1000])
add_bundle("flipped in gzip", lambda scene: flip(gzip.compress(scene.bundle), 200))
add_bundle("flipped in weights", lambda scene: flip(scene.bundle, scene.bundle.index(b"PK\x03\x04") + 200))
add_bundle("bomb: gzip of zeros", lambda scene: ZEROS * 64, FILE)
add_bundle(
    "bomb: gzip of zeros for weights",
    lambda scene: gzip.compress(enlarge(scene, 1 << 30)[: -len(take_apart(scene.bundle)[1][1])]) + ZEROS * 64,
)
add_bundle("bomb: gzip of a manifest", lambda scene: gzip.compress(enlarge_manifest(scene, 1 << 25)))
add_bundle("bomb: manifest of small lists", lambda scene: enlarge_manifest(scene, 5 << 20), {"import": 4})
add_bundle("bomb: gzip in gzip", lambda scene: gzip.compress(ZEROS * 64))
add_bundle(
    "bomb: gzip of gzip's empty members", lambda scene: gzip.compress(b"") * 20_000 + gzip.compress(scene.bundle[:900])
)
add_weights("bomb: deflated npz", lambda scene: encode_npz({"0.0.npy": encode_npy("(4000000,)", bytes(16_000_000))}, 8))
add_weights("npz claims 8 TiB", lambda scene: encode_npz({"0.0.npy": encode_npy(f"({TIB8 // 4},)")}))
add_weights("npz claims 8 EiB", lambda scene: encode_npz({"0.0.npy": encode_npy(f"({EIB8},)")}))
add_weights("npz of members that overlap", lambda scene: repeat_member(encode_npy("(25000,)", bytes(100_000)), 100))
add_weights("npz of Python 2", lambda scene: encode_npz({"0.0.npy": encode_npy("(9L,)", bytes(4))}))
add_weights("npz of many members", lambda scene: repeat_member(b"", 20_000), {"verify": 4})
for _name, _content in BAD_NPZ.items():
    add_weights(f"npz, {_name}", lambda scene, content=_content: content, READ)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def enlarge_manifest(scene: Scene, size: int) -> bytes:
    """Return a bundle whose first manifest is sealed JSON of many small lists, a hundredfold of that in memory."""
    (name, content), *_ = take_apart(scene.bundle)
    document = open_manifest(content) | {"versions": ["@"]}
    return encode_member(name, seal_text(document, '"@"', ",".join(["[]"] * ((size - 4000) // 3))))
