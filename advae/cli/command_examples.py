"""Examples of every command for ``--help``, and the options that only ``--help-all`` shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HelpPage:
    """What the help of a command has beyond its options."""

    examples: tuple[str, ...]
    """Command lines that can be run as they are."""
    rare: tuple[str, ...] = ()
    """Options that ``--help`` only names, because few people need them."""


_TRAINING = (
    "--resize",
    "--classes",
    "--batch-size",
    "--learning-rate",
    "--hidden-size",
    "--code-size",
    "--activations",
)

HELP_PAGES: dict[str, HelpPage] = {
    "": HelpPage(
        (
            "advae train-clf --model nn",
            "advae attack --method pgd --eps 0.1 --check",
            "advae report",
        )
    ),
    "train-ae": HelpPage(
        (
            "advae train-ae --type vanilla",
            "advae train-ae --type robust --dataset mnist --tag mine",
            "advae train-ae --type blur --sigma 1",
        ),
        (
            *_TRAINING,
            *("--loss", "--rescale", "--body", "--warmup", "--reconstruction-weight", "--trades-beta", "--kappa"),
            *("--slope", "--relu-stability", "--penalty", "--rho", "--sparsity-weight", "--kl-weight", "--sample"),
            *("--no-noise-clip", "--train-steps", "--noise", "--noise-level", "--threshold", "--protect"),
            *("--temperature", "--sigma", "--bits", "--window", "--quality", "--tv-weight", "--stages"),
        ),
    ),
    "train-clf": HelpPage(
        (
            "advae train-clf --model nn --ae latest",
            "advae train-clf --from latest --ae mine",
            "advae train-clf --model nn --retrain 3 --retrain-eps 0.1",
        ),
        (
            *(*_TRAINING, "--layers", "--on", "--C", "--intercept", "--max-iter", "--noise-level"),
            *("--retrain", "--retrain-method", "--retrain-eps", "--retrain-steps", "--retrain-limit"),
        ),
    ),
    "add-clf": HelpPage(
        (
            "advae add-clf model.keras --dataset mnist --input-range 0,1 --channels last",
            "advae add-clf model.onnx --dataset mnist --input-range 0,255 --channels first",
        )
    ),
    "add-ae": HelpPage(
        (
            "advae add-ae purifier.keras --dataset mnist",
            "advae add-ae mymodule:purify --dataset mnist",
        )
    ),
    "attack": HelpPage(
        (
            "advae attack --method pgd --eps 8/255",
            "advae attack --method worst --eps 0.1,0.2 --limit 1000 --check",
            "advae attack --clf latest --method bim --eps 0.1 --threat all",
        ),
        (
            *(
                "--from-file",
                "--methods",
                "--fail-under",
                "--resize",
                "--surrogate",
                "--seeds",
                "--sample",
                "--save-adversarial",
                "--step-size",
                "--restarts",
            ),
            *("--queries", "--draws", "--loss", "--precision", "--no-clip", "--target", "--seed"),
        ),
    ),
    "attack-code": HelpPage(
        (
            "advae attack-code --ae latest",
            "advae attack-code --ae mine --pairs 100 --target 7",
            "advae attack-code --ae mine --optimizer l-bfgs-b --pairs 5",
        ),
        ("--resize", "--limit", "--seed"),
    ),
    "certify": HelpPage(
        (
            "advae certify --eps 1/255 --limit 100",
            "advae certify --eps 0.5 --norm l2 --method smoothing --sigma 0.25 --dry-run",
        ),
        ("--resize", "--sample", "--samples", "--select", "--alpha", "--seed"),
    ),
    "surface": HelpPage(
        ("advae surface", "advae surface --clf mine,theirs --radius 0.3", "advae surface --clf latest --radius 8/255"),
        ("--resize", "--no-clip", "--seed"),
    ),
    "report": HelpPage(
        (
            "advae report",
            "advae report latest --out my-report --open",
            "advae report --dataset mnist --figures figures --strict",
        )
    ),
    "diff": HelpPage(
        ("advae diff mine theirs", "advae diff mine latest --eps 0.1,0.3", "advae diff mine theirs --json")
    ),
    "reproduce": HelpPage(
        (
            "advae reproduce --dry-run",
            "advae reproduce --dataset mnist --jobs 4",
            "advae reproduce --plan my-plan.toml",
        )
    ),
    "purify": HelpPage(("advae purify --ae latest in.npy out.npy", "advae purify --ae mine in.npy out.npy --force")),
    "predict": HelpPage(
        (
            "advae predict --clf latest in.npy",
            "advae predict --clf latest in.npy --format csv > out.csv",
        )
    ),
    "registry": HelpPage(("advae registry ls", "advae registry show latest")),
    "registry init": HelpPage(("advae registry init my-registry",)),
    "registry ls": HelpPage(
        ("advae registry ls", "advae registry ls -l | grep sparse", "advae registry ls --kind run --dataset mnist")
    ),
    "registry show": HelpPage(("advae registry show latest", "advae registry show mine --json")),
    "registry tag": HelpPage(("advae registry tag latest mine",)),
    "registry untag": HelpPage(("advae registry untag mine",)),
    "registry rm": HelpPage(("advae registry rm mine", "advae registry rm mine --recursive")),
    "registry verify": HelpPage(("advae registry verify", "advae registry verify mine")),
    "registry gc": HelpPage(("advae registry gc --dry-run", "advae registry gc")),
    "registry export": HelpPage(
        (
            "advae registry export mine mine.tar",
            "advae registry export mine mine.keras --format keras",
        )
    ),
    "registry import": HelpPage(("advae registry import mine.tar --tag theirs",)),
    "data": HelpPage(("advae data ls", "advae data fetch mnist")),
    "data ls": HelpPage(("advae data ls", "advae data ls --data-dir ~/data")),
    "data fetch": HelpPage(("advae data fetch mnist",)),
    "data verify": HelpPage(("advae data verify mnist",)),
}
"""Words that name a command, without ``advae`` -> its page."""
