"""Compare ``autoattack`` with the authors' PyTorch implementation on the same exported networks.

    python -m tests.benchmarks.autoattack_reference --data-dir DIR --home DIR --clf REF --name undefended --eps 0.1
        --limit 1000 --peer-python VENV/bin/python [--scale 1000]

VENV needs torch and the package pyautoattack. The network's layers go into an .npz, from which the peer's process
builds them again; both attack the first test images. --scale multiplies the logits: plain cross-entropy then saturates,
which masks gradients. Each network's record replaces the one of before. The JSON goes to
tests/benchmarks/results/autoattack_reference.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advae.records import Manifest, RunRecipe
    from advae.registry import Registry
    from advae.threats import Pipeline

RESULTS = Path(__file__).parent / "results" / "autoattack_reference.json"

AGREES = 0.003
"""Largest difference of the two robust accuracies."""

BATCH = 250
"""Images of a batch of the peer: its own default."""

NORMS = {"linf": "Linf", "l2": "L2"}
"""Our name of a norm -> the peer's."""


# ---------------------------------------------------------------- the network


def export_layers(registry: Registry, manifest: Manifest) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the layers of a pipeline in their order, and their arrays by name. Raises ValueError for other layers."""
    described: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for layer in _list_layers(registry, manifest):
        config = layer.get_config()
        kind = type(layer).__name__
        if kind not in ("Dense", "Conv2D", "Flatten", "Reshape"):
            raise ValueError(f"layer {kind!r} is not exported")
        if kind == "Conv2D" and (config["padding"], layer.kernel.shape[:2]) not in (
            ("same", (3, 3)),
            ("same", (4, 4)),
            ("valid", (1, 1)),
        ):
            raise ValueError(f"a convolution of {layer.kernel.shape[:2]} with padding {config['padding']}")
        for part, values in zip(("kernel", "bias"), layer.get_weights(), strict=False):
            arrays[f"{len(described)}.{part}"] = values
        strides = config.get("strides", (1, 1))
        shape = config.get("target_shape")
        described.append(
            {"kind": kind, "activation": config.get("activation", "linear"), "stride": strides[0], "shape": shape}
        )
    return described, arrays


def _list_layers(registry: Registry, manifest: Manifest) -> Iterator[Any]:
    from advae.evaluation.pipelines import find_purifier, load_purifier, read_weights
    from advae.models import layers
    from advae.models.classifiers import CLASSIFIERS

    purifier = find_purifier(registry, manifest)
    if purifier is not None:
        restored = load_purifier(registry, purifier)
        if restored.clips or restored.samples or restored.encode is None or restored.decode is None:
            raise ValueError("only a purifier of plain layers is exported")
        yield from restored.encode.layers
        yield from restored.decode.layers
    recipe, _ = manifest.as_classifier()
    network = CLASSIFIERS[recipe.model].describe(recipe).build(recipe.seed)  # type: ignore[attr-defined]
    layers.put_weights((network,), read_weights(registry, manifest, recipe))
    yield from network.layers


# ---------------------------------------------------------------- ours


def measure_ours(pipeline: Pipeline, recipe: RunRecipe, x: Any, y: Any) -> dict[str, Any]:
    """Return robust accuracy, that after each attack, and the seconds of ``autoattack``, tracing included."""
    from advae.evaluation.evaluate import evaluate
    from advae.threats import THREATS

    begun, spent = time.perf_counter(), time.process_time()
    found = evaluate(THREATS["adaptive"].view(pipeline), recipe, x, y).metrics.results[0]
    after = {f"{one.attack} {one.loss or ''}".strip(): one.accuracy for one in found.members or ()}
    return {"accuracy": found.accuracy, "after": after, **_count_seconds(begun, spent)}


def _count_seconds(begun: float, spent: float) -> dict[str, float]:
    """Return the seconds since ``begun`` and the processor seconds since ``spent``."""
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(time.process_time() - spent, 1),
    }


def describe_attack(manifest: Manifest, norm: str, eps: float) -> RunRecipe:
    """Return the recipe of ``autoattack`` on a classifier."""
    from advae.requests import AttackRequest
    from advae.workflows.counterparts import PipelineRecipes
    from advae.workflows.run_recipes import prepare_run

    recipe = manifest.as_classifier()[0].model_copy(update={"autoencoder": None})
    request = AttackRequest(method="autoattack", threat="adaptive", eps=(eps,), norm=norm)
    return prepare_run(PipelineRecipes(recipe), request, n_test=1, find_counterpart=lambda other: other.id).recipe


# ---------------------------------------------------------------- the peer, in a process without advae


def run_peer(path: str) -> None:
    """Print the peer's results on an exported network as JSON."""
    import logging

    import numpy as np
    import torch
    from pyautoattack import AutoAttack

    with np.load(path, allow_pickle=False) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    settings = json.loads(str(given["settings"]))
    model = build_in_torch(settings["layers"], given, settings["scale"])
    x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])
    side = round(x.shape[1] ** 0.5)
    said: list[str] = []
    log = logging.getLogger("auto-attack")
    log.setLevel(logging.DEBUG)
    log.addHandler(_Collector(said))
    attack = AutoAttack(model, norm=NORMS[settings["norm"]], eps=settings["eps"], seed=0, version="standard")
    begun, spent = time.perf_counter(), time.process_time()
    x_adv, _ = attack.run_standard_evaluation(x.reshape(-1, 1, side, side), y, batch_size=BATCH)
    seconds = _count_seconds(begun, spent)
    with torch.no_grad():
        accuracy = float((model(x_adv).argmax(1) == y).float().mean())
        clean = model(x.reshape(-1, 1, side, side))
    words = [line.removeprefix("robust accuracy after ").split() for line in said if "accuracy after" in line]
    after = {name.rstrip(":").lower(): float(share.rstrip("%")) / 100 for name, share, *_ in words}
    found = {"accuracy": accuracy, "after": after, **seconds, "torch": torch.__version__}
    print(json.dumps(found | {"clean_logits": clean[:4].tolist(), "warnings": [w for w in said if "Warning" in w]}))


def build_in_torch(layers: list[dict[str, Any]], arrays: dict[str, Any], scale: float) -> Any:
    """Return images (n, 1, h, w) -> logits times scale, as a torch module, from exported layers."""
    import torch
    from torch import nn
    from torch.nn import functional

    activations = {
        "linear": lambda z: z,
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "softplus": functional.softplus,
        "exponential": torch.exp,
        "elu": functional.elu,
        "leaky_relu": lambda z: functional.leaky_relu(z, 0.2),
    }
    weights = {name: torch.from_numpy(values) for name, values in arrays.items() if name.endswith(("kernel", "bias"))}

    class Exported(nn.Module):
        def forward(self, x: Any) -> Any:
            z = x.flatten(1)
            for i, layer in enumerate(layers):
                kernel, bias = weights.get(f"{i}.kernel"), weights.get(f"{i}.bias")
                if layer["kind"] == "Reshape":
                    z = z.reshape(-1, *layer["shape"]).permute(0, 3, 1, 2)
                elif layer["kind"] == "Flatten":
                    z = z.permute(0, 2, 3, 1).flatten(1)
                elif layer["kind"] == "Dense":
                    z = activations[layer["activation"]](z @ kernel + bias)
                else:
                    if kernel is not None and kernel.shape[0] == 3:
                        # Keras pads an even side for a stride of 2 at its end only.
                        z = functional.pad(z, (0, 1, 0, 1) if layer["stride"] == 2 else (1, 1, 1, 1))
                    elif kernel is not None and kernel.shape[0] == 4:
                        # With a stride of 2 an even side is padded by one on each side.
                        z = functional.pad(z, (1, 1, 1, 1))
                    z = functional.conv2d(z, kernel.permute(3, 2, 0, 1), bias, stride=layer["stride"])
                    z = activations[layer["activation"]](z)
            return scale * z

    return Exported().eval()


class _Collector:
    """A logging handler that keeps the lines."""

    level = 0

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def handle(self, record: Any) -> None:
        self.lines.append(record.getMessage())


# ---------------------------------------------------------------- both


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Return the record of one network: what both found, and the difference in points."""
    import dataclasses

    import numpy as np
    import tensorflow as tf

    from advae.datasets.load import load_dataset
    from advae.evaluation.pipelines import load_pipeline
    from advae.registry import Registry

    registry = Registry(options.home)
    manifest = registry.resolve(options.clf, "clf")
    recipe = describe_attack(manifest, options.norm, options.eps)
    data = load_dataset(recipe.dataset.name, data_dir=options.data_dir)
    x, y = data.x_test[: options.limit], data.y_test[: options.limit].astype(np.int64)
    pipeline = load_pipeline(registry, manifest)
    classify = pipeline.classify
    pipeline = dataclasses.replace(pipeline, classify=lambda images: options.scale * classify(images))
    layers, arrays = export_layers(registry, manifest)
    settings = {"layers": layers, "scale": options.scale, "norm": options.norm, "eps": options.eps}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        np.savez(path, x=x, y=y, settings=np.array(json.dumps(settings)), **arrays)
        command = [options.peer_python, __file__, "--peer-run", str(path)]
        peer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    own = np.array(pipeline.defend(tf.constant(x[:4]), 0))
    np.testing.assert_allclose(peer.pop("clean_logits"), own, rtol=1e-3, atol=1e-3 * abs(own).max())
    ours = measure_ours(pipeline, recipe, x, y)
    difference = ours["accuracy"] - peer["accuracy"]
    kept = {name: getattr(options, name) for name in ("norm", "eps", "scale")}
    kept |= {"n": len(x), "dataset": recipe.dataset.name, "model": manifest.as_classifier()[0].model}
    return kept | {"ours": ours, "reference": peer, "difference": difference, "agrees": abs(difference) <= AGREES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-run", metavar="NPZ")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--clf")
    parser.add_argument("--name")
    parser.add_argument("--norm", choices=[*NORMS], default="linf")
    parser.add_argument("--eps", type=float)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.peer_run:
        run_peer(options.peer_run)
        return
    from tests.benchmarks.machine import describe_machine

    found = compare(options)
    records = json.loads(options.out.read_text()) if options.out.exists() else {"networks": {}}
    records |= describe_machine()
    records["networks"][options.name] = found
    options.out.write_text(json.dumps(records, indent=2, sort_keys=True) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
