"""Tests and benchmarks. What they start is in safe-path mode: a Python imports these files, and none where it runs."""

import os
from pathlib import Path

os.environ["PYTHONSAFEPATH"] = "1"
_places = (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _places))
