"""Write the README's results tables from the records: ``python -m tests.benchmarks.results_table``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advae.experiments import EXPLANATIONS
from advae.models.layers import PAPER_ACTIVATIONS
from tests.benchmarks import performance, robust
from tests.benchmarks.ladder import RESULTS as LADDER_RESULTS
from tests.benchmarks.reproduction import ACTIVATIONS_ON, RESULTS
from tests.benchmarks.seeds import RESULTS as SEEDS_RESULTS

README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
LADDER_BEGIN, LADDER_END = "<!-- ladder: begin -->", "<!-- ladder: end -->"
NAMES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
KINDS = ("none", "vanilla", "sparse", "denoising", "variational")

NEEDS_EXPLAINING = 0.05
"""A difference to the paper from which on the README says why."""

Document = dict[str, Any]


def load_records() -> tuple[Document, Document, Document]:
    """Return the records of the reproduction, of the seeds and of the ladder."""
    reproduction, seeds, ladder = (json.loads(path.read_text()) for path in (RESULTS, SEEDS_RESULTS, LADDER_RESULTS))
    return reproduction, seeds, ladder


def percent(rate: float | None) -> str:
    return "not run" if rate is None else f"{100 * rate:.2f}"


def behind(kind: str) -> str:
    return "without autoencoder" if kind == "none" else f"behind {kind}"


def list_paper(document: Document) -> list[Document]:
    """Return the paper's accuracies with ours, by figure."""
    entries = [entry for one in document["datasets"].values() for entry in one["paper"]]
    return sorted(entries, key=lambda entry: int(entry["figure"]))


def is_lost(document: Document, entry: Document) -> bool:
    """Whether the paper's protocol could not be followed, since the training of its pipeline diverged."""
    one = {"classifier": entry["classifier"], "autoencoder": entry["autoencoder"]}
    lost = document["datasets"][entry["dataset"]]["diverged"]
    return any(one.items() <= pipeline.items() and pipeline["rescale"] == "none" for pipeline in lost)


def is_far(document: Document, entry: Document) -> bool:
    """Whether the README has to say why ours is another."""
    return is_lost(document, entry) or abs(entry["difference"]) > NEEDS_EXPLAINING


def render_paper(document: Document) -> Iterator[str]:
    """Yield the paper beside ours, every figure, and why what differs does."""
    yield "| figure | dataset | what was measured | paper | its protocol, ours | difference | adaptive, ours |"
    yield "| ---: | --- | --- | ---: | ---: | ---: | ---: |"
    for entry in list_paper(document):
        yield " | ".join(("| " + str(entry["figure"]), *describe_entry(document, entry))) + " |"
    yield ""
    yield "Why figures differ by more than five points:"
    yield ""
    far = {entry["figure"] for entry in list_paper(document) if is_far(document, entry)}
    for figures, sentence in EXPLANATIONS.items():
        shown = [str(figure) for figure in figures if figure in far]
        if shown:
            yield f"- {', '.join(shown)}: {sentence}"


def describe_entry(document: Document, entry: Document) -> Iterator[str]:
    """Yield the cells of one accuracy of the paper, without its figure."""
    lost = is_lost(document, entry)
    attack = "clean" if entry["attack"] == "none" else f"{entry['attack']} {describe_eps(entry)}"
    yield NAMES[entry["dataset"]]
    yield f"`{entry['classifier']}` {behind(entry['autoencoder'])}, {attack}"
    yield percent(entry["accuracy"])
    yield "diverged" if lost else percent(entry["protocol"].get("accuracy"))
    yield "" if lost else f"{100 * entry['difference']:+.2f}".replace("-", "\N{MINUS SIGN}")
    yield percent(entry["adaptive"].get("accuracy"))


def describe_eps(entry: Document) -> str:
    return "50/255" if entry["classifier"] == "lr" else f"{entry['eps']:g}"


def render_threats(document: Document) -> Iterator[str]:
    """Yield what the network keeps at the paper's budget behind each autoencoder, attacker by attacker."""
    yield "| `nn` | dataset | clean | `oblivious` | `adaptive` | `adaptive`, PGD | raw output, `encoded` |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for dataset, one in document["datasets"].items():
        for kind in KINDS:
            clean = find_rows(one, kind, "bim", "adaptive")[0]["clean_accuracy"]
            attacks = (("bim", "oblivious"), ("bim", "adaptive"), ("pgd", "adaptive"))
            cells = [percent(find_least(one, kind, method, threat)) for method, threat in attacks]
            raw = find_rows(one, kind, "bim", "encoded", raw=True)
            cells.append(percent(raw[0]["accuracy"]) if raw else "diverged")
            if kind == "none":
                # There is nothing to be ignorant of, and nothing to stand behind.
                cells[0] = cells[-1] = ""
            yield f"| {behind(kind)} | {NAMES[dataset]} | {percent(clean)} | {' | '.join(cells)} |"


def find_least(one: Document, kind: str, method: str, threat: str) -> float | None:
    """Return what the strongest run of a method leaves: of two lengths, the longer."""
    return min((row["accuracy"] for row in find_rows(one, kind, method, threat)), default=None)


def find_rows(one: Document, kind: str, method: str, threat: str, *, raw: bool = False) -> list[Document]:
    """Return the sides measured behind a kind of autoencoder, its raw output where asked for; ``none`` for none."""
    rescale = {"none": None, "variational": "none"}.get(kind, "none" if raw else "intensity")
    rows = [row for row in one["threats"] if (row["method"], row["threat"]) == (method, threat)]
    if kind == "none":
        return [row["without"] for row in rows if "without" in row][:1]
    return [row["with"] for row in rows if (row["autoencoder"], row["rescale"]) == (kind, rescale)]


def list_activations(document: Document, dataset: str) -> list[Document]:
    """Return the vanilla autoencoders of a dataset that were compared, the smallest squared error first."""
    networks = document["datasets"][dataset]["networks"]
    compared = [one for one in networks if (one["kind"], one["rescale"]) == ("vanilla", "intensity")]
    return sorted(compared, key=lambda one: float(one["test_mse"]))


def name_activations(network: Document) -> str:
    hidden = tuple(network["activations"][:3])
    return "the paper's mix" if hidden == PAPER_ACTIVATIONS[:3] else str(hidden[0])


def render_activations(document: Document) -> Iterator[str]:
    """Yield the loss and the squared error of autoencoders that differ in their activations only."""
    yield "| hidden activations | dataset | training loss | validation loss | squared error |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for dataset in ACTIVATIONS_ON:
        for network in list_activations(document, dataset):
            losses = f"{network['loss']:.2f} | {network['validation_loss']:.2f} | {network['test_mse']:.4f}"
            yield f"| {name_activations(network)} | {NAMES[dataset]} | {losses} |"


def judge_activations(document: Document) -> str:
    """Return where the mix that the paper chose stands among the activations compared, in words."""
    names = [name_activations(network) for network in list_activations(document, ACTIVATIONS_ON[0])]
    place = names.index("the paper's mix") + 1
    return f"Of {len(names)} the mix that the paper chose comes out in place {place}; the best is {names[0]}."


def render_seeds(document: Document) -> Iterator[str]:
    """Yield clean accuracy of the headline networks seed by seed."""
    rows = document["rows"]
    seeds = sorted({row["seed"] for row in rows})
    yield f"| `nn`, clean, % | dataset | {' | '.join(f'seed {seed}' for seed in seeds)} |"
    yield "| --- | --- |" + " ---: |" * len(seeds)
    for dataset, name in NAMES.items():
        for kind in ("none", "vanilla"):
            same = [row for row in rows if (row["dataset"], row["autoencoder"]) == (dataset, kind)]
            cells = [percent(row["accuracy"]) for row in sorted(same, key=lambda row: int(row["seed"]))]
            yield f"| {behind(kind)} | {name} | {' | '.join(cells)} |"


def render(document: Document, seeds: Document) -> str:
    """Return the README's results block, markers included."""
    versions = document["versions"]
    parts = [
        BEGIN,
        f"35 epochs, seed 0, 10,000 test images, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}, "
        f"scikit-learn {versions['scikit-learn']}, {document['cores']} cores; accuracies in %. *Its protocol* is the "
        "paper's: raw output, the perturbation added behind the autoencoder (`encoded`), linear attacks neither "
        "projected nor clipped. *Adaptive* is an honest one: output rescaled to the image's intensity, the image "
        "itself attacked within its budget by somebody who knows of the autoencoder; for clean images, the rescaled "
        "output.",
        "",
        *render_paper(document),
        "",
        "What the network keeps at eps 0.3, in %, depending on what the attacker knows: BIM with ten steps, and in the "
        "column of PGD, on the first 1,000 test images, the stronger of 40 and 80 steps. `oblivious` measures secrecy, "
        "not strength. Raw output and `encoded` is the paper's protocol:",
        "",
        *render_threats(document),
        "",
        "Figure 5 of the paper, after 35 epochs: one activation in all hidden layers, softplus at the output. Squared "
        "error is per pixel, of test images rescaled to the input's intensity:",
        "",
        *render_activations(document),
        "",
        judge_activations(document),
        "",
        "How far a number is luck, clean accuracy over seeds:",
        "",
        *render_seeds(seeds),
        END,
    ]
    return "\n".join(parts)


def render_ladder(document: dict[str, Any]) -> str:
    """Return the README's ladder block, markers included."""
    rows = document["rows"]
    eps = sorted({row["eps"] for row in rows})
    head = " | ".join(f"eps {value:g}" for value in eps)
    lines = [
        LADDER_BEGIN,
        f"MNIST, `nn`, 35 epochs, seed 0, {rows[0]['n']:,} test images; correctly classified, in %. BIM on every rung "
        "but `noise` and `black-box` (`square`, 1,000 queries); `worst` is the strongest attack that there is here.",
        "",
        f"| pipeline | threat | {head} | checks that fail |",
        "| --- | --- |" + " ---: |" * len(eps) + " --- |",
    ]
    for name in dict.fromkeys(row["autoencoder"] for row in rows):
        own = [row for row in rows if row["autoencoder"] == name]
        where = "without autoencoder" if name == "none" else f"behind {name}"
        lines.append(
            f"| {where} | nobody attacks | " + " | ".join([percent(own[0]["clean_accuracy"])] * len(eps)) + " | |"
        )
        for id_ in dict.fromkeys(row["id"] for row in own):
            run = {row["eps"]: row for row in own if row["id"] == id_}
            first = next(iter(run.values()))
            attack = f"`{first['threat']}`" + (", `worst`" if first["method"] == "worst" else "")
            cells = " | ".join(percent(run[value]["accuracy"]) for value in eps)
            lines.append(f"| {where} | {attack} | {cells} | {', '.join(f'`{name}`' for name in first['failed'])} |")
    return "\n".join([*lines, LADDER_END])


def find_block(readme: str, begin: str = BEGIN, end: str = END) -> str:
    """Return the block that stands in the README. Raises ValueError where there is none."""
    found = re.search(re.escape(begin) + r".*?" + re.escape(end), readme, re.DOTALL)
    if not found:
        raise ValueError(f"README.md has no block {begin} ... {end}")
    return found.group()


if __name__ == "__main__":
    text = README.read_text()
    reproduction, seeds, ladder = load_records()
    text = text.replace(find_block(text), render(reproduction, seeds))
    text = text.replace(find_block(text, LADDER_BEGIN, LADDER_END), render_ladder(ladder))
    speed = json.loads(performance.RESULTS.read_text())
    text = text.replace(find_block(text, performance.BEGIN, performance.END), performance.render_block(speed))
    defence = json.loads(robust.RESULTS.read_text())
    text = text.replace(find_block(text, robust.BEGIN, robust.END), robust.render_block(defence))
    README.write_text(text)
