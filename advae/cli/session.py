"""The session of one command: its registry, and its output. stdout is for data, stderr for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.cli.stdout import before_terminal_output, write
from advae.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from advae.cli.progress_line import LineProgress
    from advae.cli.repeated_lines import RepeatedLines
    from advae.models.fitting import Epoch
    from advae.registry import Registry
    from advae.workflows import Workspace


@dataclass(frozen=True)
class Session:
    """One call of the command line: its registry and its output."""

    home: Path
    """Folder of the registry."""
    quiet: bool
    """Whether only data and errors are printed."""
    verbose: bool
    """Whether details are printed on stderr, too."""
    color: bool
    """Whether colours are allowed on stderr."""
    as_json: bool
    """Whether the answer is one JSON document."""

    @property
    def registry(self) -> Registry:
        from advae.registry import Registry

        return Registry(self.home)

    @cached_property
    def console(self) -> Console:
        """The console for people, on stderr."""
        from advae.cli.console import open_console

        return open_console(color=self.color)

    @property
    def draws_bars(self) -> bool:
        """Whether bars are drawn: on a terminal whose cursor can be moved, and without ``-q``."""
        return self.console.is_terminal and self.console.is_interactive and not self.quiet

    @contextmanager
    def show_progress(self, *, transient: bool = True) -> Iterator[LineProgress]:
        """Give a progress display on stderr. It ends before anything is written to a stdout that is a terminal.

        transient: remove the lines at the end. Every display is made here, because with Rich's defaults what is written
        to stdout meanwhile would go to stderr.
        """
        from advae.cli.console import beside_redirection
        from advae.cli.progress_line import LineProgress

        with (
            beside_redirection(self.console) if self.draws_bars else nullcontext(),
            LineProgress(
                console=self.console,
                disable=not self.draws_bars,
                transient=transient,
                redirect_stdout=False,
            ) as progress,
            before_terminal_output(progress.stop),
        ):
            yield progress

    def tell(self, message: RenderableType) -> None:
        """Show a line or a table, unless -q is on. A line break in a name is escaped."""
        if isinstance(message, str):
            self.tell_lines([message])
        # A failed write to stderr, for example on a full disk, must not fail the command.
        with suppress(OSError):
            if not (self.quiet or isinstance(message, str)):
                self.console.print(message)

    def tell_lines(self, lines: Iterable[str]) -> None:
        """Show lines, unless -q is on."""
        with suppress(OSError):
            if self.quiet:
                return
            text = "\n".join(map(printable, lines))
            if sys.stderr.isatty():
                self.console.print(text)
            else:
                # Rich is slow for thousands of lines, and without a terminal it is not needed.
                print(text, file=sys.stderr)

    @contextmanager
    def tell_once(self) -> Iterator[RepeatedLines]:
        """Give what shows repeated lines once, and at the end how often they were told."""
        from advae.cli.repeated_lines import RepeatedLines

        lines = RepeatedLines(self.tell)
        yield lines
        lines.finish()

    def complain(self, message: str) -> None:
        """Show an error line, also with -q."""
        with suppress(OSError):
            print("advae: " + printable(" ".join(message.split())), file=sys.stderr)

    def detail(self, message: str) -> None:
        """Show a line if -v is on."""
        if self.verbose:
            self.tell(message)

    def put(self, document: Any, line: str) -> None:
        """Print the answer: the JSON document with ``--json``, else the line."""
        text = json.dumps(document, indent=2, allow_nan=False) if self.as_json else line
        if text:
            write(text + "\n")

    @contextmanager
    def workspace(
        self,
        what: str,
        *,
        data_dir: Path | None = None,
        resize: tuple[int, int] | None = None,
        classes: tuple[str, ...] | None = None,
        force: bool = False,
    ) -> Iterator[Workspace]:
        """Give a workspace whose progress is drawn as a line: with a terminal, and without ``-q``."""
        from advae.cli.values import show_seconds
        from advae.cli.work_progress import LONG, WorkProgress, describe_epoch
        from advae.workflows import Workspace

        with self.tell_once() as lines, self.show_progress() as progress:
            work = WorkProgress(progress, what)

            def on_epoch(epoch: Epoch) -> None:
                work.show_epoch(epoch)
                self.detail(f"epoch {epoch.number}/{epoch.epochs}: {describe_epoch(epoch)}, {epoch.seconds:.1f} s")

            announced = set[str]()

            def on_time_left(id_: str, seconds: float) -> None:
                if seconds > LONG and id_ not in announced:
                    self.tell(f"{id_} will take about {show_seconds(seconds)}")
                announced.add(id_)
                work.show_time_left(seconds)

            yield Workspace(
                self.registry,
                data_dir,
                resize,
                classes,
                force,
                on_epoch=on_epoch,
                on_batch=work.show_batch,
                on_time_left=None if self.quiet else on_time_left,
                on_stage=work.show_stage,
                on_entry=work.begin,
                tell=lines.tell,
            )
