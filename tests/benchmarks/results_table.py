"""Write the README's results tables from the record: ``python -m tests.benchmarks.results_table``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.benchmarks.paper_numbers import KINDS, LINEAR, RESULTS, TARGETS, THREATS, Target, find_accuracy

README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
DATASETS = ("mnist", "fashion-mnist")
NAMES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}

Rows = list[dict[str, Any]]


def percent(rate: float | None) -> str:
    return "not run" if rate is None else f"{100 * rate:.2f}"


def render_targets(rows: Rows) -> list[str]:
    """Return the paper's figures beside ours; a bound that is missed says by how much."""
    lines = [
        "| | dataset | ours, % | to reach, % | |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for target in TARGETS:
        ours = find_accuracy(rows, target)
        sign = "≥" if target.at_least else "≤"
        verdict = "" if ours is None else "" if target.is_met_by(ours) else f"missed by {miss(target, ours)} points"
        what = describe(target)
        lines.append(
            f"| {what} | {NAMES[target.dataset]} | {percent(ours)} | {sign} {100 * target.bound:g} | {verdict} |"
        )
    return lines


def miss(target: Target, ours: float) -> str:
    return f"{100 * abs(ours - target.bound):.2f}"


def describe(target: Target) -> str:
    behind = "" if target.autoencoder == "none" else f" behind {target.autoencoder}"
    if target.attack == "none":
        return f"`{target.classifier}`{behind}, clean"
    if target.attack in LINEAR:
        return f"`{target.classifier}`{behind}, {target.attack} 50/255, `--no-clip`"
    return f"`{target.classifier}`{behind}, {target.attack} 0.3"


def render_threats(rows: Rows) -> list[str]:
    """Return what the network keeps under BIM at 0.3 behind each autoencoder, threat by threat."""
    lines = [
        f"| `nn` behind | dataset | clean | {' | '.join(f'`{threat}`' for threat in reversed(THREATS))} |",
        "| --- | --- | ---: |" + " ---: |" * len(THREATS),
    ]
    for dataset in DATASETS:
        for kind in KINDS:
            clean = find_accuracy(rows, Target(dataset, "nn", kind, "none", 0))
            cells = [percent(find_threat(rows, dataset, kind, threat)) for threat in reversed(THREATS)]
            lines.append(f"| {kind} | {NAMES[dataset]} | {percent(clean)} | {' | '.join(cells)} |")
    return lines


def find_threat(rows: Rows, dataset: str, kind: str, threat: str) -> float | None:
    wanted = {"dataset": dataset, "classifier": "nn", "autoencoder": kind, "attack": "bim", "threat": threat, "seed": 0}
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    return float(found[0]["accuracy"]) if found else None


def render_seeds(rows: Rows) -> list[str]:
    """Return clean accuracy of the headline networks seed by seed, and how many networks collapsed."""
    trained = [row for row in rows if row.get("classifier") == "nn" and row["attack"] == "none"]
    seeds = sorted({row["seed"] for row in trained})
    lines = [
        f"| `nn`, clean, % | dataset | {' | '.join(f'seed {seed}' for seed in seeds)} |",
        "| --- | --- |" + " ---: |" * len(seeds),
    ]
    for dataset in DATASETS:
        for kind in ("none", "vanilla"):
            cells = [percent(find_accuracy(rows, Target(dataset, "nn", kind, "none", 0), seed)) for seed in seeds]
            behind = "without autoencoder" if kind == "none" else f"behind {kind}"
            lines.append(f"| {behind} | {NAMES[dataset]} | {' | '.join(cells)} |")
    collapsed = sum(row["classes_predicted"] == 1 for row in trained)
    diverged = sum("diverged" in row for row in rows)
    return [
        *lines,
        "",
        f"Of {len(trained)} networks trained here, {collapsed} collapsed to one class and {diverged} diverged.",
    ]


def render(document: dict[str, Any]) -> str:
    """Return the README's results block, markers included."""
    rows, versions = document["rows"], document["versions"]
    parts = [
        BEGIN,
        f"35 epochs, seed 0, 10,000 test images, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}, "
        f"scikit-learn {versions['scikit-learn']}, {document['cores']} cores. The bounds are the paper's own figures "
        "or near them; attacked accuracy must be at most the bound, so that our attacks are at least as strong.",
        "",
        *render_targets(rows),
        "",
        "What the network keeps under BIM at eps 0.3 (10 steps), in %, depending on what the attacker knows. The lower "
        "the number on the right, the less the defence is worth; everything to the left of it is secrecy:",
        "",
        *render_threats(rows),
        "",
        *render_seeds(rows),
        END,
    ]
    return "\n".join(parts)


def find_block(readme: str) -> str:
    """Return the block that stands in the README. Raises ValueError where there is none."""
    found = re.search(re.escape(BEGIN) + r".*?" + re.escape(END), readme, re.DOTALL)
    if not found:
        raise ValueError(f"README.md has no block {BEGIN} ... {END}")
    return found.group()


if __name__ == "__main__":
    text = README.read_text()
    README.write_text(text.replace(find_block(text), render(json.loads(RESULTS.read_text()))))
