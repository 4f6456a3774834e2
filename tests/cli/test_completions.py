"""The scripts in completions/ are the application's own, and complete what the tables and the registry hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from advae.attacks import ATTACKS, list_attacks
from advae.cli.app import COMMANDS, build_app
from advae.run_options import SAMPLINGS
from advae.threats import THREATS
from tests.calls import list_commands
from tests.cli.completions import FILES, FOLDER, generate


@pytest.mark.parametrize("shell", FILES)
def test_scripts_are_what_the_application_prints(shell: str) -> None:
    assert (FOLDER / FILES[shell]).read_text() == generate(shell), "run python -m tests.cli.completions"


def complete(line: str) -> list[str]:
    """Source the bash script in a real bash and return what it offers for the last word of the line."""
    words = " ".join(f"'{word}'" for word in line.split(" "))
    script = f"""
        source {FOLDER / "advae.bash"}
        COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _advae_completion advae
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run = subprocess.run(["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert run.stderr == ""
    return [word for word in run.stdout.split("\n") if word]


def test_bash_completes_commands_and_table_names() -> None:
    assert complete("advae ") == list(COMMANDS)
    assert complete("advae attack --method ") == list_attacks()
    assert complete("advae attack --sample ") == list(SAMPLINGS)
    assert complete("advae attack --method fgsm,b") == ["fgsm,bim"]
    assert complete("advae attack --threat o") == [name for name in THREATS if name.startswith("o")]
    assert complete("advae train-ae --type v") == ["vanilla", "variational"]


CHOICES = re.compile(
    r"gaussian|kl, on|conv, or|: linf, l2|stratified draws|float32, the|html|json or csv|bundle:|scaled, ce|relu,"
)
"""What the help of options with choices says, where no table's rows are named."""


def test_every_option_with_choices_completes_them() -> None:
    """And those that take a REF, a dataset or a row of a table, whose names or values are in their help or metavar."""
    without = []
    for path, command in list_commands(get_command(build_app())).items():
        for option in command.make_context("it", [], resilient_parsing=True).command.params:
            named = option.metavar in ("REF", "NAME|PATH", "TYPE", "MODEL", "LOSS", "NORM", "P", "HOW", "KIND") or (
                option.help and CHOICES.search(option.help)
            )
            if (
                named
                and not getattr(option, "is_flag", False)
                and option._custom_shell_complete is None
                and not option.type_descriptor.is_choice
            ):
                without.append((*path, option.name))
    assert without == []


def offer(shell: str, typed: str) -> str:
    """Return what the program answers to a shell that shows explanations."""
    asked = {"_ADVAE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": typed}
    asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    command = [sys.executable, "-m", "advae"]
    return subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True).stdout


def test_zsh_and_fish_say_what_a_name_is(tmp_path: Path) -> None:
    from advae.registry import Registry
    from tests.entries import make_classifier_recipe, publish

    registry = Registry(tmp_path / "home")
    manifest = publish(registry, make_classifier_recipe())
    registry.tag(manifest, "mine")
    what = registry.read_summary(manifest.id).what
    typed = f"advae attack --home {tmp_path / 'home'} --clf "
    assert offer("fish", typed).splitlines() == [
        f"mine\t{what}",
        "latest\twhat the last command of this kind made",
        f"{manifest.id}\t{what}",
    ]
    assert f'"{manifest.id}":"{what}"' in offer("zsh", typed)
    assert f"bim\t{ATTACKS['bim'].summary}\n" in offer("fish", "advae attack --method ")


def test_bash_completes_ids_and_tags(tmp_path: Path) -> None:
    from advae.registry import Registry
    from tests.entries import make_classifier_recipe, publish

    registry = Registry(tmp_path / "home")
    manifest = publish(registry, make_classifier_recipe())
    registry.tag(manifest, "mine")
    offered = complete(f"advae attack --home {tmp_path / 'home'} --clf ")
    assert offered == ["mine", "latest", manifest.id]
    assert complete(f"advae train-clf --home {tmp_path / 'home'} --ae clf") == []
