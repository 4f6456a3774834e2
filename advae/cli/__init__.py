"""The command line: parses, calls one workflow, prints. Errors become one line and an exit code in one place."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from typer.exceptions import Abort, TyperException

from advae.cli.app import build_app
from advae.errors import AdvaeError

USAGE, INTERRUPTED, DEFECT = 2, 130, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; whatever went wrong is one line on stderr."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = build_app(_find_words(arguments))(arguments, prog_name="advae", standalone_mode=False)
        sys.stdout.flush()
    except AdvaeError as error:
        return _say(str(error), error.exit_code)
    except TyperException as error:
        # Typer's own wording begins with a capital and ends with a full stop; ours does neither.
        message = error.format_message().rstrip(".")
        return _say(message[:1].lower() + message[1:], USAGE)
    except (Abort, KeyboardInterrupt):
        return _say("interrupted, nothing was stored", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our stdout went away: nothing is wrong, and flushing at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "-v" in arguments or "--verbose" in arguments:
            traceback.print_exc()
        return _say(f"a defect in advae: {type(error).__name__}: {error} (-v shows where; please report it)", DEFECT)
    if code == INTERRUPTED:
        return _say("interrupted, nothing was stored", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _find_words(arguments: list[str]) -> list[str]:
    """Return the words of the line: the arguments, or while a shell completes, what has been typed after ``advae``."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    return typed.split()[1:] if typed and "_ADVAE_COMPLETE" in os.environ else arguments


def _say(message: str, code: int) -> int:
    """Print one line, whatever the message holds, and return the code."""
    print("advae: " + " ".join(message.split()), file=sys.stderr)
    return code


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def run() -> NoReturn:
    """Entry point of the ``advae`` script."""
    sys.exit(main())
