"""Compare ``certify --method crown`` with ``ibp`` on one classifier: certified accuracy, and seconds an image.

    python -m tests.benchmarks.crown --data-dir DIR --home DIR --clf REF --eps E[,E...] [--limit N]

Each classifier's record replaces the one of before. Seconds are processor time without compilation: of ibp over all
images, of crown over those that ibp leaves, which are the only ones that it is asked for. The JSON goes to
tests/benchmarks/results/crown.json; ``render`` makes a table of it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from advae.backend import start_tensorflow
from advae.batching import apply
from advae.certificates import Images
from advae.certificates.backward_bounds import MOST_IMAGES, compile_backward_proof
from advae.certificates.interval_bounds import Prove, compile_proof
from advae.certificates.tracing_pipelines import trace_pipeline
from advae.evaluation.pipelines import load_pipeline
from advae.registry import Registry
from advae.workflows import Workspace
from advae.workflows.classifier_choice import Target, choose_classifier
from tests.benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "crown.json"

Chosen = np.ndarray[Any, np.dtype[np.bool_]]


def time_proof(prove: Prove, images: Images, chosen: Chosen, eps: float) -> tuple[Chosen, float]:
    """Return which of the chosen images are proved, bool (n,), and processor seconds for each that was tried."""
    rows, proved = chosen.nonzero()[0], np.zeros(len(chosen), bool)
    start = time.process_time()
    for first in range(0, len(rows), MOST_IMAGES):
        part = rows[first : first + MOST_IMAGES]
        proved[part] = prove(images.x[part], images.y[part], eps)
    return proved, (time.process_time() - start) / max(1, len(rows))


def measure(workspace: Workspace, target: Target, eps: tuple[float, ...], limit: int) -> dict[str, Any]:
    """Return the record of one classifier."""
    start_tensorflow()
    dataset, pipeline = target.load(), load_pipeline(workspace.registry, target.classifier)
    images = Images(dataset.x_test[:limit], dataset.y_test[:limit], np.arange(limit))
    function = trace_pipeline(pipeline, images)
    easy, hard = compile_proof(function), compile_backward_proof(function)
    for prove in (easy, hard):
        prove(images.x[:1], images.y[:1], min(eps))
    right = apply(pipeline.defend, images.x).argmax(axis=1) == images.y
    rows = []
    for one in eps:
        by_intervals, seconds = time_proof(easy, images, np.ones(limit, bool), one)
        more, seconds_more = time_proof(hard, images, right & ~by_intervals, one)
        rows.append(
            {
                "eps": one,
                "ibp": float(by_intervals.mean()),
                "crown": float((by_intervals | more).mean()),
                "ibp_seconds": seconds,
                "crown_seconds": seconds_more,
                "tried": int((right & ~by_intervals).sum()),
            }
        )
    recipe = target.recipe
    purifier = workspace.registry.manifest(recipe.autoencoder).as_autoencoder()[0].type if recipe.autoencoder else None
    return {
        "id": target.classifier.id,
        "classifier": recipe.model,
        "purifier": purifier,
        "dataset": recipe.dataset.name,
        "n": limit,
        "clean": float(right.mean()),
        "radii": rows,
    }


def render(record: dict[str, Any]) -> str:
    """Return the table of the document."""
    head = ("pipeline", "dataset", "images", "clean, %", "eps", "ibp, %", "crown, %", "ibp, s", "crown, s")
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * (len(head) - 2)}"]
    for row in record["rows"]:
        behind = f" behind {row['purifier']}" if row["purifier"] else ", undefended"
        start = (f"`{row['classifier']}`{behind}", row["dataset"], f"{row['n']:,}", f"{100 * row['clean']:.1f}")
        for found in row["radii"]:
            shares = (f"{found['eps']:g}", f"{100 * found['ibp']:.1f}", f"{100 * found['crown']:.1f}")
            tried = f"{found['crown_seconds']:.2f}" if found["tried"] else ""
            cells = (*start, *shares, f"{found['ibp_seconds']:.3f}", tried)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the options, measure one classifier, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--clf", required=True)
    parser.add_argument("--eps", required=True, help="radii, with commas")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace = Workspace(Registry(options.home), options.data_dir, tell=lambda line: print(line, flush=True))
    target = choose_classifier(workspace, options.clf, None)
    row = measure(workspace, target, tuple(map(float, options.eps.split(","))), options.limit)
    print(json.dumps(row), flush=True)
    rows = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    rows = [*(one for one in rows if one["id"] != row["id"]), row]
    options.out.write_text(json.dumps(describe_machine() | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
