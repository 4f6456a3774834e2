"""The scripts in completions/ are the application's own, and complete what the tables and the registry hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advae.attacks import list_attacks
from advae.cli.app import COMMANDS
from advae.run_options import SAMPLINGS
from advae.threats import THREATS
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


def test_bash_completes_ids_and_tags(tmp_path: Path) -> None:
    from advae.registry import Registry
    from tests.entries import make_classifier_recipe, publish

    registry = Registry(tmp_path / "home")
    manifest = publish(registry, make_classifier_recipe())
    registry.tag(manifest, "mine")
    offered = complete(f"advae attack --home {tmp_path / 'home'} --clf ")
    assert offered == ["mine", "latest", manifest.id]
    assert complete(f"advae train-clf --home {tmp_path / 'home'} --ae clf") == []
