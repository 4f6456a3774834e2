"""``python -m advae``, and the entry point of the ``advae`` command.

Imports next to nothing at first, so that Ctrl-C while the rest is imported ends quietly too.
"""

import os
import sys
import warnings


def run() -> None:
    """Run the command line and exit with its code."""
    try:
        _open_missing_streams()
        _drop_warnings()
        from advae.cli import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    _empty_streams()
    sys.exit(code)


def _drop_warnings() -> None:
    """Show no warning of Python's, here and in processes that are started, nor let the environment make it an error.

    They tell programmers of our libraries and of us, and stderr tells people. ``python -X dev`` shows them.
    """
    if not sys.flags.dev_mode:
        os.environ["PYTHONWARNINGS"] = "ignore"
        sys.warnoptions.clear()
        warnings.simplefilter("ignore")


def _empty_streams() -> None:
    """Flush stdout and stderr; what cannot be written is dropped, or Python would exit with 120 for it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_missing_streams() -> None:
    """Give a process that was started with closed streams (``>&-``) the null device in their place.

    In the place of stdout it cannot be written to: lost data is an error, as on a full disk.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_RDWR)):
        try:
            os.fstat(descriptor)
        except OSError:
            # It gets the lowest number that is free, which is this one.
            os.open(os.devnull, flags)
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _leave_current_folder() -> None:
    """Take the folder that ``-m`` has put before all others out of what is imported from: its files are not ours.

    Where the package itself is imported from there, the folder comes last: what is installed comes before it.
    """
    if sys.flags.safe_path:
        return
    folder = sys.path.pop(0)
    if os.path.realpath(folder) == os.path.dirname(os.path.dirname(os.path.realpath(__file__))):  # noqa: PTH120
        sys.path.append(folder)


if __name__ == "__main__":
    _leave_current_folder()
    run()
