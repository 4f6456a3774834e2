"""Plans of experiments, read and refused; what the paper published; an experiment laid out in cells."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.experiments import EXPLANATIONS, PAPER, PUBLISHED, Experiment, list_published, read_experiment
from advae.experiments.cells import LEVELS, ExperimentCell, list_cells
from advae.experiments.runner import survey
from advae.records import AutoencoderRecipe, CertificateRecipe, RunRecipe
from advae.registry import Registry
from advae.workflows import Workspace

SMALL = """
datasets = ["digits"]
[autoencoders]
vanilla = { type = "vanilla", epochs = 2 }
raw = { type = "vanilla", epochs = 2, rescale = "none" }
[classifiers]
nn = { model = "nn", epochs = 2 }
[[attacks]]
classifiers = ["nn"]
behind = ["none", "vanilla"]
methods = ["fgsm"]
threats = ["oblivious", "adaptive"]
eps = [0.1, "50/255"]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return path


def lay_out_plan(tmp_path: Path, text: str) -> tuple[ExperimentCell, ...]:
    return list_cells(Workspace(Registry(tmp_path / "home")), read_experiment(write(tmp_path, text)))


def test_a_plan_sets_how_images_are_chosen(tmp_path: Path) -> None:
    for sample, named in (("", None), ('sample = "stratified"\n', "stratified")):
        cells = lay_out_plan(tmp_path, f"{SMALL}limit = 100\n{sample}")
        runs = [cell.prepared.recipe for cell in cells if cell.prepared]
        assert {(run.limit, run.sample) for run in runs} == {(100, named)}
    with pytest.raises(UsageError, match="did you mean 'stratified'"):
        lay_out_plan(tmp_path, f'{SMALL}limit = 100\nsample = "stratifed"')


# ---------------------------------------------------------------- the paper


def test_every_matrix_of_the_paper_is_there() -> None:
    published = list_published()
    assert len(published) == len(PUBLISHED.read_text().splitlines()) - 1 == 67
    assert len({one.figure for one in published}) == 67
    assert Counter(one.dataset for one in published) == {"mnist": 39, "fashion-mnist": 28}
    assert {one.eps for one in published if one.classifier == "lr"} == {None, 50 / 255}
    assert {one.eps for one in published if one.attack == "bim"} == {0.3}


def test_explanations_are_for_figures_that_there_are() -> None:
    figures = [figure for several in EXPLANATIONS for figure in several]
    assert len(figures) == len(set(figures))
    assert set(figures) <= {one.figure for one in list_published()}


def test_the_papers_plan_has_every_cell_that_the_paper_has(tmp_path: Path) -> None:
    """Clean and attacked, with the paper's budget: under its own protocol, and honestly."""
    cells = list_cells(Workspace(Registry(tmp_path)), read_experiment())
    runs = {cell.prepared: cell for cell in cells if cell.prepared}
    recipes = {cell.id: cell.recipe for cell in cells}

    def is_there(published: Any, *, honest: bool) -> bool:
        linear = published.classifier == "lr"
        behind = published.autoencoder != "none"
        for cell in runs.values():
            run = cell.recipe
            assert isinstance(run, RunRecipe)
            classifier = recipes[run.classifier]
            purifier = recipes[classifier.parents[0]] if classifier.parents else None
            kind, rescale = "none", None
            if isinstance(purifier, AutoencoderRecipe):
                kind, rescale = purifier.type, purifier.rescale
            # A variational autoencoder's output is in [0, 1] as it stands.
            scaled = "intensity" if honest and kind != "variational" else "none"
            wanted = ("adaptive", True) if honest else ("encoded" if behind else "adaptive", not linear)
            if (classifier.model, kind, rescale, run.method, run.threat, run.clip, run.limit) == (
                published.classifier, published.autoencoder, scaled if behind else None,
                published.attack, *wanted, None,
            ) and published.eps in run.eps:  # fmt: skip
                return True
        return False

    missing = [
        (one.figure, honest)
        for one in list_published()
        for honest in (True, False)
        if one.attack != "none" and not is_there(one, honest=honest)
    ]
    assert missing == []


def test_the_papers_plan_compares_activations(tmp_path: Path) -> None:
    cells = list_cells(Workspace(Registry(tmp_path)), read_experiment())
    shapes = {
        cell.recipe.network.activations
        for cell in cells
        if isinstance(cell.recipe, AutoencoderRecipe) and cell.recipe.network and cell.recipe.type == "vanilla"
    }
    alike = {(name,) * 3 for name in ("relu", "sigmoid", "tanh", "elu", "softplus", "exponential")}
    assert {shape[:3] for shape in shapes} == {*alike, ("relu", "relu", "exponential")}
    assert {shape[3] for shape in shapes} == {"softplus"}


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize(("classes", "reached"), [(2, {1}), (6, {5}), (8, {5, 7})])
def test_the_papers_plan_fits_datasets_of_few_classes(tmp_path: Path, classes: int, reached: set[int]) -> None:
    """The default target is the last class where the paper's, 5 and 7, does not exist."""
    x, y = np.zeros((4 * classes, 4, 4), np.uint8), np.arange(4 * classes) % classes
    x[:, 0, 0] = 255
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    experiment = read_experiment().model_copy(update={"datasets": (str(tmp_path / "own.npz"),)})
    cells = list_cells(Workspace(Registry(tmp_path / "home")), experiment)
    runs = [cell.recipe for cell in cells if isinstance(cell.recipe, RunRecipe)]
    assert {run.target for run in runs if run.method in ("tfgsm", "one-target")} == reached


def test_a_plan_is_laid_out_in_an_order_that_works(tmp_path: Path) -> None:
    cells = lay_out_plan(tmp_path, SMALL)
    assert Counter(cell.level for cell in cells) == {"autoencoders": 2, "classifiers": 2, "attacks": 3}
    assert [LEVELS.index(cell.level) for cell in cells] == sorted(LEVELS.index(cell.level) for cell in cells)
    made: set[str] = set()
    for cell in cells:
        assert set(cell.recipe.parents) <= made, cell.name
        made.add(cell.id)


def test_without_a_purifier_there_is_one_threat_model(tmp_path: Path) -> None:
    cells = lay_out_plan(tmp_path, SMALL)
    runs = [cell.recipe for cell in cells if isinstance(cell.recipe, RunRecipe)]
    (undefended,) = {run.twin for run in runs if run.twin}
    assert [run.threat for run in runs if run.classifier == undefended] == ["adaptive"]
    assert {run.eps for run in runs} == {(0.1, 50 / 255)}


@pytest.mark.parametrize("behind", ['["none"]', '["none", "vanilla"]'])
@pytest.mark.parametrize("method", ["fgsm", "noise"])
def test_an_unknown_threat_is_refused_whatever_it_is_in_front_of(tmp_path: Path, behind: str, method: str) -> None:
    text = SMALL.replace('["none", "vanilla"]', behind).replace('"oblivious", "adaptive"', '"adaptve"')
    with pytest.raises(UsageError, match=r"attacks\[0\]\.threats: unknown threat 'adaptve'; did you mean 'adaptive'"):
        lay_out_plan(tmp_path, text.replace("fgsm", method))


def test_all_threats_in_front_of_no_purifier_are_those_that_it_has(tmp_path: Path) -> None:
    text = SMALL.replace('["none", "vanilla"]', '["none"]').replace('"oblivious", "adaptive"', '"all"')
    runs = [cell.recipe for cell in lay_out_plan(tmp_path, text) if isinstance(cell.recipe, RunRecipe)]
    assert {run.threat for run in runs} == {"noise", "transfer", "adaptive", "black-box"}


def test_what_an_attacker_needs_is_part_of_the_plan(tmp_path: Path) -> None:
    """A surrogate for transfer, though the plan does not name it."""
    cells = lay_out_plan(tmp_path, SMALL.replace('"oblivious", "adaptive"', '"transfer"').replace('"none", ', ""))
    (run,) = [cell.recipe for cell in cells if isinstance(cell.recipe, RunRecipe)]
    assert run.surrogate in {cell.id for cell in cells}
    assert Counter(cell.level for cell in cells) == {"autoencoders": 3, "classifiers": 2, "attacks": 1}


def test_a_zero_among_several_eps_of_a_plan_is_warned_of(tmp_path: Path) -> None:
    told: list[str] = []
    experiment = read_experiment(write(tmp_path, SMALL.replace('[0.1, "50/255"]', "[0,1]")))
    list_cells(Workspace(Registry(tmp_path / "home"), tell=told.append), experiment)
    assert [line for line in told if "did you mean 0.1" in line] == told != []


def test_each_seed_has_cells_of_its_own(tmp_path: Path) -> None:
    once, twice = lay_out_plan(tmp_path, SMALL), lay_out_plan(tmp_path, SMALL + "\n")
    assert [cell.id for cell in once] == [cell.id for cell in twice]
    both = lay_out_plan(tmp_path, "seeds = [0, 1]" + SMALL)
    assert len(both) == 2 * len(once)
    assert len({cell.id for cell in both}) == 2 * len(once)


def test_a_file_of_images_is_looked_for_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    names = '["mine.npz", "Mine.NPZ", "mnist", "pets", "minst"]'
    experiment = read_experiment(write(tmp_path, SMALL.replace('["digits"]', names)))
    beside = [str(tmp_path / name) for name in ("mine.npz", "Mine.NPZ", "pets")]
    assert experiment.datasets == (*beside[:2], "mnist", beside[2], "minst")


def test_the_default_plan_is_the_papers_file(tmp_path: Path) -> None:
    assert read_experiment() == read_experiment(write(tmp_path, PAPER.read_text()))


def test_a_plan_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b"# \xe9\n" + SMALL.encode())
    with pytest.raises(UsageError, match=r"plan.toml: not UTF-8 text, at byte 2$"):
        read_experiment(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_plan_may_be_what_a_program_of_windows_saved(tmp_path: Path, encoding: str, newline: str) -> None:
    path = write(tmp_path, SMALL)
    expected = read_experiment(path)
    path.write_text(SMALL, encoding=encoding, newline=newline)
    assert read_experiment(path) == expected


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["fgsm"]', "[]", "attacks[0].methods: tuple should have at least 1 item"),
        (
            '["none", "vanilla"]',
            '["none", "vanila"]',
            "behind: unknown name 'vanila'; did you mean 'vanilla'",
        ),
        ('classifiers = ["nn"]', 'classifiers = ["lr"]', "attacks[0].classifiers: unknown name 'lr'"),
        ('type = "vanilla", epochs = 2 }', "epochs = 2 }", "autoencoders.vanilla: it has no type"),
        ('model = "nn", ', "", "classifiers.nn: it has no model"),
        (
            'model = "nn", epochs',
            'model = "nn", epoch',
            "classifiers.nn: unknown option 'epoch'; did you mean",
        ),
        ('"50/255"', '"50/o"', "bad eps '50/o'"),
        (
            "[[attacks]]",
            "[[attack]]",
            "unknown key 'attack'; did you mean 'attacks'? (about, attacks, autoencoders, ",
        ),
        (
            "eps = [0.1",
            "epss = [0.1",
            "attacks[0]: unknown key 'epss'; did you mean 'eps'? (behind, calibrate, classifiers",
        ),
        ("eps = [0.1", "step_size = 1\neps = [0.1", "unknown key 'step_size'; did you mean 'step-size'? ("),
        ('methods = ["fgsm"]', "", "attacks[0].methods: field required"),
        ("vanilla = {", "none = {", "autoencoders.none: the name means no autoencoder"),
        ('datasets = ["digits"]', "datasets = 3", "datasets: input should be a valid tuple, got 3"),
        ("[classifiers]", "[classifiers", "Expected ']'"),
        ("epochs = 2", "epochs = true", "autoencoders.vanilla: bad --epochs True: input should be a valid integer"),
        ("epochs = 2", 'epochs = "2"', "autoencoders.vanilla: bad --epochs '2': input should be a valid integer"),
        ("epochs = 2", "learning-rate = true", "autoencoders.vanilla: bad --learning-rate True: input should be a"),
        ('"nn", epochs = 2', '"nn", epochs = true', "classifiers.nn: bad --epochs True: input should be a valid"),
        ('"nn", epochs = 2', '"lr", C = "1"', "classifiers.nn: bad --C '1': input should be a valid number"),
        ('"nn", epochs = 2', '"lr", intercept = 1', "classifiers.nn: bad --intercept 1: input should be a valid bool"),
        ("epochs = 2", "code-size = 3, code_size = 4", "autoencoders.vanilla: code-size is given twice"),
    ],
)
def test_a_bad_plan_is_one_line_with_the_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(UsageError) as error:
        read_experiment(path)
    assert str(error.value).startswith(f"bad plan {path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        *(
            (f"{name} = true", f"attacks[0].{name}: input should be a valid")
            for name in ("limit", "steps", "step-size", "restarts", "draws", "queries")
        ),
        ("target = true", "attacks[0].target: input should be a valid integer, got True"),
        ('target = "3"', "attacks[0].target: input should be a valid integer, got '3'"),
        ('limit = "100"', "attacks[0].limit: input should be a valid integer, got '100'"),
        ("limit = 100.0", "attacks[0].limit: input should be a valid integer, got 100.0"),
        ('step-size = "0.1"', "attacks[0].step-size: input should be a valid number, got '0.1'"),
        ('clip = "no"', "attacks[0].clip: input should be a valid boolean, got 'no'"),
        ("eps = [true]", "attacks[0].eps[0]: input should be a valid number, got True"),
    ],
)
def test_what_is_no_number_is_not_taken_for_one(tmp_path: Path, option: str, said: str) -> None:
    text = SMALL.replace('eps = [0.1, "50/255"]', "") if option.startswith("eps") else SMALL
    with pytest.raises(UsageError) as error:
        read_experiment(write(tmp_path, text + option))
    assert said in str(error.value)


@pytest.mark.parametrize("seed", ["true", '"1"', "1.0"])
def test_a_seed_is_a_whole_number(tmp_path: Path, seed: str) -> None:
    with pytest.raises(UsageError, match=r"seeds\[0\]: input should be a valid integer, got"):
        read_experiment(write(tmp_path, f"seeds = [{seed}]" + SMALL))


def test_a_whole_number_will_do_where_any_does(tmp_path: Path) -> None:
    text = SMALL.replace('[0.1, "50/255"]', '[1, "0.5"]').replace('"vanilla", epochs = 2 }', '"blur", sigma = 1 }', 1)
    experiment = read_experiment(write(tmp_path, text))
    assert experiment.attacks[0].eps == (1.0, 0.5)
    # And it is the same recipe, as it is on the command line.
    ids = [cell.id for cell in lay_out_plan(tmp_path, text)]
    assert ids == [cell.id for cell in lay_out_plan(tmp_path, text.replace("sigma = 1 ", "sigma = 1.0 "))]


def test_a_classifier_of_a_plan_is_trained_on_noise_where_it_says_so(tmp_path: Path) -> None:
    text = SMALL.replace('model = "nn", epochs = 2', 'model = "nn", epochs = 2, noise-level = 1')
    recipes = [cell.recipe for cell in lay_out_plan(tmp_path, text) if cell.recipe.kind == "clf"]
    assert {recipe.noise_level for recipe in recipes if recipe.model == "nn"} == {1.0}
    for wrong, said in (('noise-level = "0.5"', "bad --noise-level '0.5'"), ("noise-levl = 1", "mean 'noise-level'?")):
        with pytest.raises(UsageError, match=re.escape(said)):
            read_experiment(write(tmp_path, text.replace("noise-level = 1", wrong)))


def test_a_classifier_of_a_plan_is_retrained_where_it_says_so(tmp_path: Path) -> None:
    retrain = 'retrain = 2, retrain-method = "fgsm", retrain-eps = "25/255", retrain-limit = 100'
    text = SMALL.replace('model = "nn", epochs = 2', f'model = "nn", epochs = 2, {retrain}')
    recipes = [cell.recipe for cell in lay_out_plan(tmp_path, text) if cell.recipe.kind == "clf"]
    options = [recipe.retrained for recipe in recipes if recipe.model == "nn" and recipe.retrained]
    assert options
    assert {(one.rounds, one.method, one.eps, one.limit) for one in options} == {(2, "fgsm", 25 / 255, 100)}
    for wrong, said in (
        ("retrain = true", "bad --retrain True"),
        ('retrain-eps = "0.1"', "--retrain-eps needs --retrain N"),
        ("retrain = 1, retrain-eps = 2", "bad --retrain-eps 2"),
        ('retrain = 1, retrain-eps = 0.1, retrain-method = "fgms"', "did you mean 'fgsm'?"),
        ("retrain = 1, retrain-ep = 0.1", "did you mean 'retrain-eps'?"),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            lay_out_plan(tmp_path, text.replace(retrain, wrong))


CERTIFIED = """
[[certificates]]
classifiers = ["nn"]
behind = ["none", "vanilla"]
eps = [0.01, "1/255"]
"""


def test_a_plan_has_certificates_beside_its_attacks(tmp_path: Path) -> None:
    """By the method that fits, or by those that it names; the seed of the plan is that of the noise."""
    text = SMALL.replace('"nn", epochs = 2 }', '"nn", epochs = 2 }\nlr = { model = "lr" }')
    noise = CERTIFIED.replace("certificates]]", "certificates]]\nmethods = ['smoothing']\nsigma = 0.5\nsamples = 50")
    lr = CERTIFIED.replace('["nn"]', '["lr"]').replace('"none", ', "") + "limit = 100\n"
    cells = lay_out_plan(tmp_path, f"seeds = [3]{text}{CERTIFIED}{noise}{lr}")
    made = [cell.recipe for cell in cells if isinstance(cell.recipe, CertificateRecipe)]
    assert [(one.method, one.limit, one.seed, one.samples) for one in made] == [
        *[("ibp", None, None, None)] * 2,
        *[("smoothing", None, 3, 50)] * 2,
        ("ibp", 100, None, None),
    ]
    assert {one.eps for one in made} == {(0.01, 1 / 255)}
    assert [cell.level for cell in cells][-5:] == ["certificates"] * 5
    assert {one.classifier for one in made} <= {cell.id for cell in cells}
    only = lay_out_plan(tmp_path, SMALL.partition("[[attacks]]")[0] + CERTIFIED)
    assert Counter(cell.level for cell in only) == {"autoencoders": 2, "classifiers": 2, "certificates": 2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("epss = 1", "certificates[0]: unknown key 'epss'; did you mean 'eps'? (alpha, behind, classifiers, eps, "),
        ('methods = ["ipb"]', "certificates[0].methods: unknown method 'ipb'; did you mean 'ibp'?"),
        ('methods = ["exact"]', "a certificate of nn undefended: --method exact does not fit"),
        ('norm = "l3"', "certificates[0].norm: input should be 'linf' or 'l2', got 'l3'"),
        ("limit = true", "certificates[0].limit: input should be a valid integer, got True"),
        ("sigma = -1", "certificates[0]: bad --sigma -1"),
        ("samples = 10", "--samples does not fit --method ibp"),
        ("alpha = 2.0\nsigma = 0.5", "certificates[0]: bad --alpha 2.0"),
    ],
)
def test_a_bad_certificate_of_a_plan_is_one_line(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        lay_out_plan(tmp_path, f"{SMALL}{CERTIFIED}{options}")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_plan_without_attacks_and_certificates_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.partition("[[attacks]]")[0])
    with pytest.raises(UsageError) as error:
        read_experiment(path)
    assert str(error.value) == f"bad plan {path}: it has no attacks, no certificates, no surfaces and no code-attacks"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs = 2", "epoch = 2", "autoencoders.vanilla: unknown option 'epoch'; did you mean 'epochs'?"),
        ("epochs = 2", "batchsize = 2", "autoencoders.vanilla: unknown option 'batchsize'; did you mean 'batch-size'?"),
        ("epochs = 2", "rho = 0.1", "autoencoders.vanilla: --rho does not fit --type vanilla; it is for sparse"),
        ('"vanilla", epochs = 2', '"denoising", noise-levl = 1', "did you mean 'noise-level'?"),
        ('"vanilla", epochs = 2', '"denoising", noise-level = true', "bad --noise-level True: a number"),
        ('"vanilla", epochs = 2', '"denoising", noise-level = "0.3"', "bad --noise-level '0.3': a number"),
        ('"vanilla", epochs = 2', '"variational", sample = 1', "bad --sample 1: true or false"),
        ('"vanilla", epochs = 2', '"denoising", noise = 3', "bad --noise 3: a name, in quotes"),
        ('type = "vanilla"', 'type = "vanilly"', "autoencoders.vanilla: unknown autoencoder 'vanilly'"),
        ('model = "nn", epochs = 2', 'model = "nn", C = 2.0', "classifiers.nn: --C, --intercept and --max-iter do not"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line_with_the_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        lay_out_plan(tmp_path, SMALL.replace(old, new, 1))
    assert str(error.value).startswith("the plan's ")
    assert said in str(error.value)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read plan .*: No such file"):
        read_experiment(tmp_path / "none.toml")


DEEP = ".".join(["a"] * 5000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"datasets = {'[' * 5000}{']' * 5000}", "its tables or lists are nested too deeply"),
        (f"datasets = {'{a=' * 5000}1{'}' * 5000}", "its tables or lists are nested too deeply"),
        (f"{DEEP} = 1", "unknown key 'a'; did you mean 'about'? (about, attacks, "),
        (f"[{DEEP}]\nb = 1", "unknown key 'a'; did you mean 'about'? (about, attacks, "),
        (f"{SMALL}\n[autoencoders.deep]\n{DEEP} = 1", "autoencoders.deep.a.bool: input should be"),
        (f"datasets = '{'x' * 900_000}'", "datasets: input should be a valid tuple, got 'xxx"),
        (f"{'x' * 900_000} = 1", f"unknown key '{'x' * 200}' (about, attacks, "),
        (f"seeds = [{'1' * 5000}]", "value has 5000 digits"),
        ("#" * (1 << 20) + "#", "it is longer than 1048576 bytes"),
    ],
    ids=range(9),
)
def test_a_plan_of_any_size_and_depth_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_experiment(write(tmp_path, text))
    assert said in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_plan_may_come_through_a_pipe_but_must_end(tmp_path: Path) -> None:
    """As from ``--plan <(...)``."""
    reader, writer = os.pipe()
    os.write(writer, SMALL.encode())
    os.close(writer)
    assert read_experiment(Path(f"/dev/fd/{reader}")) == read_experiment(write(tmp_path, SMALL))
    os.close(reader)
    for path, why in ((tmp_path, "Is a directory"), (Path("/dev/zero"), "it is longer than 1048576 bytes")):
        with pytest.raises(UsageError, match=rf"^cannot read plan {path}: {why}"):
            read_experiment(path)


def test_a_method_that_does_not_fit_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="asks for natural on nn undefended: attack 'natural' is for logistic regression"
    ):
        lay_out_plan(tmp_path, SMALL.replace('["fgsm"]', '["natural"]'))


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown autoencoder 'vanilly'"):
        lay_out_plan(tmp_path, SMALL.replace('type = "vanilla"', 'type = "vanilly"', 1))


# ---------------------------------------------------------------- how long it takes


def test_existing_cells_take_no_time(tmp_path: Path) -> None:
    cells = lay_out_plan(tmp_path, SMALL)
    surveyed = survey(Registry(tmp_path / "home"), cells)
    assert surveyed.list_missing("attacks") == surveyed.list_level("attacks")
    assert all(surveyed.estimate_seconds(cell.level) > 0 for cell in cells)
    done = type(surveyed)(cells, frozenset(cell.id for cell in cells), surveyed.speed)
    assert [done.estimate_seconds(level) for level in LEVELS] == [0] * len(LEVELS)


def test_more_work_has_a_longer_estimated_time(tmp_path: Path) -> None:
    def foretell(experiment: Experiment) -> dict[str, float]:
        registry = Registry(tmp_path / "home")
        surveyed = survey(registry, list_cells(Workspace(registry), experiment))
        return {level: surveyed.estimate_seconds(level) for level in LEVELS}

    few = read_experiment(write(tmp_path, SMALL))
    many = read_experiment(write(tmp_path, SMALL.replace("epochs = 2", "epochs = 2000").replace("fgsm", "pgd")))
    longer, shorter = foretell(many), foretell(few)
    assert all(longer[level] > shorter[level] for level in LEVELS if shorter[level])
