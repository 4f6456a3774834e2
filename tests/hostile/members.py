"""Members of a bundle, byte by byte: headers of a tar, and manifests with other contents and right digests."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import suppress

from advae.identity import STORE_SCHEMA, digest_weights, name_recipe
from tests.entries import (
    ABSENT_DIGEST,
    WEIGHTS,
    seal_document,
    seal_first_schema,
)
from tests.hostile.scene import MANIFEST, Change, Document, Members

FIELDS = {"name": (0, 100), "mode": (100, 8), "size": (124, 12), "checksum": (148, 8), "type": (156, 1)}
FIELDS |= {"linkname": (157, 100), "magic": (257, 8), "prefix": (345, 155)}
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def encode_header(name: str, length: int, **fields: bytes) -> bytes:
    """Return a ustar header, some of its fields replaced byte for byte, the checksum right unless it is given."""
    info = tarfile.TarInfo(name)
    info.size = length
    return set_fields(info.tobuf(tarfile.USTAR_FORMAT), **fields)


def set_fields(header: bytes, **fields: bytes) -> bytes:
    """Return a header with other fields and the checksum that then fits."""
    block = bytearray(header)
    for key, value in fields.items():
        at, length = FIELDS[key]
        block[at : at + length] = value[:length].ljust(length, b"\0")
    if "checksum" not in fields:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pad(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def encode_member(name: str, content: bytes, **fields: bytes) -> bytes:
    return encode_header(name, len(content), **fields) + pad(content)


def encode_bundle(members: Members) -> bytes:
    return b"".join(encode_member(name, content) for name, content in members) + END


def take_apart(bundle: bytes) -> Members:
    """Return names and contents of a good bundle."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def binary_size(size: int) -> bytes:
    """Return a tar's size field in base 256, which has room for 88 bits and a sign."""
    return (size % (1 << 95) | (1 << 95)).to_bytes(12, "big")


# ---------------------------------------------------------------- manifests, forged


def open_manifest(content: bytes) -> Document:
    document: Document = json.loads(content)
    document.pop("sha256")
    return document


def change_members(members: Members, change: Change, *, of: str = "ae", first_schema: bool = False) -> Members:
    """Return a bundle's members with a manifest changed and sealed anew."""
    changed = []
    for name, content in members:
        if name.startswith(f"{of}-") and name.endswith(MANIFEST):
            document = open_manifest(content)
            change(document)
            content = (seal_first_schema if first_schema else seal_document)(document)
        changed.append((name, content))
    return changed


def change_artifact(members: Members, content: bytes, *, of: str = "ae") -> Members:
    """Return a bundle's members with the weights of an entry replaced, digest and size in its manifest too."""
    described = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    members = change_members(members, lambda stored: stored["artifacts"].update({WEIGHTS: described}), of=of)
    return settle_digests(
        [(name, content if name.startswith(f"{of}-") and name.endswith(WEIGHTS) else old) for name, old in members]
    )


def settle_digests(members: Members) -> Members:
    """Return a bundle's members whose manifests name the weights of the parents that come before them."""
    weights: dict[str, str] = {}
    settled: Members = []
    for name, content in members:
        # What is forged in other ways stays as it is.
        with suppress(KeyError, TypeError, AttributeError, ValueError):
            document = open_manifest(content) if name.endswith(MANIFEST) else {}
            artifacts = {file: one["sha256"] for file, one in document["artifacts"].items()}
            weights[name.partition(".")[0]] = digest_weights(artifacts)
            known = {id_: weights[id_] for id_ in document["parent_digests"] if id_ in weights}
            if known:
                content = seal_document(document | {"parent_digests": document["parent_digests"] | known})
        settled.append((name, content))
    return settled


def tell_own(document: Document) -> Document:
    """Return a document whose id, parents and dataset are its recipe's, with a digest for each of the parents."""
    recipe = document["recipe"]
    parents = [recipe[name] for name in ("autoencoder", "classifier", "twin") if recipe.get(name)]
    own = {name: recipe["dataset"][name] for name in ("name", "digest")}
    own_fields = {"id": name_recipe(recipe), "parents": parents, "dataset": own}
    if document["schema"] == STORE_SCHEMA:
        texts = [parent for parent in parents if isinstance(parent, str)]
        own_fields["parent_digests"] = dict.fromkeys(texts, ABSENT_DIGEST) | document["parent_digests"]
    return document | own_fields


def rename_family(members: Members, changes: dict[str, Change]) -> Members:
    """Return the members of a family whose manifests are changed by kind, with ids and parents that fit again.

    As an attacker who knows how ids are made would forge them: every digest fits, only the content is wrong.
    """
    renamed: dict[str, str] = {}
    made: Members = []
    for name, content in members:
        id_, _, file = name.partition(".")
        if file == MANIFEST:
            text = content.decode()
            for old, new in renamed.items():
                text = text.replace(old, new)
            document = open_manifest(text.encode())
            changes.get(id_.partition("-")[0], lambda stored: None)(document)
            document = tell_own(document)
            renamed[id_] = document["id"]
            content = seal_document(document)
        made.append((f"{renamed[id_]}.{file}", content))
    return settle_digests(made)


def seal_text(document: Document, old: str, new: str) -> bytes:
    """Return a sealed manifest with text in it that no JSON writer would write."""
    text = json.dumps(document, indent=1).removesuffix("\n}")
    assert old in text
    body = text.replace(old, new, 1).encode()
    return body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()
