"""``python -m advae``, and the entry point of the ``advae`` command.

Imports next to nothing at first, so that Ctrl-C while the rest is imported ends quietly too.
"""

import os
import sys


def run() -> None:
    """Run the command line and exit with its code."""
    try:
        _open_missing_streams()
        from advae.cli import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    _empty_streams()
    sys.exit(code)


def _empty_streams() -> None:
    """Flush stdout and stderr; what cannot be written is dropped, or Python would exit with 120 for it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_missing_streams() -> None:
    """Give a process that was started with closed streams (``>&-``) the null device in their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


if __name__ == "__main__":
    run()
