"""The shape of the package, read off its source: who imports whom, what starts light, what is never executed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from typer.main import get_command

import advae
from advae.cli.app import build_app
from tests.calls import list_commands

ROOT = Path(advae.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
NAMES = {path: ".".join(("advae", *path.relative_to(ROOT).with_suffix("").parts)) for path in SOURCES}

LAYERS = (
    {"class_names", "errors", "identity", "interrupts", "paths", "quoting", "settings", "tracing"},
    {"run_options", "named_plans"},
    {"records"},
    {"requests"},
    {
        "metrics",
        "distortion_curves",
        "class_accuracy",
        "arrayfiles",
        "deadlines",
        "atomic_files",
        "backend",
        "batching",
        "sampling",
    },
    {"intervals"},
    {"registry", "datasets", "models", "attacks", "threats", "image_files"},
    {"evaluation", "certificates"},
    {"checks"},
    {"report"},
    {"workflows"},
    {"experiments", "notebooks"},
    {"cli"},
    {"__init__", "__main__"},
)
"""A room imports from rooms in earlier layers and from itself, nothing else."""

ALONE = {"class_names", "errors", "identity", "paths", "quoting", "settings", "arrayfiles"}
"""What knows nothing of the rest, and could be lifted out."""

REPORT_READS = {
    *(
        "errors",
        "quoting",
        "run_options",
        "named_plans",
        "records",
        "metrics",
        "distortion_curves",
        "class_accuracy",
        "registry",
    ),
    *("atomic_files",),
    *("checks", "report"),
}
REPORT_WORDS = {
    *("advae.threats.THREATS", "advae.threats.THREATS_BY_KNOWLEDGE"),
    *("advae.attacks.TARGETS_FROM", "advae.models.layers.PAPER_ACTIVATIONS", "advae.datasets.table.DATASETS"),
    *("advae.models.baselines.BASELINES", "advae.attacks.FROM_FILE"),
}
"""All that a report is made from: what is stored, and the tables and names whose words it shows. Never a network."""

LIGHT = {*sys.stdlib_module_names, "advae", "typer", "rich", "pydantic"}
"""What a module may import at its level, because the command line does."""

HEAVY = {
    *("numpy", "tensorflow", "keras", "sklearn", "scipy", "cleverhans", "matplotlib", "jinja2", "joblib", "h5py"),
    *("altair", "vl_convert", "skimage"),
    *("dask", "distributed", "skops", "onnx", "onnxruntime", "google", "pandas"),
}

HEAVY_AT_FIRST_USE = {"advae.notebooks.purifier_transformer": {"sklearn"}}
"""Modules that nothing imports before their one class is used, whose base is a heavy library's, and that library."""

PRESCRIBED = {"evaluate", "Purifier"}
"""Names that ``import advae`` gives to notebooks, and that rooms inside the package have, too."""

FORBIDDEN = {
    *("pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "h5py", "code", "runpy"),
    *("dask", "distributed"),
}
"""Modules that execute what they load, or read formats that do."""

WRITES_ONLY = {
    "advae.workflows.exporting": {"joblib.dump"},
    # What it passes between processes of its own never touches a disk.
    "advae.experiments.processes": {"joblib.Parallel", "joblib.cpu_count", "joblib.delayed", "joblib.parallel_config"},
    # A client sends what is executed, and gets answers back, from a scheduler that the user names and trusts.
    "advae.experiments.dask_cluster": {
        *("distributed.Client", "distributed.Future", "distributed.KilledWorker", "distributed.as_completed"),
    },
    # HDF5 is data; every object of a file is checked before its values are read.
    "advae.models.added.keras_weights": {
        *("h5py.File", "h5py.Dataset", "h5py.Group", "h5py.HardLink", "h5py.h5d", "h5py.h5o"),
    },
}
"""Where one of them is imported for its writer, or its checked reader, and all that is taken of it."""

MEMBERS = {"model.weights.h5"}
"""Names of archive members that are read after a check, and look like names of files that execute."""

EXECUTES = {"eval", "exec", "compile", "__import__"}
EXECUTES_AS_METHOD = {"load_model", "load_weights", "system", "popen"}
EXECUTED_FILES = (".keras", ".h5", ".hdf5", ".pkl", ".joblib")


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def collect(find: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """Return what ``find`` has against each module; nothing for those that are in order."""
    return {NAMES[path]: against for path in SOURCES if (against := sorted(find(path)))}


def room(module: str) -> str:
    """Return the part of a dotted name that the layers speak of."""
    return module.split(".")[1] if "." in module else ""


def find_imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Yield the dotted name of everything imported among some nodes; ``from a import b`` yields both a and a.b."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield node.module or ""
            if node.module == "advae":
                yield from (f"advae.{alias.name}" for alias in node.names)


def walk_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported: not those inside functions or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (inner for other in child.orelse for inner in (other, *walk_at_import(other)))
            continue
        yield child
        yield from walk_at_import(child)


def find_rooms_used(path: Path) -> set[str]:
    """Return the rooms that a module imports, at whatever level, its own included."""
    return {room(name) for name in find_imports(ast.walk(parse(path))) if name.split(".")[0] == "advae"} - {""}


# ---------------------------------------------------------------- the reading itself

SOURCE = """
import os, numpy.linalg
from advae import attacks, errors
if TYPE_CHECKING:
    import keras
else:
    import scipy
try:
    import jinja2
except ImportError:
    pass
class Row:
    import h5py
    def draw(self):
        import matplotlib.pyplot
        from advae.threats import THREATS
        return np.load(path), np.load(path, allow_pickle=False), np.load(path, allow_pickle=flag), eval(path)
"""


def test_every_import_is_seen() -> None:
    tree = ast.parse(SOURCE)
    at_import = {"os", "numpy.linalg", "advae", "advae.attacks", "advae.errors", "scipy", "jinja2", "h5py"}
    assert set(find_imports(walk_at_import(tree))) == at_import
    assert set(find_imports(ast.walk(tree))) == at_import | {"keras", "matplotlib.pyplot", "advae.threats"}


def test_every_dangerous_call_is_seen() -> None:
    assert [line.partition(": ")[2] for line in find_dangerous_calls(ast.parse(SOURCE))] == [
        "np.load does not say allow_pickle=False",
        "np.load",
        "eval",
    ]


def test_every_source_is_read() -> None:
    assert len(SOURCES) > 40
    assert "registry" in find_rooms_used(ROOT / "report" / "__init__.py")


# ---------------------------------------------------------------- who imports whom


def test_every_room_has_a_place() -> None:
    known = set().union(*LAYERS)
    assert {room(name) for name in NAMES.values()} <= known
    assert sum(map(len, LAYERS)) == len(known)


def test_a_room_imports_only_from_earlier_layers() -> None:
    def find(path: Path) -> set[str]:
        own = room(NAMES[path])
        layer = next((number for number, rooms in enumerate(LAYERS) if own in rooms), 0)
        return find_rooms_used(path) - {own}.union(*LAYERS[:layer])

    assert collect(find) == {}


def test_the_lowest_modules_import_nothing_of_ours() -> None:
    used = {path.stem: find_rooms_used(path) for path in SOURCES if path.parent == ROOT and path.stem in ALONE}
    assert used == {name: set() for name in ALONE}


def test_nothing_private_is_taken_from_another_room() -> None:
    def find(path: Path) -> Iterator[str]:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ImportFrom) and room(node.module or "") not in ("", room(NAMES[path])):
                yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name.startswith("_"))

    assert collect(find) == {}


def test_the_report_reads_records_and_words_and_nothing_else() -> None:
    for path in (ROOT / "report").rglob("*.py"):
        for node in ast.walk(parse(path)):
            taken = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                taken = [f"{node.module}.{name}" for name in taken]
            strange = {name for name in taken if name.startswith("advae.") and room(name) not in REPORT_READS}
            assert strange <= REPORT_WORDS, path.name


REPORT_ROOMS = ("data", "analysis", "drawing", "formats")
"""What a file of the report knows; wording.py, beside the rooms, knows the data only."""


def test_the_rooms_of_the_report_do_not_import_upwards() -> None:
    def find_level(module: str) -> int:
        place = module.split(".")[2]
        return REPORT_ROOMS.index(place) if place in REPORT_ROOMS else 0

    for path in (path for path in (ROOT / "report").rglob("*.py") if path != ROOT / "report" / "__init__.py"):
        names = (name for name in find_imports(ast.walk(parse(path))) if name.startswith("advae.report."))
        upwards = {name for name in names if find_level(name) > find_level(NAMES[path])}
        assert upwards == set(), path.name


def test_no_modules_import_each_other() -> None:
    """Neither directly nor in a circle of several, not even for types."""
    graph = {name: {*find_imports(ast.walk(parse(path)))} - {name} for path, name in NAMES.items()}
    TopologicalSorter(graph).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter(graph | {"advae.errors": {"advae.report.wording"}}).prepare()


def test_modules_are_imported_by_name_in_one_place_only() -> None:
    """An import by a computed name would go unseen above. One is of our own commands, one of the user's own module."""
    found = [
        NAMES[path]
        for path in SOURCES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and re.search(r"\b(import_module|__import__)$", ast.unparse(node.func))
    ]
    assert sorted(found) == ["advae.cli.app", "advae.models.added.own_function"]


def test_all_progress_bars_are_made_by_the_session() -> None:
    """Any other would have Rich's defaults, which lead stdout to stderr while it is drawn."""
    drawing = {"LineProgress", "Progress", "track", "Live", "Status"}

    def find(path: Path) -> set[str]:
        calls = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
        return drawing & {ast.unparse(call.func).rpartition(".")[2] for call in calls}

    assert collect(find) == {"advae.cli.session": ["LineProgress"]}


def find_repeated(names: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    """Return the names that several modules define, and which."""
    places: dict[str, set[str]] = {}
    for name, path in names:
        places.setdefault(name, set()).add(NAMES[path])
    return {name: sorted(found) for name, found in places.items() if len(found) > 1}


def list_defined(path: Path) -> Iterator[str]:
    """Yield the public classes, functions and constants that a module defines."""
    for node in parse(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_public_name_is_defined_twice() -> None:
    # Each Typer application of a group of commands is called app.
    defined = [(name, path) for path in SOURCES for name in list_defined(path) if not name.startswith("_")]
    assert find_repeated((name, path) for name, path in defined if name not in {"app", *PRESCRIBED}) == {}


def test_no_module_name_occurs_twice_outside_the_command_line() -> None:
    modules = [path for path in SOURCES if path.stem != "__init__" and room(NAMES[path]) != "cli"]
    assert find_repeated((path.stem, path) for path in modules) == {}


# ---------------------------------------------------------------- light start


def test_every_module_is_light_to_import() -> None:
    assert not LIGHT & HEAVY

    def find(path: Path) -> set[str]:
        names = {name.split(".")[0] for name in find_imports(walk_at_import(parse(path)))}
        return names - LIGHT - HEAVY_AT_FIRST_USE.get(NAMES[path], set())

    assert collect(find) == {}


def test_what_is_heavy_at_first_use_is_imported_by_functions_only() -> None:
    for path in SOURCES:
        taken = {name for name in find_imports(walk_at_import(parse(path))) if name in HEAVY_AT_FIRST_USE}
        assert taken == set(), path.name


def test_import_advae_is_light() -> None:
    source = """
import json, sys
import advae
advae.__all__, dir(advae)
try:
    advae.nothing
except AttributeError as error:
    print(error)
light = sorted(sys.modules)
advae.open_registry, advae.evaluate
print(json.dumps([light, sorted(sys.modules)]))
"""
    done = run_python("-c", source)
    assert done.returncode == 0, done.stderr
    said, modules = done.stdout.splitlines()
    assert said == "module 'advae' has no attribute 'nothing'"
    light, named = json.loads(modules)
    assert {name for name in light if name.split(".")[0] in HEAVY or name.startswith("advae.")} == set()
    # Functions that are looked at and not called import no library.
    assert {name for name in named if name.split(".")[0] in HEAVY} == set()


@cache
def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


AT_START = """
import contextlib, io, json, os, sys
from advae.cli import main
for line in json.loads(sys.argv[1]):
    os.environ.update(line["environment"])
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        try:
            code = main(line["words"])
        except SystemExit as end:
            code = end.code
    print(json.dumps([line, code, bool(written.getvalue()), sorted(sys.modules)]))
"""
"""Runs command lines one after the other; prints of each the exit code, whether it wrote, and all imported modules."""

NOT_AT_START = {"advae.records", "advae.requests", "advae.workflows", "advae.experiments", "advae.evaluation"}

ONE_VALUE = """
import rich, typer
app = typer.Typer()
@app.command()
def show(n: int): print(n)
app(["3"], standalone_mode=False)
"""
"""A command line of Typer with one value to convert, for which Typer imports pydantic."""

ONE_VALUE_AND_HELP = f"{ONE_VALUE}app(['--help'], standalone_mode=False)\n"
"""The same, and its help, for which Typer imports rich's Markdown."""


def list_lines() -> list[str]:
    """Return the lines that ask each command, and each command of a group, for its help."""
    return ["--help", *sorted(f"{' '.join(path)} --help" for path in list_commands(get_command(build_app())))]


def complete_environment(words: str, home: Path, shell: str = "bash") -> dict[str, str]:
    """Return the environment in which a shell asks for completions of some words, the last of which is being typed."""
    position = str(words.count(" "))
    return {
        "_ADVAE_COMPLETE": f"complete_{shell}",
        **{"COMP_WORDS": words, "COMP_CWORD": position, "ADVAE_HOME": str(home)},
    }


def find_heavy(modules: Iterable[str]) -> set[str]:
    """Return what of some modules must not be imported when a command starts."""
    return {name for name in modules if name.split(".")[0] in HEAVY or ".".join(name.split(".")[:2]) in NOT_AT_START}


def run_lines(lines: list[dict[str, Any]]) -> None:
    """Run command lines in one new process; each must write and import nothing that is heavy."""
    done = run_python("-c", AT_START, json.dumps(lines))
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(one) for one in done.stdout.splitlines()]
    assert [line for line, *_ in found] == lines
    for line, code, wrote, modules in found:
        assert (code, wrote) == (0, True), line
        assert {"advae.cli", "typer"} <= set(modules)
        assert find_heavy(modules) == set(), line


def test_the_help_of_every_command_imports_no_records() -> None:
    run_lines([{"words": line.split(), "environment": {}} for line in list_lines()])


def test_the_completion_of_every_command_imports_no_records(tmp_path: Path) -> None:
    words = ["advae ", *(f"advae {line.removesuffix('help')}" for line in list_lines()[1:]), "advae attack --clf "]
    home = tmp_path / "home"
    run_lines([{"words": [], "environment": complete_environment(line, home)} for line in words])
    assert not home.exists()


@pytest.mark.timed
def test_a_command_starts_in_about_the_time_that_typer_takes(tmp_path: Path) -> None:
    """Processor seconds, in turns, since other processes share the machine; with bytecode, as from the second start."""
    lines = ("--help", "attack --help", "train-ae --help", "report --help", "reproduce --help", "registry ls --help")
    calls = {line: ["-m", "advae", *line.split()] for line in lines} | {"typer": ["-c", ONE_VALUE_AND_HELP]}
    spent: dict[str, list[float]] = {line: [] for line in calls}
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    for _ in range(7):
        for line, arguments in calls.items():
            before = os.times()
            subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True, timeout=240)
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            spent[line].append(used)
    # The first round writes the bytecode and fills the other caches; each other one has its own pace.
    rounds = [[time / typer for time, typer in zip(times, spent["typer"], strict=True)] for times in spent.values()]
    paces = {line: median(ratios[1:]) for line, ratios in zip(spent, rounds, strict=True)}
    assert {line: pace for line, pace in paces.items() if pace > 1.4} == {}


def complete(words: str, tmp_path: Path, shell: str = "bash") -> list[str]:
    """Return what a shell would offer after some words, the last of which is being typed."""
    done = run_python("-m", "advae", **complete_environment(words, tmp_path / "home", shell))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_completion_offers_the_tables_names(tmp_path: Path) -> None:
    from advae.attacks import list_attacks
    from advae.models.autoencoders import AUTOENCODERS

    assert complete("advae attack --method ", tmp_path) == list_attacks()
    assert complete("advae train-ae --type ", tmp_path) == list(AUTOENCODERS)


def test_completion_goes_on_after_a_comma(tmp_path: Path) -> None:
    from advae.threats import ALL, THREATS

    names = [name for name in THREATS if name != "elsewhere"]
    assert complete("advae attack --threat encoded,", tmp_path) == [f"encoded,{name}" for name in (*names, ALL)]


# ---------------------------------------------------------------- nothing is executed on load


def test_nothing_that_executes_is_imported() -> None:
    def find(path: Path) -> set[str]:
        names = {name for node in ast.walk(parse(path)) for name in find_names_taken(node)}
        return {name for name in names if name.split(".")[0] in FORBIDDEN} - WRITES_ONLY.get(NAMES[path], set())

    assert collect(find) == {}


def find_names_taken(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names that an import names: ``import a`` a whole module, ``from a import b`` only a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_an_import_of_what_reads_is_seen_where_the_writer_is_allowed() -> None:
    allowed = WRITES_ONLY["advae.workflows.exporting"]
    source = "import joblib\nfrom joblib import dump, load as read\nfrom joblib.numpy_pickle import load"
    taken = {name for node in ast.walk(ast.parse(source)) for name in find_names_taken(node)}
    assert taken - allowed == {"joblib", "joblib.load", "joblib.numpy_pickle.load"}


def find_dangerous_calls(tree: ast.AST) -> Iterator[str]:
    """Yield the calls that execute what they are given, or could read a pickle."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        pickles = {ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "allow_pickle"}
        loads = called in {"np.load", "numpy.load"} or called.endswith(".read_array")
        if called in EXECUTES or called.rpartition(".")[2] in EXECUTES_AS_METHOD or pickles - {"False"}:
            yield f"line {node.lineno}: {called}"
        elif loads and not pickles:
            yield f"line {node.lineno}: {called} does not say allow_pickle=False"


def test_nothing_that_executes_is_called() -> None:
    assert collect(lambda path: find_dangerous_calls(parse(path))) == {}


def test_no_source_speaks_of_what_executes() -> None:
    words = re.compile(r"import pickle|pickle\.loads?\(|joblib\.load|allow_pickle ?= ?True|\beval\(|\bexec\(")
    assert collect(lambda path: words.findall(path.read_text("utf-8"))) == {}


def test_no_source_names_a_file_that_executes() -> None:
    """A string with such an ending would be the name of one; ``~/.keras`` is the folder of Keras' own datasets."""

    def find(path: Path) -> set[str]:
        strings = {node.value for node in ast.walk(parse(path)) if isinstance(node, ast.Constant)}
        strings -= {"~/.keras", *MEMBERS}
        return {text for text in strings if isinstance(text, str) and text.endswith(EXECUTED_FILES)}

    assert collect(find) == {}


# ---------------------------------------------------------------- what is started

STARTS = re.compile(r"\b(subprocess\.(run|Popen|call|check_call|check_output)|os\.(exec|spawn|posix_spawn)\w*)$")
TESTS = sorted(Path(__file__).parent.rglob("*.py"))


def find_unsafe_starts(tree: ast.AST) -> Iterator[str]:
    """Yield the calls that start a process with an environment that may lack PYTHONSAFEPATH; see tests/__init__.py.

    It is there in what is made of ``os.environ``, of a parameter, or says so itself.
    """
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        nodes = list(ast.walk(scope))
        sources = {argument.arg: "os.environ" for argument in scope.args.args} | {
            ast.unparse(node.targets[0]): ast.unparse(node.value) for node in nodes if isinstance(node, ast.Assign)
        }
        for call in (node for node in nodes if isinstance(node, ast.Call) and STARTS.search(ast.unparse(node.func))):
            for source in (ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "env"):
                made_of = source
                for _ in range(2):
                    made_of += " ".join(sources.get(word, "") for word in re.findall(r"\w+", made_of))
                if not re.search(r"environ\b|PYTHONSAFEPATH|careless_environment", made_of):
                    yield f"line {call.lineno}: env={source}"


def test_every_python_that_tests_start_is_in_safe_path_mode() -> None:
    assert os.environ["PYTHONSAFEPATH"] == "1"
    sources = {path.name: path.read_text("utf-8") for path in TESTS}
    found = {name: list(find_unsafe_starts(ast.parse(text))) for name, text in sources.items() if "env=" in text}
    assert {name: unsafe for name, unsafe in found.items() if unsafe} == {}
    bad = "def f():\n    env = {'A': 'b'}\n    subprocess.run(['python'], env=env)\n    os.execve('x', [], env={})"
    assert len(list(find_unsafe_starts(ast.parse(bad)))) == 2


STARTS_A_PROGRAM = {"advae.models.added.score_process": {"subprocess"}}
"""Where a program is started, our own, in safe-path mode; test_score_process.py looks at its modules."""


def test_the_package_starts_no_program_but_through_joblib() -> None:
    """Which takes over the environment, that ``pin_environment`` has put in safe-path mode."""
    starts = {"subprocess", "multiprocessing", "pty", "os.system", "os.popen", "os.fork"}

    def find(path: Path) -> set[str]:
        names = {name.split(".")[0] for name in find_imports(ast.walk(parse(path)))}
        calls = {ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
        found = starts & (names | calls) | {call.split(".")[0] for call in calls if STARTS.search(call)}
        return found - STARTS_A_PROGRAM.get(NAMES[path], set())

    assert collect(find) == {}


# ---------------------------------------------------------------- documented


def find_public(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Yield the public functions and classes of a module, and the public methods that are not properties."""
    for node in parse(path).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield node.name, node
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                decorators = {ast.unparse(decorator) for decorator in inner.decorator_list}
                if "property" not in decorators:
                    yield f"{node.name}.{inner.name}", inner


def test_everything_public_is_documented() -> None:
    def find(path: Path) -> Iterator[str]:
        yield from () if ast.get_docstring(parse(path)) else ("the module",)
        yield from (name for name, node in find_public(path) if not ast.get_docstring(node))

    assert collect(find) == {}


def test_every_function_of_a_table_is_documented() -> None:
    """A row's public function is an example for new rows."""
    from advae.attacks import ATTACKS
    from advae.attacks.losses import LOSSES
    from advae.models.autoencoders import AUTOENCODERS
    from advae.models.classifiers import CLASSIFIERS
    from advae.report.drawing.figure_table import FIGURES
    from advae.threats import THREATS

    rows = [row for table in (ATTACKS, AUTOENCODERS, CLASSIFIERS, FIGURES, LOSSES, THREATS) for row in table.values()]
    functions = {
        value for row in rows for value in (row, *vars(row).values()) if callable(value) and hasattr(value, "__name__")
    }
    public = {function for function in functions if function.__name__.isidentifier() and function.__name__[0] != "_"}
    assert len(public) > 12
    assert sorted(function.__name__ for function in public if not function.__doc__) == []


def test_every_row_has_a_summary() -> None:
    from advae.attacks import ATTACKS
    from advae.datasets.table import DATASETS
    from advae.models.autoencoders import AUTOENCODERS
    from advae.models.classifiers import CLASSIFIERS
    from advae.report.drawing.figure_table import FIGURES
    from advae.threats import THREATS

    assert [name for name, row in THREATS.items() if not row.explanation] == []
    for table in (ATTACKS, AUTOENCODERS, CLASSIFIERS, DATASETS, FIGURES):
        assert [name for name, row in table.items() if not row.summary] == []
