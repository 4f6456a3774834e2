"""The command line: parse, call one workflow, print. Every error becomes one line and an exit code in `main`."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from typer.exceptions import Abort, TyperException

from advae.cli.app import COMMANDS, build_app
from advae.cli.stdout import ReaderGoneError, describe_failed_write, drop_rest
from advae.cli.values import show_input
from advae.errors import AdvaeError, UsageError, is_memory_error, printable, take_failure
from advae.settings import pin_environment

USAGE, DISK, INTERRUPTED, DEFECT = 2, 5, 130, 1

ENDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end the program as Ctrl-C does: a request to stop, and the end of its terminal."""

NO_MEMORY = "too little memory; try fewer images (--limit), a smaller --batch-size or fewer --jobs, or free some"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every error is one line on stderr."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    for number in ENDS:
        # `nohup` lets a program ignore SIGHUP, so that it outlives its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    pin_environment()
    try:
        _refuse_empty(arguments)
        code = build_app(_find_words(arguments))(arguments, prog_name="advae", standalone_mode=False)
        sys.stdout.flush()
    except (Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        return _let_reader_go()
    except SystemExit as end:
        # Typer and Rich end the program themselves where the reader of a help text is gone.
        if isinstance(end.__context__, BrokenPipeError):
            return _let_reader_go()
        raise
    except TyperException as error:
        return _explain_usage(error.format_message() + _show_refused(error), arguments)
    # The boundary of the program: any other error becomes one line, too.
    except Exception as error:
        return _explain(error, verbose="-v" in arguments or "--verbose" in arguments)
    if code == INTERRUPTED:
        return _say("interrupted; no partial result was stored", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise UsageError for an empty argument, such as `--ae "$AE"` where the command that should set AE failed."""
    if any(word == "" or (word.startswith("--") and word.endswith("=")) for word in arguments):
        raise UsageError("an argument is empty; is a variable of your script not set?")


def _explain(error: Exception, *, verbose: bool) -> int:
    """Print the line of an error, and return its exit code. verbose: print the traceback of a defect, too."""
    # TensorFlow raises an error of its own in place of one that was raised inside a graph.
    error = take_failure() or error
    if isinstance(error, AdvaeError):
        return _say(str(error), error.exit_code)
    if isinstance(error, OSError):
        if error.errno == errno.ENOMEM:
            return _say(f"{NO_MEMORY} ({error.strerror})", DISK)
        if error.errno == errno.EBADF and error.filename is None:
            return _say(describe_failed_write(error), DISK)
        return _say(f"system error: {error.strerror or error}{_name_file(error)}", DISK)
    if is_memory_error(error):
        return _say(f"{NO_MEMORY} ({_begin(error)})", DISK)
    if verbose:
        traceback.print_exception(error)
    return _say(f"a defect in advae: {type(error).__name__}: {error} (-v shows where; please report it)", DEFECT)


def _let_reader_go() -> int:
    """Return 0: the reader of stdout has closed it, and flushing at exit must not fail."""
    drop_rest()
    return 0


def _show_refused(error: TyperException) -> str:
    """Return the end of the line for a value that pydantic refused, empty for other mistakes."""
    list_errors = getattr(error.__cause__, "errors", list)
    first = next(iter(list_errors()), {"type": "value_error"})
    # A message of Typer's own names the value already.
    return "" if first["type"] == "value_error" else show_input(first["input"])


def _explain_usage(message: str, arguments: list[str]) -> int:
    """Print why Typer could not parse the line, as one line, and return the exit code."""
    # Typer's own wording begins with a capital and ends with a full stop; ours does neither.
    message = (message[:1].lower() + message[1:]).replace("Value error, ", "").rstrip(".")
    if message.startswith("no such command") and "Did you mean" not in message and arguments[0] not in COMMANDS:
        message += f"; advae has {', '.join(COMMANDS)}"
    if message.startswith("no such option") and arguments[0].startswith("-"):
        message += "; options follow the subcommand: advae attack --home DIR"
    return _say(message, USAGE)


def _find_words(arguments: list[str]) -> list[str]:
    """Return the arguments, or while a shell completes, the words after ``advae`` that have been typed."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    return typed.split()[1:] if typed and "_ADVAE_COMPLETE" in os.environ else arguments


def _begin(error: Exception) -> str:
    """Return the first line of a library's message, at most 200 characters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _name_file(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _say(message: str, code: int) -> int:
    """Print a message as one line, and return the code."""
    # A full disk behind stderr must not change the exit code.
    with contextlib.suppress(OSError):
        print("advae: " + printable(" ".join(message.split())), file=sys.stderr, flush=True)
    return code


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
