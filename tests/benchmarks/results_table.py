"""Write the tables of documents from the records: ``python -m tests.benchmarks.results_table``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advae.experiments import EXPLANATIONS
from advae.models.layers import PAPER_ACTIVATIONS
from tests.benchmarks import (
    certified_training,
    crown,
    interval_soundness,
    recorded_plans,
    reproduction,
    robust,
    seeds,
    smoothing,
    speed_tables,
    suite,
    threat_models,
)
from tests.benchmarks.reproduction import ACTIVATIONS_ON

README = Path(__file__).parent.parent.parent / "README.md"
CERTIFICATES = README.parent / ".github" / "docs" / "certificates.md"
RESULTS_README = reproduction.RESULTS.with_name("README.md")
NAMES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
KINDS = ("none", "vanilla", "sparse", "denoising", "variational")
NOT_RECORDED = "not recorded"

NEEDS_EXPLAINING = 0.05
"""Difference to the paper, in accuracy, above which the tables explain it."""

Document = dict[str, Any]


def load_record(path: Path) -> Document:
    """Return a record."""
    found: Document = json.loads(path.read_text())
    return found


def percent(rate: float | None) -> str:
    return "not run" if rate is None else f"{100 * rate:.2f}"


def behind(kind: str) -> str:
    return "undefended" if kind == "none" else f"behind {kind}"


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
    """Whether the difference to the paper needs an explanation."""
    return is_lost(document, entry) or abs(entry["difference"]) > NEEDS_EXPLAINING


def render_paper(document: Document) -> Iterator[str]:
    """Yield the paper beside ours, every figure, and the explanations of large differences."""
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
    """Yield the network's robust accuracy at the paper's eps behind each autoencoder, by threat model."""
    yield "| `nn` | dataset | clean | `oblivious` | `adaptive` | `adaptive`, PGD | raw output, `encoded` |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for dataset, one in document["datasets"].items():
        for kind in KINDS:
            clean = find_rows(one, kind, "bim", "adaptive")[0]["clean_accuracy"]
            attacks = (("bim", "oblivious"), ("bim", "adaptive"), ("pgd", "adaptive"))
            cells = [percent(find_lowest(one, kind, method, threat)) for method, threat in attacks]
            raw = find_rows(one, kind, "bim", "encoded", raw=True)
            cells.append(percent(raw[0]["accuracy"]) if raw else "diverged")
            if kind == "none":
                # Without a purifier, these threat models do not exist.
                cells[0] = cells[-1] = ""
            yield f"| {behind(kind)} | {NAMES[dataset]} | {percent(clean)} | {' | '.join(cells)} |"


def find_lowest(one: Document, kind: str, method: str, threat: str) -> float | None:
    """Return the lowest robust accuracy of a method's runs, which differ in their iterations."""
    return min((row["accuracy"] for row in find_rows(one, kind, method, threat)), default=None)


def find_rows(one: Document, kind: str, method: str, threat: str, *, raw: bool = False) -> list[Document]:
    """Return the rows measured behind a kind of autoencoder, with its raw output if ``raw``; ``none``: undefended."""
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


def rank_paper_activations(document: Document) -> str:
    """Return the rank of the paper's activations among those compared, as a sentence."""
    names = [name_activations(network) for network in list_activations(document, ACTIVATIONS_ON[0])]
    place = names.index("the paper's mix") + 1
    return f"The paper's mix has rank {place} of {len(names)}; the best is {names[0]}."


def render_seeds(document: Document) -> Iterator[str]:
    """Yield the range of clean accuracy over seeds of the headline networks."""
    rows = document["rows"]
    yield "| `nn` | dataset | seeds | lowest | highest | range, points |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for dataset, name in NAMES.items():
        for kind in ("none", "vanilla"):
            same = [row["accuracy"] for row in rows if (row["dataset"], row["autoencoder"]) == (dataset, kind)]
            width = 100 * (max(same) - min(same))
            cells = (behind(kind), name, str(len(same)), percent(min(same)), percent(max(same)), f"{width:.2f}")
            yield f"| {' | '.join(cells)} |"


def render_reproduction(document: Document) -> str:
    """Return the block of the paper's figures, threat models and activations."""
    versions = document["versions"]
    parts = [
        f"35 epochs, seed 0, 10,000 test images, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}, "
        f"scikit-learn {versions['scikit-learn']}, {document['cores']} cores; accuracies in %. *Its protocol* is the "
        "paper's: raw output, the perturbation added behind the autoencoder (`encoded`), linear attacks neither "
        "projected nor clipped. *Adaptive*: output rescaled to the image's intensity, the image "
        "itself attacked within its budget by an attacker who knows the autoencoder; for clean images, the rescaled "
        "output.",
        "",
        *render_paper(document),
        "",
        "Robust accuracy of the network at eps 0.3, in %, by threat model: BIM with ten steps, and in the column of "
        "PGD, on the first 1,000 test images, the stronger of 40 and 80 steps. `oblivious` measures secrecy, not "
        "strength. Raw output and `encoded` is the paper's protocol:",
        "",
        *render_threats(document),
        "",
        "Figure 5 of the paper, after 35 epochs: one activation in all hidden layers, softplus at the output. Squared "
        "error is per pixel, of test images rescaled to the input's intensity:",
        "",
        *render_activations(document),
        "",
        rank_paper_activations(document),
    ]
    return "\n".join(parts)


def render_threat_models(document: Document) -> str:
    """Return the block of one pipeline under every threat model."""
    rows = document["rows"]
    eps = sorted({row["eps"] for row in rows})
    head = " | ".join(f"eps {value:g}" for value in eps)
    lines = [
        f"MNIST, `nn`, 35 epochs, seed 0, {rows[0]['n']:,} test images; accuracy in %. BIM under every threat model "
        "but `noise` and `black-box` (`square`, 1,000 queries); `worst` is the strongest attack here.",
        "",
        f"| pipeline | threat model | {head} | failed checks |",
        "| --- | --- |" + " ---: |" * len(eps) + " --- |",
    ]
    for name in dict.fromkeys(row["autoencoder"] for row in rows):
        own = [row for row in rows if row["autoencoder"] == name]
        clean = " | ".join([percent(own[0]["clean_accuracy"])] * len(eps))
        lines.append(f"| {behind(name)} | clean | {clean} |  |")
        for id_ in dict.fromkeys(row["id"] for row in own):
            run = {row["eps"]: row for row in own if row["id"] == id_}
            first = next(iter(run.values()))
            attack = f"`{first['threat']}`" + (", `worst`" if first["method"] == "worst" else "")
            cells = " | ".join(percent(run[value]["accuracy"]) for value in eps)
            lines.append(
                f"| {behind(name)} | {attack} | {cells} | {', '.join(f'`{one}`' for one in first['failed'])} |"
            )
    return "\n".join(lines)


# ---------------------------------------------------------------- the README's table


def render_overview(threats: Document, robust_kind: Document) -> str:
    """Return the README's table: clean accuracy, and robust accuracy under an oblivious and an adaptive attacker."""
    trained = next(row for row in robust_kind["rows"] if row["name"] == "mnist")
    n = threats["rows"][0]["n"]
    cells = [_summarize(threats, *one) for one in (("none", 0.1), ("vanilla", 0.1), ("vanilla", 0.3))]
    lines = [
        f"Accuracy in % on the {n:,} test images of MNIST, L-infinity; in brackets the 95 % interval:",
        "",
        "| pipeline | eps | clean | oblivious attacker | adaptive attacker | adaptive, strongest attack |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(f"| {' | '.join(row)} |" for row in (*cells, _summarize_robust(trained, n))),
        "",
        "`nn` is the paper's network, `mlp` the classifier that `robust` is trained with. Attacks are BIM with ten "
        "steps where no other is named; the strongest attack is `worst`. An oblivious attacker does not know the "
        "autoencoder, an adaptive one does.",
    ]
    return "\n".join(lines)


def _summarize(document: Document, name: str, eps: float) -> tuple[str, ...]:
    """Return the cells of a pipeline of the threat models' record at an eps."""
    rows = [row for row in document["rows"] if (row["autoencoder"], row["eps"]) == (name, eps)]
    found = {(row["threat"], row["method"]): row for row in rows}
    oblivious = found.get(("oblivious", "bim"))
    return (
        f"`nn` {behind(name)}",
        f"{eps:g}",
        percent(rows[0]["clean_accuracy"]),
        percent(oblivious["accuracy"]) if oblivious else "\N{EN DASH}",
        percent(found["adaptive", "bim"]["accuracy"]),
        _with_interval(found["adaptive", "worst"]),
    )


def _summarize_robust(row: Document, n: int) -> tuple[str, ...]:
    """Return the cells of the robust kind. n: images of the table."""
    others = {other["threat"]: other for other in row["others"]}
    cells = [_describe_other(others[name], n) if name in others else NOT_RECORDED for name in OTHER_THREATS]
    name = f"`{row['classifier']}` behind robust"
    return (
        name,
        f"{row['eps']:g}",
        percent(row["clean_accuracy"]),
        *cells,
        _with_interval(row) + _note_images(row["n"], n),
    )


OTHER_THREATS = ("oblivious", "adaptive")


def _describe_other(other: Document, n: int) -> str:
    """Return a robust accuracy, with its attack and its images where they are not the table's."""
    attack = "" if other["method"] == "bim" else f" ({other['method'].upper()})"
    return percent(other["accuracy"]) + attack + _note_images(other["n"], n)


def _note_images(found: int, n: int) -> str:
    return "" if found == n else f" (first {found:,} images)"


def _with_interval(row: Document) -> str:
    low, high = row["interval"]
    return f"{percent(row['accuracy'])} [{percent(low)}, {percent(high)}]"


# ---------------------------------------------------------------- blocks


def render_blocks() -> dict[Path, dict[str, str]]:
    """Return, for each file that holds tables, name -> text of its generated blocks."""
    paper, threats = load_record(reproduction.RESULTS), load_record(threat_models.RESULTS)
    trained, certified = load_record(robust.RESULTS), load_record(certified_training.RESULTS)
    return {
        README: {
            "overview": render_overview(threats, trained),
            "certified": certified_training.render_overview(certified),
        },
        CERTIFICATES: {"crown": crown.render(load_record(crown.RESULTS))},
        RESULTS_README: {
            "threat-models": render_threat_models(threats),
            **recorded_plans.render_blocks(),
            "robust": robust.render(trained),
            "paper": render_reproduction(paper),
            "seeds": "\n".join(render_seeds(load_record(seeds.RESULTS))),
            "certified": certified_training.render(certified),
            "smoothing": smoothing.render(load_record(smoothing.RESULTS)),
            "soundness": interval_soundness.render(load_record(interval_soundness.RESULTS)),
            "speed": speed_tables.render(load_record(speed_tables.RESULTS)),
            "suite": suite.render(load_record(suite.RESULTS)),
        },
    }


def replace_block(document: str, name: str, text: str) -> str:
    """Return a document with one generated block replaced. Raises ValueError where it has none of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"there is no block {begin} ... {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def replace_blocks(path: Path) -> str:
    """Return the text of a file with all its generated blocks made anew."""
    document = path.read_text()
    for name, text in render_blocks()[path].items():
        document = replace_block(document, name, text)
    return document


if __name__ == "__main__":
    for file in render_blocks():
        file.write_text(replace_blocks(file))
