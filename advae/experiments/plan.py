"""The plan of an experiment, a TOML file: models, trained or added, and the attacks on them and their certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, Strict, create_model

from advae.errors import UsageError, unknown
from advae.experiments.calibration import Calibration
from advae.experiments.code_attack_plan import CodeAttackPlan
from advae.experiments.plan_numbers import Number, PlannedEps
from advae.records import Activations, Count, Record, Scalar, Seed, Side
from advae.requests import (
    AttackRequest,
    AutoencoderRequest,
    CertificateRequest,
    ClassifierRequest,
    EntryRequest,
    LogisticRequest,
    NetworkRequest,
    PlacementRequest,
    RetrainRequest,
    SurfaceRequest,
    ask_option,
)
from advae.run_options import MOST_RETRAINED_EPS, RUN_OPTIONS, Norm, RunOptions

NONE = "none"
"""The name in a plan for no purifier: the undefended classifier."""

OWN = "autoencoder"
"""The source in a plan that means the classifier that the autoencoder was trained in front of."""

ENTRY = "entry"
"""The option in a plan that names an entry of the registry in place of a training."""

CLASSES_KEY = "classes"
"""The option in a plan that restricts the images of a model to some classes."""

PlannedNames = Annotated[tuple[str, ...], Field(min_length=1)]
PlannedOptions = dict[str, Scalar | list[Scalar]]
PlannedClasses = tuple[Annotated[int, Strict()] | Annotated[str, Strict()], ...]
"""Classes that a dataset is restricted to, by label or name."""


class PlannedPipelines(Record):
    """Pipelines of a plan."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    classifiers: PlannedNames
    """Names of classifiers of the plan."""
    behind: PlannedNames
    """Names of autoencoders of the plan; ``none``: without a purifier."""


class PlannedBalls(PlannedPipelines):
    """Pipelines of a plan, and the radii at which they are attacked or certified."""

    eps: Annotated[tuple[PlannedEps, ...], Field(min_length=1)]
    """Radii of the ball in units of x: numbers, or fractions such as "50/255"."""


if TYPE_CHECKING:

    class _PlannedOptions(PlannedBalls, RunOptions): ...

else:
    _PlannedOptions = create_model(
        "_PlannedOptions",
        __base__=PlannedBalls,
        **{name: ask_option(option, strict=True) for name, option in RUN_OPTIONS.items() if option.row.planned},
    )


class AttackPlan(_PlannedOptions):
    """Attacks on some pipelines: each method under each threat model, on each classifier behind each autoencoder.

    The options are those of ``advae attack``.
    """

    eps: Annotated[tuple[PlannedEps, ...], Field(min_length=1)] = ()
    """Radii of the ball in units of x: numbers, or fractions such as "50/255"; none where they are calibrated."""
    calibrate: Calibration | None = None
    """How eps is searched on each undefended classifier, in place of ``eps``."""
    methods: PlannedNames
    """Names of attacks."""
    threats: PlannedNames = ("adaptive",)
    """Names of threat models."""

    def list_requests(self, seed: int) -> list[AttackRequest]:
        """Return a request for each method under each threat model."""
        shared = self.model_dump(exclude={"classifiers", "behind", "methods", "threats", "calibrate"})
        return [
            AttackRequest(method=method, threat=threat, seed=seed, **shared)
            for method in self.methods
            for threat in self.threats
        ]


class CertificatePlan(PlannedBalls):
    """Certificates of some pipelines: each method on each classifier behind each autoencoder.

    The options are those of ``advae certify``.
    """

    methods: PlannedNames | None = None
    """Names of CERTIFICATES; None: what fits each pipeline."""
    norm: Norm | None = None
    """Norm of the ball; None: the default of the method."""
    limit: Annotated[Count, Strict()] | None = None
    """Number of test images; None: all."""
    sample: str | None = None
    """How they are chosen; None: the first ones."""
    sigma: Number | None = None
    """Standard deviation of the noise of randomised smoothing, in units of x; None: another method."""
    samples: Annotated[Count, Strict()] | None = None
    """Noisy copies that bound the probability of the chosen class; None: the default."""
    select: Annotated[Count, Strict()] | None = None
    """Noisy copies that choose the class; None: the default."""
    alpha: Number | None = None
    """Probability that the certificate of an image is wrong; None: the default."""

    def list_requests(self, seed: int) -> list[CertificateRequest]:
        """Return a request for each method. The seed is that of the noise."""
        shared = self.model_dump(exclude={"classifiers", "behind", "methods"})
        noise_seed = seed if self.sigma is not None else None
        return [CertificateRequest(method=method, seed=noise_seed, **shared) for method in self.methods or (None,)]


class SurfacePlan(PlannedPipelines):
    """Decision surfaces of some pipelines, on images that all pipelines of the plan's surfaces classify correctly.

    The options are those of ``advae surface``.
    """

    radius: PlannedEps | None = None
    """Largest step along each axis of the plane, in units of x: a number, or a fraction; None: the default."""
    points: Annotated[int, Strict()] | None = None
    """Points along each axis, an odd number; None: the default."""
    clip: Annotated[bool, Strict()] = True
    """Whether points outside [0, 1] are clipped."""
    shared: Annotated[bool, Strict()] = True
    """Whether the images are those that all pipelines of the plan's surfaces with ``shared`` classify correctly; false:
    each pipeline has its own."""

    def make_request(self, seed: int) -> SurfaceRequest:
        """Return the request. The seed is that of the random direction."""
        return SurfaceRequest(radius=self.radius, points=self.points, clip=self.clip, seed=seed)


class PlannedNetwork(NetworkRequest, strict=True):
    """NetworkRequest that refuses text in place of TOML numbers."""

    activations: Annotated[Activations, Strict(False)] | None = None
    """Activation functions, as a TOML list; None: the default of the kind."""


class PlannedLogistic(LogisticRequest, strict=True):
    """LogisticRequest that refuses text in place of TOML numbers."""


class PlannedRetraining(RetrainRequest, strict=True):
    """RetrainRequest that refuses text in place of TOML numbers; its eps may be a fraction, such as "25/255"."""

    retrain_eps: Annotated[PlannedEps, Field(gt=0, le=MOST_RETRAINED_EPS)] | None = None
    """L-infinity radius of the attack."""


class Experiment(Record):
    """The contents of a plan: trainings, attacks and certificates, which are repeated for each dataset and seed."""

    about: str | None = None
    """What the plan does, and how it differs from what it repeats; the report shows it. None: nothing is shown."""
    datasets: PlannedNames
    """Names of datasets, or paths of .npz files and of folders of images."""
    resize: tuple[Annotated[Side, Strict()], Annotated[Side, Strict()]] | None = None
    """Height and width of the images of folders; None: the files are not resized."""
    classes: PlannedClasses | None = None
    """Classes that the datasets are restricted to, for all models that name none of their own; None: all classes."""
    seeds: Annotated[tuple[Annotated[Seed, Strict()], ...], Field(min_length=1)] = (0,)
    """Seeds of trainings, attacks and noise."""
    autoencoders: dict[str, PlannedOptions] = Field(default_factory=dict)
    """Name in the plan -> options of ``advae train-ae``, or ``entry``."""
    classifiers: dict[str, PlannedOptions] = Field(default_factory=dict)
    """Name in the plan -> options of ``advae train-clf``, or ``entry``."""
    attacks: tuple[AttackPlan, ...] = ()
    """The attacks, in groups that share their options."""
    certificates: tuple[CertificatePlan, ...] = ()
    """The certificates, in groups that share their options."""
    surfaces: tuple[SurfacePlan, ...] = ()
    """The decision surfaces, in groups that share their options."""
    code_attacks: tuple[CodeAttackPlan, ...] = Field(default=(), alias="code-attacks")
    """The attacks on codes, in groups that share their options."""

    @property
    def _undefended(self) -> tuple[str, ...]:
        """The classifiers that are trained alone or taken from the registry, by their names."""
        return tuple(name for name, options in self.classifiers.items() if "from" not in options)

    def find_protected(self, name: str) -> str | None:
        """Return the name of the classifier that an autoencoder is trained in front of; None where there is none."""
        protected = self.autoencoders[name].get("protect")
        if protected is None:
            return None
        if not isinstance(protected, str) or protected not in self._undefended:
            raise UsageError(f"protect: {unknown('classifier', str(protected), self._undefended)}")
        return protected

    def list_classes(self, options: PlannedOptions) -> PlannedClasses | None:
        """Return the classes that the images of a model are restricted to, None for all. Raises UsageError.

        options: those of the autoencoder or the classifier.
        """
        given = options.get(CLASSES_KEY)
        if given is None:
            return self.classes
        if not isinstance(given, list) or not all(type(one) in (int, str) for one in given):
            raise UsageError(f"{CLASSES_KEY}: a list of numbers or names of classes, such as [3, 7], got {given!r}")
        return tuple(one for one in given if isinstance(one, int | str))

    def request_autoencoder(self, name: str, seed: int) -> AutoencoderRequest | EntryRequest:
        """Return the request for an autoencoder of the plan. Raises UsageError."""
        options = _spell(self.autoencoders[name])
        if ENTRY in options:
            return _request_entry(options)
        self.list_classes(self.autoencoders[name])
        for apart in ("protect", CLASSES_KEY):
            options.pop(apart, None)
        network = _take(options, _NETWORK)
        if "type" not in options:
            raise UsageError("it has no type")
        known = _take(options, _AUTOENCODER)
        return AutoencoderRequest(network=PlannedNetwork(**network), options=options, seed=seed, **known)

    def request_classifier(self, name: str, seed: int) -> ClassifierRequest | PlacementRequest | EntryRequest:
        """Return the request for a classifier of the plan. Raises UsageError."""
        options = _spell(self.classifiers[name])
        if ENTRY in options:
            return _request_entry(options)
        if "from" in options:
            return self._request_placement(options)
        network, logistic = _take(options, _NETWORK), _take(options, _LOGISTIC)
        retraining = _take(options, _RETRAINING)
        more = {name: options.pop(name) for name in _CLASSIFIER if name in options}
        self.list_classes(self.classifiers[name])
        options.pop(CLASSES_KEY, None)
        if "model" not in options:
            raise UsageError("it has no model")
        model = options.pop("model")
        if options:
            names = ("model", CLASSES_KEY, *_NETWORK, *_LOGISTIC, *_CLASSIFIER, *_RETRAINING)
            known = [name.replace("_", "-") for name in names]
            raise UsageError(unknown("option", next(iter(options)).replace("_", "-"), known))
        return ClassifierRequest(
            model=model,
            network=PlannedNetwork(**network) if network else None,
            logistic=PlannedLogistic(**logistic) if logistic else None,
            retraining=PlannedRetraining(**retraining) if retraining else None,
            seed=seed,
            **more,
        )

    def _request_placement(self, options: dict[str, Any]) -> PlacementRequest:
        """Return the request to put a trained classifier behind a purifier. Raises UsageError."""
        source = options.pop("from")
        if options:
            raise UsageError(f"a classifier with from has no other options, got {', '.join(options)}")
        if source not in (OWN, *self._undefended):
            raise UsageError(f"from: {unknown('classifier', str(source), (OWN, *self._undefended))}")
        return PlacementRequest(source=None if source == OWN else source)


def _request_entry(options: dict[str, Any]) -> EntryRequest:
    """Return the request for an entry of the registry. Raises UsageError."""
    ref = options.pop(ENTRY)
    if options:
        raise UsageError(f"{ENTRY} takes no other options, got {', '.join(options)}")
    if not isinstance(ref, str):
        raise UsageError(f"{ENTRY}: an id or a tag, in quotes, got {ref!r}")
    return EntryRequest(ref=ref)


_NETWORK = {"hidden_size": "hidden", "code_size": "code"} | {
    name: name for name in ("activations", "epochs", "batch_size", "learning_rate")
}
_LOGISTIC = {name: name for name in ("C", "intercept", "max_iter")}
_RETRAINING = {name: name for name in RetrainRequest.model_fields}
_CLASSIFIER = ("noise_level", "layers", "on")
_AUTOENCODER = {name: name for name in ("type", "loss", "rescale")}
"""Option name of the command line, with underscores -> field of the request."""

AUTOENCODER_OPTIONS = (*_AUTOENCODER, "protect", CLASSES_KEY, *_NETWORK)
"""Options of every kind of autoencoder in a plan, with underscores."""


def _spell(options: PlannedOptions) -> dict[str, Any]:
    """Return the options with underscores. Raises UsageError for one that is given twice."""
    spelled: dict[str, Any] = {}
    for name, value in options.items():
        field = name.replace("-", "_")
        if field in spelled:
            raise UsageError(f"{field.replace('_', '-')} is given twice, with '-' and with '_'")
        spelled[field] = value
    return spelled


def _take(options: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Remove the options with these names, and return them by field."""
    return {field: options.pop(name) for name, field in names.items() if name in options}
