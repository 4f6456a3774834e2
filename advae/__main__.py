"""``python -m advae``: the same as the ``advae`` command."""

import sys

from advae.cli import main

if __name__ == "__main__":
    sys.exit(main())
