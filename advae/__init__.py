"""Measure how robust a classifier with an autoencoder in front of it is against adversarial examples.

For notebooks: ``open_registry`` gives what was trained, ``evaluate`` the robust accuracy of any model, ``Purifier`` an
autoencoder as scikit-learn's transformer. Nothing heavy is imported before one of them is used.
"""

from __future__ import annotations

# The module typing would be searched in the current folder, which `python -m advae` has not left yet.
TYPE_CHECKING = False

__all__ = ["Evaluation", "Purifier", "evaluate", "open_registry"]

if TYPE_CHECKING:
    from advae.notebooks.evaluating import evaluate
    from advae.notebooks.evaluation_result import Evaluation
    from advae.notebooks.homes import open_registry
    from advae.notebooks.purifier_transformer import Purifier

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # Only what is asked for is imported: Purifier needs scikit-learn at once, the others do not.
        if name == "open_registry":
            from advae.notebooks.homes import open_registry

            return open_registry
        if name == "evaluate":
            from advae.notebooks.evaluating import evaluate

            return evaluate
        if name == "Evaluation":
            from advae.notebooks.evaluation_result import Evaluation

            return Evaluation
        if name == "Purifier":
            from advae.notebooks.purifier_transformer import Purifier

            return Purifier
        raise AttributeError(f"module 'advae' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
