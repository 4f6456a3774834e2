"""Attacks on codes in a report: how much perturbation steers each autoencoder's reconstruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.errors import printable
from advae.records import Status
from advae.records.pipeline_names import name_purifier
from advae.report.analysis.tables import Findings, Ids, TableRecord
from advae.report.data.code_attack_reader import SteeredCode
from advae.report.data.grouping import group_by
from advae.report.wording import format_area, mark_imported

HARDER = "A larger area means a code that is harder to steer: more perturbation is needed for the same change."
"""What a reader must know of an area."""

MOST_LISTED_CODES = 4
"""Autoencoders that an answer lists; the table has all of them."""


class CodeAttackRecord(TableRecord):
    """An attack on the code of one autoencoder. It is no accuracy: no classifier takes part in it."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    autoencoder: str
    """The autoencoder in words: its kind, and its seed other than 0."""
    autoencoder_id: str
    """The autoencoder's id in the registry."""
    code_attack: str
    """The attack's id in the registry."""
    optimizer: str
    """What minimises, as `advae attack-code --optimizer` takes it."""
    steps: int
    """Iterations for each weight; of l-bfgs-b at most."""
    points: int
    """Weights of the perturbation that were tried on each pair, from 2^-20 to 2^20."""
    target: str | None
    """Name of the class of all target images; null where it is any class but the original's."""
    n: int
    """Pairs of images that have a curve."""
    left_out: int
    """Pairs without a curve: the reconstructions of the two images are equally far from the target."""
    area: float | None
    """Mean area under the distortion-distortion curve, over the relative distortion from 0 to 1; null where no pair has
    a curve. A larger area means a code that is harder to steer; the identity has about 0.5."""
    area_interval: tuple[float, float] | None
    """95 % confidence interval of the mean area (Student's t); null where n is below 2."""
    area_deviation: float | None
    """Standard deviation of the area over the pairs; null where n is below 2."""
    half_distortion: float | None
    """Mean relative distortion at which half of the way to the target is made; null where no pair gets there."""
    half_reached: int
    """Pairs that get there within a relative distortion of 1."""
    checks: dict[str, Status]
    """Result of each check on the attack, by its name."""
    imported: Ids
    """Ids of what came from a bundle; empty where all was made here."""

    @property
    def failures(self) -> int:
        """How many checks fail."""
        return sum(status == "FAIL" for status in self.checks.values())


def list_code_attacks(findings: Findings) -> Iterator[CodeAttackRecord]:
    """Yield the record of each attack on a code."""
    yield from map(_describe, findings.comparison.code_attacks)


def name_attacked(attack: SteeredCode) -> str:
    """Return the attacked autoencoder in words: its kind, and its seed unless 0."""
    recipe = attack.autoencoder_recipe
    seed = f", seed {recipe.seed}" if recipe.seed else ""
    return f"{name_purifier(recipe, raw=False, protects=recipe.protects)}{seed}"


def _describe(attack: SteeredCode) -> CodeAttackRecord:
    recipe, metrics = attack.recipe, attack.metrics
    names = ("n", "left_out", "area", "area_interval", "area_deviation", "half_distortion", "half_reached")
    return CodeAttackRecord(
        dataset=attack.dataset,
        autoencoder=name_attacked(attack),
        autoencoder_id=attack.autoencoder.id,
        code_attack=attack.id,
        optimizer=recipe.optimizer,
        steps=recipe.steps,
        points=recipe.points,
        target=None if recipe.target is None else printable(recipe.dataset.classes[recipe.target]),
        checks={result.check: result.status for result in metrics.checks},
        imported=attack.imported,
        **{name: getattr(metrics, name) for name in names},
    )


def title_code_attacks(records: Sequence[CodeAttackRecord]) -> str:
    """Return the finding on a dataset of which only codes were attacked."""
    areas = [one.area for one in records if one.area is not None]
    count = len({one.autoencoder_id for one in records})
    whose = "The code of one autoencoder was" if count == 1 else f"The codes of {count} autoencoders were"
    if not areas:
        return f"{whose} attacked: no pair of images has a curve"
    low, high = format_area(min(areas)), format_area(max(areas))
    return f"{whose} attacked: mean area {low if low == high else f'{low} to {high}'}, no accuracy"


def answer_code_attacks(findings: Findings) -> Iterator[str]:
    """Yield a line for each dataset: the area of each attacked code, the largest first, and what it means."""
    records = findings.collect(list_code_attacks)
    for dataset, several in group_by(records, lambda one: one.dataset).items():
        ordered = sorted(several, key=lambda one: -1.0 if one.area is None else -one.area)
        listed = "; ".join(map(_write_area, ordered[:MOST_LISTED_CODES]))
        more = len(ordered) - MOST_LISTED_CODES
        rest = f"; the table has {more} more" if more > 0 else ""
        yield f"Attacks on the code, {dataset}: {listed}{rest}. {HARDER} It is no accuracy."


def _write_area(record: CodeAttackRecord) -> str:
    fails = f", {record.failures} {'check fails' if record.failures == 1 else 'checks fail'}" if record.failures else ""
    where = f"{record.n} pairs{fails}{mark_imported(record.imported)}"
    return f"{record.autoencoder} has a mean area of {format_area(record.area, record.area_interval)} ({where})"
