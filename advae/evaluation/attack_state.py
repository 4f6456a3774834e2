"""What an attack has finished, saved from time to time, so that an interrupted attack continues after its last batch.

A resumed attack has the batches of an uninterrupted one: a matrix product rounds by its shape, and a random purifier
has one draw for each batch, so that smaller batches would give other numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from advae import batching
from advae.evaluation.run_artifacts import SCORE_COLUMNS, EpsScores, SavedSamples
from advae.interrupts import delay_interrupts
from advae.models.training_progress import NO_CHECKPOINT, TrainingCheckpoint
from advae.records import MemberResult, RunRecipe, entry_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import IntArray

    Arrays = dict[str, np.ndarray[Any, Any]]

FORM = 1
"""Raised when other arrays are saved, so that those of another version of advae are not read."""

UNSAVED_SECONDS = 10.0
"""Seconds of work, apart from one batch, that an interruption without a signal loses at most."""

SAVE_COST = 50
"""Saving takes at most one part in so many of the time of the attack."""

IDENTITY = "attack"
"""The array that says of which attack the others are."""

Pack = Callable[[], "Arrays"]
"""() -> what is finished at an eps, as arrays."""


class AttackState:
    """The finished eps of an attack, and the finished batches of the eps that is being attacked.

    recipe: of the run; checkpoint: where both are saved; tell: takes a line for the user.
    """

    def __init__(
        self,
        recipe: RunRecipe,
        checkpoint: TrainingCheckpoint = NO_CHECKPOINT,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.recipe, self.checkpoint, self.tell = recipe, checkpoint, tell
        self._identity = _identify(recipe)
        self._saved, self._cost = time.monotonic(), 0.0
        self._arrays: Arrays = {}
        self._pack: tuple[float, Pack] | None = None

    def load(self) -> bool:
        """Read what an interrupted attack saved; return whether there was something of this attack."""
        import numpy as np

        arrays = self.checkpoint.load()
        if arrays is None:
            return False
        if not np.array_equal(arrays.pop(IDENTITY, np.zeros(0)), self._identity):
            self.tell(f"what was saved of {entry_id(self.recipe)} is of another attack: the work starts again")
            return False
        self._arrays = arrays
        return True

    def find(self, eps: float, *, finished: bool) -> Arrays:
        """Return the arrays of an eps that is finished, or that was begun; empty where there are none."""
        name = self._name(eps, finished=finished)
        return {key.removeprefix(name): array for key, array in self._arrays.items() if key.startswith(name)}

    def discard(self, eps: float) -> None:
        """Forget what was saved of an eps, because it does not fit, and say so."""
        self.tell(f"what was saved of {entry_id(self.recipe)} at eps {eps:.4g} does not fit: it is attacked again")
        for finished in (False, True):
            self._drop(eps, finished=finished)

    def finish(self, eps: float, arrays: Arrays) -> None:
        """Keep the arrays of an eps that is finished in place of those of its batches."""
        with delay_interrupts():
            self._pack = None
            self._drop(eps, finished=False)
            self._arrays |= {self._name(eps, finished=True) + key: array for key, array in arrays.items()}
            self.save()

    def keep(self, eps: float, pack: Pack) -> None:
        """Keep what is finished of an eps that is being attacked; save it where the last time was long ago."""
        self._pack = eps, pack
        self.save()

    def save(self, *, now: bool = False) -> None:
        """Save what is finished; unless ``now`` is on, only where that takes a small part of the time."""
        since = time.monotonic() - self._saved
        if self.checkpoint is NO_CHECKPOINT or not (now or since > max(UNSAVED_SECONDS, SAVE_COST * self._cost)):
            return
        start = time.monotonic()
        arrays = dict(self._arrays)
        if self._pack:
            eps, pack = self._pack
            name = self._name(eps, finished=False)
            arrays |= {name + key: array for key, array in pack().items()}
        self.checkpoint.save(arrays | {IDENTITY: self._identity})
        self._saved = time.monotonic()
        self._cost = self._saved - start

    @property
    def empty(self) -> bool:
        """Whether nothing is finished yet."""
        return not self._arrays and self._pack is None

    def _name(self, eps: float, *, finished: bool) -> str:
        return f"{'finished' if finished else 'begun'}-{self.recipe.eps.index(eps)}-"

    def _drop(self, eps: float, *, finished: bool) -> None:
        name = self._name(eps, finished=finished)
        self._arrays = {key: array for key, array in self._arrays.items() if not key.startswith(name)}


def _identify(recipe: RunRecipe) -> NDArray[np.uint8]:
    """Return what the arrays of an attack begin with: its id, the form, and the size of a batch."""
    import numpy as np

    return np.frombuffer(f"{entry_id(recipe)} {FORM} {batching.BATCH}".encode(), np.uint8)


def has_form(arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether arrays have all the expected names, each with its shape; further arrays are allowed."""
    return all(name in arrays and arrays[name].shape == shape for name, shape in expected.items())


@dataclass(frozen=True)
class Packing:
    """How the scores of some rows at one eps are stored as arrays, and read again."""

    rows: IntArray
    """The rows, int64, rising."""
    saved: SavedSamples
    """The samples whose images the scores have."""
    pixels: int
    """Number of values of an image."""

    def pack(self, scores: EpsScores) -> Arrays:
        """Return the scores as arrays."""
        import numpy as np

        columns = {name: getattr(scores, name) for name in SCORE_COLUMNS}
        members = scores.members or ()
        return {name: array for name, array in columns.items() if array is not None} | {
            "range": np.array(scores.pixel_range),
            "finite": np.array([scores.finite]),
            **pack_members(members),
        }

    def read(self, arrays: Arrays, attacks: tuple[RunRecipe, ...]) -> EpsScores | None:
        """Return the scores that arrays hold; None where they do not fit. attacks: of an ensemble, or one."""
        import numpy as np

        m = len(self.rows)
        images, shown = (int(np.isin(self.rows, of).sum()) for of in (self.saved.images, self.saved.shown))
        expected = {
            **dict.fromkeys(("predictions", "linf", "l2"), (m,)),
            "x_adv": (images, self.pixels),
            "seen": (shown, self.pixels),
            "range": (2,),
            "finite": (1,),
        }
        members = read_members(arrays, attacks)
        if not has_form(arrays, expected) or len(members) != (len(attacks) if len(attacks) > 1 else 0):
            return None
        low, high = arrays["range"].tolist()
        columns: dict[str, Any] = {name: arrays.get(name) for name in SCORE_COLUMNS}
        scores = EpsScores(**columns, targets=None, pixel_range=(low, high), finite=bool(arrays["finite"][0]))
        return replace(scores, members=members or None)


def pack_members(members: tuple[MemberResult, ...] | list[MemberResult]) -> Arrays:
    """Return what the members of an ensemble added, as arrays."""
    import numpy as np

    return {
        "attacked-by": np.array([one.attacked for one in members], np.int64),
        "accuracy-after": np.array([one.accuracy for one in members], np.float64),
    }


def read_members(arrays: Arrays, attacks: tuple[RunRecipe, ...]) -> tuple[MemberResult, ...]:
    """Return what the first members of an ensemble added, empty where the arrays do not say. attacks: of all."""
    counts, shares = arrays.get("attacked-by"), arrays.get("accuracy-after")
    if counts is None or shares is None or counts.shape != shares.shape or len(counts) > len(attacks):
        return ()
    if not ((counts >= 0) & (shares >= 0) & (shares <= 1)).all():
        return ()
    return tuple(
        MemberResult(attack=one.method, loss=one.loss, attacked=count, accuracy=share)
        for one, count, share in zip(attacks, counts.tolist(), shares.tolist(), strict=False)
    )
