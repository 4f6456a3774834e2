"""Manifests: what is written is read back, every flipped bit is seen, older schemas are read and newer ones refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from advae.errors import NewerSchemaError, printable
from advae.identity import STORE_SCHEMA, canonical_json, name_recipe
from advae.records import Manifest
from advae.registry.manifest_files import decode, encode, find_parents, open_document
from advae.registry.summaries import summarize_entry
from tests.entries import (
    ABSENT_DIGEST,
    TINY,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    seal_document,
    seal_first_schema,
    seal_second_schema,
)

BEHIND = make_classifier_recipe(autoencoder="ae-0123456789ab")
RECIPES: dict[str, Any] = {
    "ae": make_autoencoder_recipe(),
    "baseline": make_autoencoder_recipe(type="pca", network=None, loss=None, rescale="none", options={"code_size": 2}),
    "clf": make_classifier_recipe(),
    "clf behind": BEHIND,
    "run": make_run_recipe(),
    "run with a counterpart": make_run_recipe(twin="clf-111111111111"),
    "words": make_autoencoder_recipe(dataset=TINY.model_copy(update={"name": "é \u2028 \udcff <b>\n"})),
}


def make_manifest(recipe: Any, **changes: Any) -> Manifest:
    """Return a manifest of a recipe, as ``publish`` would write it."""
    fields: dict[str, Any] = {
        "id": name_recipe(recipe.model_dump(mode="json")),
        "recipe": recipe,
        "parents": recipe.parents,
        "dataset": {"name": recipe.dataset.name, "digest": recipe.dataset.digest},
        "metrics": make_metrics(recipe),
        "artifacts": {"weights.npz": {"sha256": "ab" * 32, "size": 12}, "more.npz": {"sha256": "cd" * 32, "size": 30}},
        "source": None,
        "versions": {"python": "3.11.7"},
        "created": "2026-11-22T12:00:00.000001+00:00",
        "parent_digests": dict.fromkeys(recipe.parents, ABSENT_DIGEST),
    }
    return Manifest(**(fields | changes))


@pytest.fixture(params=RECIPES.values(), ids=list(RECIPES))
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return make_manifest(request.param)


# ---------------------------------------------------------------- what is true


def test_what_is_written_is_read(manifest: Manifest) -> None:
    content = encode(manifest)
    assert decode(content) == manifest
    assert encode(decode(content)) == content
    document = json.loads(content)
    assert document["schema"] == STORE_SCHEMA
    assert document["parents"] == list(manifest.recipe.parents)
    assert document["dataset"] == {"name": manifest.recipe.dataset.name, "digest": manifest.recipe.dataset.digest}
    assert list(document)[-1] == "sha256"


def test_the_digest_is_over_every_byte_before_it(manifest: Manifest) -> None:
    body, seal, _ = encode(manifest).partition(b',\n "sha256": "')
    assert seal
    assert json.loads(encode(manifest))["sha256"] == hashlib.sha256(body).hexdigest()


def test_the_first_schema_is_read(manifest: Manifest) -> None:
    """It knew neither parents nor dataset, and was sealed over its values."""
    older = seal_first_schema(json.loads(encode(manifest)))
    assert b'"parents"' not in older
    assert decode(older) == manifest.model_copy(update={"schema_version": 1, "parent_digests": None})
    assert summarize_entry(open_document(older)) == replace(
        summarize_entry(open_document(encode(manifest))), parent_digests=None
    )


def test_the_second_schema_is_read(manifest: Manifest) -> None:
    """It did not say which weights its parents had."""
    older = seal_second_schema(json.loads(encode(manifest)))
    assert b'"parent_digests"' not in older
    assert decode(older) == manifest.model_copy(update={"schema_version": 2, "parent_digests": None})
    assert encode(decode(older)) == older
    assert summarize_entry(open_document(older)) == replace(
        summarize_entry(open_document(encode(manifest))), parent_digests=None
    )


PARENT, STRANGER = "ae-0123456789ab", "ae-111111111111"
ODD_DIGESTS: dict[str, Any] = {
    "of none": {},
    "of another": {STRANGER: ABSENT_DIGEST},
    "of a classifier that is no parent": {PARENT: ABSENT_DIGEST, "clf-111111111111": ABSENT_DIGEST},
    "of many": {PARENT: ABSENT_DIGEST, STRANGER: ABSENT_DIGEST, "ae-222222222222": ABSENT_DIGEST},
    "of what is no id": {PARENT: ABSENT_DIGEST, "../x": ABSENT_DIGEST},
    "short": {PARENT: ABSENT_DIGEST[1:]},
    "in capitals": {PARENT: "A" * 64},
    "a number": {PARENT: 1},
    "a list": [PARENT],
    "null": None,
}


@pytest.mark.parametrize("odd", ODD_DIGESTS)
def test_digests_of_parents_are_of_the_parents(odd: str) -> None:
    document = json.loads(encode(make_manifest(BEHIND)))
    del document["sha256"]
    for digests in ({PARENT: ABSENT_DIGEST}, {PARENT: ABSENT_DIGEST, STRANGER: ABSENT_DIGEST}):
        assert decode(seal_document(document | {"parent_digests": digests})).parent_digests == digests
    with pytest.raises(ValueError, match=r"digests of parents|no manifest"):
        open_document(seal_document(document | {"parent_digests": ODD_DIGESTS[odd]}))
    with pytest.raises(ValueError, match="digests of parents"):
        open_document(seal_document(document | {"schema": 2}))


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2026-11-22", 7, [], {}, "2026-11-22T12:00:00+00:00\n", "9" * 10**6]
)
def test_the_moment_of_an_import_is_one(moment: Any) -> None:
    document = json.loads(encode(make_manifest(BEHIND)))
    del document["sha256"]
    good = "2026-11-22T12:00:00.000001+00:00"
    assert decode(seal_document(document | {"imported": good})).imported == good
    assert decode(seal_document(document | {"schema": 2, "parent_digests": None, "imported": good})).imported == good
    with pytest.raises(ValueError, match="time of import is not a time"):
        open_document(seal_document(document | {"imported": moment}))


def test_a_summary_is_the_manifests(manifest: Manifest) -> None:
    seen = summarize_entry(open_document(encode(manifest)))
    assert (seen.id, seen.kind, seen.created) == (manifest.id, manifest.kind, manifest.created)
    assert seen.parents == manifest.parents == tuple(find_parents(manifest.recipe.model_dump(mode="json")))
    assert seen.dataset_digest == manifest.dataset.digest
    assert seen.size == 42
    assert seen.what.isprintable()
    assert seen.dataset.isprintable()


def test_a_summary_has_kind_options_and_result() -> None:
    what = {
        name: summarize_entry(open_document(encode(make_manifest(recipe)))).what for name, recipe in RECIPES.items()
    }
    assert what["ae"] == "vanilla, 1 epochs, seed 0, mse 0.0100"
    assert what["baseline"] == "pca, a baseline, code size 2, seed 0, mse 0.0100"
    assert what["clf"] == "nn, seed 0, clean 0.7500"
    assert what["clf behind"] == "nn behind ae-0123456789ab, seed 0, clean 0.7500"
    assert what["run"] == "bim, adaptive, on clf-000000000000: 0.2500 at 0.1, 0.2500 at 0.3"
    many = make_run_recipe(eps=(0.1, 0.2, 0.3, 0.4))
    assert summarize_entry(open_document(encode(make_manifest(many)))).what.endswith("0.2500 at 0.3, ...")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é ☃", "plain é ☃"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\tc\rd\x00e\x7f", r"a\nb\tc\rd\x00e\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066\u200b\ufeff\u200e\u061c", r"\u2066\u200b\ufeff\u200e\u061c"),
        ("\x9b2J", r"\x9b2J"),
        ("\udcff\ud800", r"\xff\ud800"),
        ("\u2028\u3000", r"\u2028 "),
        ("[red]x[/red]", "[red]x[/red]"),
        ("", ""),
    ],
)
def test_what_moves_a_cursor_is_not_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert not text or printable(text).isprintable()


GOLDEN: dict[str, str] = {
    "ae": "ae-635872485d7b",
    "clf": "clf-50c8ecae0507",
    "clf behind": "clf-ec546ebc9c36",
    "run": "run-f2916a8032e6",
    "run with a counterpart": "run-e79a3e8f008e",
}
"""Ids as they were when schema 2 was new."""


@pytest.mark.parametrize("name", GOLDEN)
def test_a_recipe_keeps_its_id(name: str) -> None:
    """Or nothing that is stored would be found again, and all of it be called forged."""
    assert make_manifest(RECIPES[name]).id == GOLDEN[name]


STORED = """{
 "schema": 2,
 "id": "run-IDENTITY",
 "recipe": {"kind": "run", "method": "bim", "threat": "adaptive", "norm": "linf", "classifier": "clf-000000000000",
  "twin": null, "dataset": {"name": "tiny", "digest": "00", "side": 2, "classes": ["a", "b"]}, "eps": [0.1, 0.3],
  "target": null, "steps": 10, "step_size": null, "loss": "scaled", "clip": true, "limit": null,
  "save_adversarial": false, "seed": 0, "recipe_rev": 1},
 "parents": ["clf-000000000000"],
 "dataset": {"name": "tiny", "digest": "00"},
 "metrics": {"kind": "run", "n": 8, "clean_accuracy": 0.75, "clean_accuracy_interval": [0.5, 0.875], "results": [
  {"eps": 0.1, "accuracy": 0.25, "accuracy_interval": [0.125, 0.5], "attack_success_rate": 0.75,
   "target_hit_rate": null, "linf_max": 0.1, "l2_mean": 0.1, "zero_gradient_fraction": 0.0, "within_budget": true,
   "targets": null}]},
 "artifacts": {"outcomes.npz": {"sha256": "SHA", "size": 12}},
 "source": null,
 "versions": {"python": "3.11.7"},
 "created": "2026-11-22T12:00:00.000001+00:00\"""".replace("SHA", "ab" * 32)
"""What the first program of schema 2 wrote, but for the digest."""


def test_what_was_stored_when_the_schema_was_new_is_read() -> None:
    """Also after fields have been added to recipes and metrics."""
    body = STORED.replace("run-IDENTITY", "run-eef482ec6a78").encode()
    content = body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()
    manifest = decode(content)
    recipe, metrics = manifest.as_run()
    assert (recipe.method, recipe.eps, metrics.n) == ("bim", (0.1, 0.3), 8)
    assert summarize_entry(open_document(content)).what == "bim, adaptive, on clf-000000000000: 0.2500 at 0.1"


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize("name", ["ae", "run with a counterpart"])
def test_every_flipped_bit_is_seen(name: str) -> None:
    content = encode(make_manifest(RECIPES[name]))
    for at in range(len(content)):
        bit = 1 << at % 8
        with pytest.raises(ValueError, match=r"."):
            open_document(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])


def test_every_other_length_is_seen() -> None:
    content = encode(make_manifest(RECIPES["ae"]))
    for at in range(len(content)):
        for other in (content[:at], content[:at] + content[at + 1 :], content[:at] + b" " + content[at:]):
            with pytest.raises(ValueError, match=r"."):
                open_document(other)
    for more in (b" ", b"\n", b"}", content):
        with pytest.raises(ValueError, match="digest"):
            open_document(content + more)


def test_every_changed_value_of_the_first_schema_is_seen() -> None:
    """Its digest is over values: what changes none of them is the same manifest."""
    content = seal_first_schema(json.loads(encode(make_manifest(RECIPES["ae"]))))
    value = json.loads(content)
    refused = 0
    for at in range(len(content)):
        other = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        try:
            document = open_document(other)
        except ValueError:
            refused += 1
        else:
            assert canonical_json(document["recipe"]) == canonical_json(value["recipe"]), other[at - 20 : at + 20]
            assert document["metrics"] == value["metrics"]
    assert refused > 0.9 * len(content)


@pytest.mark.parametrize("schema", [STORE_SCHEMA + 1, 99, 999_999_999])
def test_a_newer_schema_is_refused_whatever_else_it_contains(schema: int) -> None:
    for content in (
        seal_document({"schema": schema}),
        b'{"schema": %d}' % schema,
        b'{\n  "schema": %d, "format": "changed"' % schema,
    ):
        with pytest.raises(
            NewerSchemaError, match=f"schema {schema}, this advae reads up to {STORE_SCHEMA}; upgrade advae"
        ):
            decode(content)


@pytest.mark.parametrize("schema", [0, -1, 1, 1.5, "2", None, True, [2], "99", 10**400])
def test_a_schema_that_never_was_is_refused(schema: Any) -> None:
    document = json.loads(encode(make_manifest(RECIPES["ae"])))
    document.pop("sha256")
    with pytest.raises(ValueError, match=r"."):
        decode(seal_document(document | {"schema": schema}))


WRONG = {
    "id": "ae-000000000000",
    "parents": ["ae-000000000000"],
    "dataset": {"name": "mnist", "digest": "0" * 64},
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("recipe", ["ae", "run with a counterpart"])
def test_id_parents_and_dataset_must_fit_the_recipe(name: str, recipe: str) -> None:
    document = json.loads(encode(make_manifest(RECIPES[recipe])))
    document.pop("sha256")
    decode(seal_document(document))
    for wrong in (WRONG[name], None, [], {}, 7, "x" * 10):
        if wrong == document[name]:
            continue
        with pytest.raises(ValueError, match=r"do not fit its recipe|is no manifest"):
            decode(seal_document(document | {name: wrong}))


def test_metrics_are_of_the_recipes_kind() -> None:
    manifest = make_manifest(RECIPES["ae"], metrics=make_metrics(RECIPES["clf"]))
    with pytest.raises(ValueError, match="not of its recipe's kind"):
        decode(encode(manifest))


CHANGES: dict[str, tuple[str, Any]] = {
    "seed as a word": ("recipe.seed", "0"),
    "seed as a float": ("recipe.seed", 0.0),
    "seed as a bool": ("recipe.seed", False),
    "error as a word": ("metrics.test_mse", "0.01"),
    "size as a word": ("artifacts.weights/npz.size", "12"),
    "size as a bool": ("artifacts.weights/npz.size", True),
    "size as a float": ("artifacts.weights/npz.size", 12.0),
    "size below nothing": ("artifacts.weights/npz.size", -12),
    "size of infinity": ("artifacts.weights/npz.size", float("inf")),
    "size of 400 digits": ("artifacts.weights/npz.size", 10**400),
    "error of 400 digits": ("metrics.test_mse", 10**400),
    "error of NaN": ("metrics.test_mse", float("nan")),
    "parents of tables": ("recipe.autoencoder", {"a": 1}),
    "digest of nothing": ("artifacts.weights/npz.sha256", ""),
    "not a time": ("created", "now"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_list_and_the_reader_agree_on_what_is_a_manifest(case: str) -> None:
    """What ``import`` lets in, ``ls`` can list; neither raises anything but ValueError."""
    document = json.loads(encode(make_manifest(RECIPES["ae"])))
    document.pop("sha256")
    path, value = CHANGES[case]
    node: Any = document
    *names, last = path.split(".")
    for name in names:
        node = node[name.replace("/", ".")]
    node[last] = value
    document["id"] = name_recipe(json.loads(json.dumps(document["recipe"])))
    document["parents"] = [document["recipe"][name] for name in ("autoencoder",) if name in document["recipe"]]
    content = seal_document(document)
    try:
        read = decode(content)
    except ValueError:
        read = None
    try:
        seen = summarize_entry(open_document(content))
    except ValueError:
        seen = None
    if read:
        assert seen is not None
        assert (seen.size, seen.parents) == (sum(a.size for a in read.artifacts.values()), read.parents)
        assert read.id == name_recipe(read.recipe.model_dump(mode="json")), "one recipe, two ids"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"7", b'"x"', b"{}", b"\xff", b"\xef\xbb\xbf{}", b"NaN"]
)
@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_no_manifest_is_refused(content: bytes, sealed: bool) -> None:
    if sealed:
        body = content.removesuffix(b"}")
        content = body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()
    for read in (open_document, decode):
        with pytest.raises(ValueError, match=r"no manifest|digest|Expecting|utf-8|BOM|Extra|codec"):
            read(content)
