"""Malicious files are refused by every command: one line, nothing executed, written or published."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from advae import arrayfiles
from advae.backend import start_tensorflow
from advae.models.baselines import BASELINES as TABLE
from advae.registry import Registry, manifest_files
from tests.calls import Outcome, call, succeed
from tests.entries import list_names, read_unmarked
from tests.fuzz import RESULTS, TARGETS, fuzz
from tests.hostile.corpus import CORPUS
from tests.hostile.executed import pickle_npz, sings_lambda
from tests.hostile.recipes import BASELINES, lay_baseline
from tests.hostile.rows import BUNDLE, CIFAR, COMMANDS, DATASET, FOLDER, FORGED, IMAGES, MNIST, READ, SEALED
from tests.hostile.scene import ROOM, Scene, build_scene, copy_scene, guard_memory

LARGE = ("bomb", "iB", "GB", "petabytes", "bits", "digits", "deep J", "deep l", "many", "overlap", "long")
"""Words in the names of rows whose memory is measured, which takes three times as long."""

RUN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
"""Audit events of which reading has none."""

SHOWN = (UserWarning, RuntimeWarning, SyntaxWarning, FutureWarning)
"""Warnings that Python prints on stderr unless told otherwise."""

IN_PLACE = [
    name
    for name, row in CORPUS.items()
    if {"verify", "purify", "attack"} & set(row.offers) and not name.startswith("weights")
]
"""Rows that lie in a home, and are more than weights, which what lists entries does not read."""

ONE_DOOR = {
    frozenset(READ): ("predict",),
    frozenset(SEALED): ("show", "predict"),
    frozenset(FORGED): ("show", "verify"),
}
"""Commands that read weights, or manifests, by one check: a row is offered to one or two of them, the first to all."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A scene as it was made, to be copied; TensorFlow has started."""
    start_tensorflow()
    return build_scene(tmp_path_factory.mktemp("good"))


@pytest.fixture
def scene(good: Scene, tmp_path: Path) -> Scene:
    copied = copy_scene(good, tmp_path)
    (copied.folder / "good.tar").write_bytes(good.bundle)
    return copied


def lay(name: str, scene: Scene) -> Scene:
    return CORPUS[name].lay(scene) or scene


# ---------------------------------------------------------------- the table itself


def test_every_command_of_the_corpus_accepts_good_files(scene: Scene) -> None:
    """Or it might be refused for another reason than what is hostile in it."""
    for command in COMMANDS:
        # TensorFlow takes a second for each; what they read is read by ``attack`` and ``data verify`` as well.
        if command in {*MNIST, *CIFAR, *FOLDER} - {*DATASET} or command.startswith("train-ae"):
            continue
        file = scene.folder / "good.tar" if "import" in command else scene.dataset
        succeed(*fill_in(command, scene, file=scene.images if command in IMAGES else file))


@pytest.mark.parametrize("type_", BASELINES)
def test_the_baselines_that_are_forged_were_good(type_: str, scene: Scene) -> None:
    scene = lay_baseline(scene, type_)
    for command in ("purify", "predict", "attack"):
        succeed(*fill_in(command, scene))
    exported = call(*fill_in("export keras", scene))
    assert exported.code == (0 if TABLE[type_].in_graph else 2)


def test_the_canaries_sing_where_they_are_trusted(scene: Scene) -> None:
    scene.canary.sings()
    assert sings_lambda(scene)


def test_code_that_would_be_executed_is_noticed(scene: Scene) -> None:
    import pickle

    with watch() as events:
        pickle.loads(pickle.dumps(scene.canary))
        os.system("true")
    assert {"pickle.find_class", "os.system"} <= set(events)


def test_every_command_that_reads_is_offered_something() -> None:
    assert {command for row in CORPUS.values() for command in row.offers} | {"show clf", "show run", "gc"} == set(
        COMMANDS
    )
    assert len(CORPUS) > 300


# ---------------------------------------------------------------- how a row is refused

events: list[str] = []
armed: list[bool] = []


def listen(event: str, arguments: Any) -> None:
    if armed and event in RUN:
        events.append(event)


sys.addaudithook(listen)


@contextmanager
def watch() -> Iterator[list[str]]:
    """Collect what would have been run."""
    events.clear()
    armed.append(True)
    try:
        yield events
    finally:
        armed.clear()


def fill_in(command: str, scene: Scene, **others: object) -> list[str]:
    words = {name: str(value) for name, value in (vars(scene) | others).items() if name not in ("bundle", "canary")}
    return [word.format(**words) for word in COMMANDS[command]] + ["--home", str(scene.home)]


def read_home(scene: Scene) -> dict[str, bytes | None]:
    """Return all that is in a home but its locks, which stay behind by design; large files without their content."""
    return {
        str(path): path.read_bytes() if path.is_file() and path.stat().st_size < ROOM else None
        for path in scene.home.rglob("*")
        if path.parent.name != "locks"
    }


def find_faults(command: str, code: int, scene: Scene, *, weighed: bool) -> Iterator[str]:
    """Offer what was laid out to a command and yield what is wrong with how it refuses."""
    before, beside = read_home(scene), list_names(scene.folder)
    offered = (*scene.folder.iterdir(), *scene.entry(scene.ae).iterdir())
    size = sum(path.stat().st_blocks * 512 for path in offered if path.is_file())
    with warnings.catch_warnings(record=True) as warned, watch() as run:
        warnings.simplefilter("ignore")
        for category in SHOWN:
            warnings.simplefilter("always", category)
        outcome, peak = weigh(fill_in(command, scene)) if weighed else (call(*fill_in(command, scene)), 0)
        yield from (f"ran {event}" for event in run)
    if outcome.code != code:
        yield f"exit {outcome.code} instead of {code}: {outcome.err[-300:]}"
    else:
        yield from find_faults_in_words(command, outcome)
    yield from (f"warned: {warning.message}" for warning in warned)
    if peak > size + ROOM:
        yield f"took {peak >> 20} MiB for {size >> 20} MiB"
    if read_home(scene) != before:
        yield "changed the home"
    if list_names(scene.home / "tmp"):
        yield "left a draft"
    if list_names(scene.folder) != beside:
        yield "left a file"
    if scene.canary.path.exists():
        yield "the canary sang"


def weigh(arguments: list[str]) -> tuple[Outcome, int]:
    """Return what a command line does, and the memory that it took."""
    tracemalloc.start()
    try:
        return call(*arguments), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def find_faults_in_words(command: str, outcome: Outcome) -> Iterator[str]:
    *told, last = outcome.err.splitlines() or [""]
    if not last.startswith("advae: ") or not all(line.isprintable() for line in (*told, last)):
        yield f"what no terminal should be shown: {outcome.err[-400:]!r}"
    # These say what there is, damaged as it may be, and then that it is.
    if not command.startswith(("verify", "show")):
        if told:
            yield f"more than one line: {outcome.err[-300:]}"
        if outcome.out:
            yield f"printed {outcome.out[:100]!r}"


def choose_offers(name: str) -> dict[str, int]:
    """Return the commands that a row is offered to: those of ONE_DOOR, unless it is the first row of its commands."""
    offers = CORPUS[name].offers
    alike = (other for other, row in CORPUS.items() if row.offers.keys() == offers.keys())
    doors = ONE_DOOR.get(frozenset(offers), offers)
    return offers if name == next(alike) else {command: code for command, code in offers.items() if command in doors}


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_files_are_refused(name: str, scene: Scene) -> None:
    weighed = any(word in name for word in LARGE)
    scene = lay(name, scene)
    with guard_memory():
        faults = [
            f"{command}: {fault}"
            for command, code in choose_offers(name).items()
            for fault in find_faults(command, code, scene, weighed=weighed)
        ]
    assert not faults, "\n" + "\n".join(faults)


CHECKS = {
    "weights": (arrayfiles, "_open_stored", {*BUNDLE, *SEALED} - {"show"}),
    "manifests": (manifest_files, "open_document", {*BUNDLE, *SEALED, *FORGED}),
}
"""The function by which all of some commands read what is not trusted: the module, its name, the commands."""


@pytest.mark.parametrize("what", CHECKS)
def test_every_door_calls_the_same_check(what: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, commands = CHECKS[what]
    check, called = getattr(module, name), list[object]()

    def call_check(*arguments: Any) -> Any:
        called.append(arguments)
        return check(*arguments)

    monkeypatch.setattr(module, name, call_check)
    for command in sorted(commands):
        called.clear()
        succeed(*fill_in(command, scene, file=scene.folder / "good.tar"))
        assert called, command


# ---------------------------------------------------------------- a damaged entry among others


@pytest.mark.parametrize("name", IN_PLACE)
def test_one_bad_entry_does_not_stop_commands_that_read_all(name: str, scene: Scene) -> None:
    """``ls`` shows the others; ``gc`` does its work or says why not."""
    scene = lay(name, scene)
    listed = succeed("registry", "ls", "--json", "--home", scene.home)
    assert {scene.clf, scene.run} <= {row["id"] for row in listed.json}
    assert listed.err.replace("\n", "").isprintable()
    collected = call("registry", "gc", "--dry-run", "--home", scene.home)
    assert collected.code in (0, 4), collected.err
    assert collected.err.count("\n") == 1


REPAIRED = [name for name in CORPUS if name.startswith(("weights: ", "manifest: "))]
REPAIRS = {
    "rm": (("registry", "rm", "{ae}"), False),
    "import --force": (("registry", "import", "{folder}/good.tar", "--force"), True),
}


@pytest.mark.parametrize("repair", REPAIRS)
@pytest.mark.parametrize("name", REPAIRED)
def test_the_repair_that_the_error_names_works(name: str, repair: str, scene: Scene) -> None:
    before = read_unmarked(scene.home)
    scene = lay(name, scene)
    command, whole = REPAIRS[repair]
    words = [word.format(ae=scene.ae, folder=scene.folder) for word in command]
    # Removing what others need takes them with it.
    succeed(*words, *(["--recursive"] if repair == "rm" else []), "--home", scene.home)
    succeed("registry", "verify", "--home", scene.home)
    assert read_unmarked(scene.home) == (before if whole else {})
    assert list_names(scene.home / "tmp") == []


@pytest.mark.timeout(5)
@pytest.mark.parametrize("file", ["VERSION", "refs/ae/best", "refs/ae/latest", "refs/clf/other", "locks/x.lock"])
def test_a_fifo_among_the_small_files_blocks_no_command(file: str, scene: Scene) -> None:
    path = scene.home / file
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    for command in ("ls", "gc --dry-run", "verify", f"show {scene.ae}", f"show {scene.ae[:6]}"):
        outcome = call("registry", *command.split(), "--home", scene.home)
        assert outcome.code in (0, 4, 5), outcome.err


def test_a_bundle_through_a_pipe_is_refused_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.file.write_bytes(pickle_npz(scene))
    with scene.file.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        outcome = call("registry", "import", "-", "--home", scene.home)
    assert (outcome.code, outcome.out) == (4, "")
    assert not scene.canary.sings()


def test_a_home_elsewhere_is_as_hostile(scene: Scene, tmp_path: Path) -> None:
    """Nothing is made where nothing was: not even the folders of a home."""
    for name in ("order: child before its parent", "name: above", "pickle"):
        lay(name, scene)
        assert call("registry", "import", scene.file, "--home", tmp_path / "new").code == 4
        assert Registry(tmp_path / "new").ids() == list_names(tmp_path / "new" / "tmp") == []


# ---------------------------------------------------------------- what hypothesis makes of it


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_a_changed_file_is_read_or_refused(target: str, tmp_path: Path) -> None:
    # A report takes a thousand times as long as a refusal.
    examples = 12 if target == "report" else 100
    tally = fuzz(target, examples=examples, folder=tmp_path)
    assert sum(tally.outcomes.values()) >= examples
    assert tally.outcomes["read"], "no example came through: the mutations are too wild"
    assert len(tally.outcomes) > 2, "all examples were refused for one reason: the mutations are too shallow"


def test_the_long_run_is_recorded() -> None:
    """``python -m tests.fuzz`` writes it."""
    recorded = json.loads(RESULTS.read_text())
    assert set(recorded["targets"]) == set(TARGETS)
    for name, target in recorded["targets"].items():
        assert target["examples"] >= (1_000 if name == "report" else 10_000), name
        assert target["read"] + target["refused"] == target["examples"], name
        assert target["defects"] == {}, name
        assert target["peak_bytes"] < ROOM
    assert {"python", "advae", "numpy", "hypothesis"} <= set(recorded["versions"])
