"""What a foreign model expects of its input and means by its output, found by asking it about training images."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from advae.batching import Tensor, apply
from advae.errors import UsageError
from advae.models.added.foreign import ForeignModel
from advae.models.added.input_layout import list_layouts, make_input, read_outputs, show
from advae.models.added.stored import digest_foreign

if TYPE_CHECKING:
    from advae.records import AddedOptions, Dataset, FloatArray
    from advae.requests import AddRequest

ASKED_ABOUT = 500
"""Training images that a model is asked about."""

RANGES: tuple[tuple[float, float], ...] = ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0))
"""Values for black and white that models are commonly trained on."""

CLOSE = 0.02
"""Where two ways of giving images have accuracies that differ by less, their losses decide."""

APART = 1.2
"""The loss of one way decides where that of the other is larger by this factor; else the way is ambiguous."""

KNOWN_STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "MNIST's": ((0.1307,), (0.3081,)),
    "Fashion-MNIST's": ((0.2860,), (0.3530,)),
    "the usual half": ((0.5,), (0.5,)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Pairs of mean and deviation that are often applied outside a model; they are never assumed, only told."""

ROUNDED = 1e-6
"""How far outside [0, 1] rounding may take a probability."""

RAISED = 0.01
"""Share of the images by which a known pair has to raise the accuracy to be told."""

Outputs = Literal["logits", "probabilities", "images"]


@dataclass(frozen=True)
class Interpretation:
    """How a model is used, and what to tell the user of it."""

    options: AddedOptions
    """What the recipe stores."""
    told: tuple[str, ...]
    """Sentences on what was assumed, and on what may be wrong."""


@dataclass(frozen=True)
class Probe:
    """A foreign model, what the user said of it, and the images that it is asked about."""

    model: ForeignModel
    """The model."""
    run: Callable[[Tensor], Tensor]
    """Its inputs -> its outputs."""
    request: AddRequest
    """What the user said."""
    dataset: Dataset
    """The dataset that it is added for."""
    order: tuple[int, ...] | None = None
    """For each label the model's own number of that class; None where they are equal."""

    @property
    def x(self) -> FloatArray:
        """The training images that it is asked about, float32 (n, d)."""
        return self.dataset.x_train[:ASKED_ABOUT]

    def describe(self, layout: tuple[tuple[int, ...], str], span: tuple[float, float], **changes: Any) -> AddedOptions:
        """Return the options for one way of giving images."""
        from advae.records import AddedOptions

        values: dict[str, Any] = {
            "format": self.model.format,
            "digest": digest_foreign(self.model),
            "takes": layout[0],
            "channels": layout[1],
            "input_range": span,
            "mean": self.request.mean,
            "std": self.request.std,
            "outputs": "logits",
            "order": self.order,
            "affine": self.model.affine,
            "differentiable": self.model.differentiable,
            "trusted": self.request.trust or None,
            "function": self.model.graph.get("function"),
        }
        return AddedOptions(**(values | changes))

    def list_ways(self) -> list[AddedOptions]:
        """Return the ways of giving images that fit the file and what the user said. Raises UsageError."""
        layouts = list_layouts(self.model.takes, self.dataset.ref.shape, self.request.channels)
        return [self.describe(*way) for way in itertools.product(layouts, self._list_ranges())]

    def _list_ranges(self) -> Sequence[tuple[float, float]]:
        if self.request.input_range:
            return (self.request.input_range,)
        if self.request.mean is None and self.request.std is None:
            return RANGES
        # Mean and deviation are of the scale that the model was trained on.
        return (RANGES[0],) if max(self.request.mean or self.request.std or (0.0,)) <= 1 else (RANGES[1],)

    def ask(self, options: AddedOptions) -> FloatArray:
        """Return the model's own outputs for the images, flat: float32 (n, outputs)."""
        import tensorflow as tf

        prepare = make_input(options, self.dataset.ref.shape)
        found: FloatArray = apply(
            lambda x, draw: tf.reshape(self.run(prepare(x)), (tf.shape(x)[0], -1)),
            self.x,
        )
        return found

    def read(self, options: AddedOptions, outputs: FloatArray) -> FloatArray:
        """Return logits or images of the model's own outputs."""
        import tensorflow as tf

        found: FloatArray = read_outputs(options, self.dataset.ref.shape, tf.constant(outputs)).numpy()
        return found

    def measure(self, options: AddedOptions, outputs: FloatArray) -> tuple[float, float]:
        """Return the share of the images whose largest logit is that of their label, and the mean cross-entropy."""
        import tensorflow as tf

        logits = self.read(options, outputs)
        labels = self.dataset.y_train[: len(logits)]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits).numpy()
        return float((logits.argmax(axis=1) == labels).mean()), float(losses.mean())


class Tried(NamedTuple):
    """A way of giving images that was tried."""

    options: AddedOptions
    """The way."""
    accuracy: float
    """Clean accuracy on training images, 0 to 1."""
    loss: float
    """Mean cross-entropy."""


# ---------------------------------------------------------------- classifiers


def interpret_classifier(probe: Probe) -> Interpretation:
    """Return the way of giving images by which the clean accuracy on training images is best.

    Of ways with nearly the same accuracy, as networks of ReLUs have, the one with the smaller loss. Raises UsageError
    where the number of classes differs, or where two ways are as good.
    """
    tried: list[Tried] = []
    for way in probe.list_ways():
        outputs = probe.ask(way)
        _require_classes(probe, outputs.shape[1])
        meant = _decide_outputs(probe, outputs)
        options = way.model_copy(update={"outputs": meant})
        tried.append(Tried(options, *probe.measure(options, outputs)))
    first = max(tried, key=lambda one: one.accuracy)
    best, *rivals = sorted((one for one in tried if first.accuracy - one.accuracy < CLOSE), key=lambda one: one.loss)
    unclear = [one for one in rivals if not one.loss > APART * best.loss]
    if unclear:
        shown = "; ".join(f"{_write_options(one, tried)} has {one.accuracy:.4f}" for one in (best, *unclear))
        raise UsageError(
            "how the model takes images is ambiguous by its clean accuracy on training images: "
            f"{shown}; pass the one that it was trained with"
        )
    given = f"images are given as {describe_input(best.options)}; the model returns {best.options.outputs}"
    if probe.model.ending == "softmax" and best.options.outputs == "probabilities":
        given += ", and then applies softmax a second time"
    measured = f"clean accuracy on {len(probe.x)} training images: {best.accuracy:.4f}"
    advice = _suggest_statistics(probe, best.options, best.accuracy)
    return Interpretation(best.options, (given, *probe.model.notes, measured, *advice))


def _write_options(chosen: Tried, tried: Sequence[Tried]) -> str:
    """Return the words of the command line that choose one of the ways that were tried."""
    words = []
    if len({one.options.input_range for one in tried}) > 1:
        words.append(f"--input-range {write_range(chosen.options.input_range)}")
    if len({one.options.channels for one in tried}) > 1:
        words.append(f"--channels {chosen.options.channels}")
    return " ".join(words)


def write_range(span: tuple[float, float]) -> str:
    """Return ``0,255``."""
    return f"{span[0]:g},{span[1]:g}"


def describe_input(options: AddedOptions) -> str:
    """Return how images are given, in words."""
    low, high = options.input_range
    where = f", channels {options.channels}" if len(options.takes) == 3 else ""
    moved = ""
    if options.mean or options.std:
        mean, std = (",".join(f"{one:g}" for one in values or ()) for values in (options.mean, options.std))
        moved = f", mean {mean or 0} subtracted, divided by deviation {std or 1}"
    return f"{show(options.takes)} values from {low:g} to {high:g}{where}{moved}"


def _require_classes(probe: Probe, outputs: int) -> None:
    classes = len(probe.dataset.ref.classes)
    if outputs != classes and (outputs, classes) != (1, 2):
        found = "one number" if outputs == 1 else f"{outputs} outputs"
        mend = "a classifier returns one for each" if outputs == 1 else "give the dataset that it was trained on"
        raise UsageError(f"the model returns {found} for an image, and the dataset has {classes} classes: {mend}")


def _decide_outputs(probe: Probe, outputs: FloatArray) -> Outputs:
    """Return what outputs are: what the user said, where they can be that. Raises UsageError."""
    found, said = _guess_outputs(probe.model, outputs), probe.request.outputs
    # What the user says of a file is true of its own outputs, before a softmax or sigmoid was cut off.
    if not said or said == found or (said == "probabilities" and probe.model.ending):
        return found
    if said == "logits" and outputs.shape[1] > 1:
        seen = f"the outputs for {len(outputs)} images are in [0, 1], and of each image they sum to 1"
        raise UsageError(f"bad --outputs logits: {seen}, as probabilities do; leave --outputs out")
    if said == "probabilities" and (outputs.min() < -ROUNDED or outputs.max() > 1 + ROUNDED):
        seen = f"the outputs for {len(outputs)} images range from {outputs.min():.4g} to {outputs.max():.4g}"
        raise UsageError(f"bad --outputs probabilities: {seen}, expected 0 to 1; leave --outputs out")
    return said


def _guess_outputs(model: ForeignModel, outputs: FloatArray) -> Outputs:
    """Return whether outputs are logits or probabilities: in [0, 1], and of several classes with sum 1."""
    if model.ending == "sigmoid" or not model.differentiable:
        return "logits"
    inside = outputs.min() >= -ROUNDED and outputs.max() <= 1 + ROUNDED
    one = outputs.shape[1] == 1
    alike = model.ending is None if one else abs(outputs.sum(axis=1) - 1).max() < 1e-3
    return "probabilities" if inside and alike else "logits"


def _suggest_statistics(probe: Probe, options: AddedOptions, accuracy: float) -> list[str]:
    """Return a warning where images go in raw, and a known mean and deviation would raise the accuracy."""
    if options.mean or options.std:
        return []
    better: list[tuple[float, str, str]] = []
    for whose, (mean, std) in KNOWN_STATISTICS.items():
        if len(mean) not in (1, probe.dataset.ref.shape.channels):
            continue
        changed = options.model_copy(update={"mean": mean, "std": std, "input_range": RANGES[0]})
        words = " ".join(f"--{name} {','.join(map(str, values))}" for name, values in (("mean", mean), ("std", std)))
        better.append((probe.measure(changed, probe.ask(changed))[0], whose, words))
    found, whose, words = max(better)
    if found < accuracy + RAISED:
        return []
    return [f"with {words} ({whose}) that accuracy is {found:.4f}: was the model trained on normalised images?"]


# ---------------------------------------------------------------- purifiers


def interpret_purifier(probe: Probe) -> Interpretation:
    """Return the way of giving images by which the output is nearest to the image.

    Raises UsageError where the output is no image of the same size.
    """
    size = probe.dataset.ref.shape.size
    tried: list[tuple[float, AddedOptions]] = []
    for way in probe.list_ways():
        options, outputs = way.model_copy(update={"outputs": "images"}), probe.ask(way)
        if outputs.shape[1] != size:
            raise UsageError(
                f"the model returns {outputs.shape[1]} values for an image of {size}, and a purifier returns an image; "
                "a classifier is added by add-clf"
            )
        tried.append((float(((probe.read(options, outputs) - probe.x) ** 2).mean()), options))
    error, best = min(tried, key=lambda one: one[0])
    told = f"images are given as {describe_input(best)}, and returned alike"
    measured = f"mean squared error on {len(probe.x)} training images: {error:.4f}"
    return Interpretation(best, (told, *probe.model.notes, measured))
