"""``python -m advae``, and the entry point of the ``advae`` command.

The first imports are small, so that Ctrl-C while the rest is imported also ends without a traceback.
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
    """Hide Python's warnings here and in child processes, and do not let the environment turn them into errors.

    Warnings are for programmers, stderr is for users. ``python -X dev`` shows them.
    """
    if not sys.flags.dev_mode:
        os.environ["PYTHONWARNINGS"] = "ignore"
        sys.warnoptions.clear()
        warnings.simplefilter("ignore")


def _empty_streams() -> None:
    """Flush stdout and stderr. Drop output that cannot be written, because Python would exit with 120 for it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_missing_streams() -> None:
    """Open the null device in place of each standard stream that was closed at the start (``>&-``).

    In place of stdout it is opened for reading only: lost data is an error, as on a full disk.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_RDWR)):
        try:
            os.fstat(descriptor)
        except OSError:
            # os.open returns the lowest free descriptor, which is this one.
            os.open(os.devnull, flags)
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            # It stays open until the program ends.
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _leave_current_folder() -> None:
    """Remove the current folder, which ``-m`` puts first, from the import path: its files are not part of advae.

    Where the package itself is in that folder, move the folder to the end, after the installed packages.
    """
    if sys.flags.safe_path:
        return
    folder = sys.path.pop(0)
    # Without pathlib, which may still be a file of the current folder.
    if os.path.realpath(folder) == os.path.dirname(os.path.dirname(os.path.realpath(__file__))):  # noqa: PTH120
        sys.path.append(folder)


if __name__ == "__main__":
    _leave_current_folder()
    run()
