"""``advae --version``: of the program, and with ``-v`` of all that decides a result, and where that is computed."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

from advae.cli.stdout import write


def put_version(*, verbose: bool, as_json: bool) -> None:
    """Print the version; verbose: also the libraries' and Python's, and the devices that TensorFlow uses."""
    document: dict[str, Any] = {"advae": metadata.version("advae")}
    if verbose:
        from advae.backend import list_devices
        from advae.registry import library_versions

        document = {**document, **library_versions(), "devices": list_devices()}
    if as_json:
        write(json.dumps(document, indent=2) + "\n")
        return
    devices = document.pop("devices", [])
    write("".join(f"{line}\n" for line in [*(f"{name} {text}" for name, text in document.items()), *devices]))
