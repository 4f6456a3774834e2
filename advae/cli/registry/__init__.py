"""``advae registry``: list, show, tag, remove, check, export and import entries."""

from __future__ import annotations

import typer

from advae.cli.help_command import HelpedCommand, HelpedGroup
from advae.cli.registry.listing import list_entries, show_entry
from advae.cli.registry.sharing import export_entry, import_entries
from advae.cli.registry.upkeep import (
    collect_garbage,
    make_home,
    remove_entry,
    tag_entry,
    untag_entry,
    verify_entries,
)

app = typer.Typer(no_args_is_help=True, cls=HelpedGroup)
for name, command in {
    "init": make_home,
    "ls": list_entries,
    "show": show_entry,
    "tag": tag_entry,
    "untag": untag_entry,
    "rm": remove_entry,
    "verify": verify_entries,
    "gc": collect_garbage,
    "export": export_entry,
    "import": import_entries,
}.items():
    app.command(name, cls=HelpedCommand)(command)
