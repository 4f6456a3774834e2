"""Choice of the attacks that a command runs: each method under each threat model, and the runs that checks need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from advae.attacks import ATTACKS, Attack
from advae.checks import MANY_RESTARTS
from advae.records import ImageShape
from advae.requests import AttackRequest
from advae.run_options import RUN_OPTIONS, values_of
from advae.threats import ALL, THREATS, list_threats

STRONG = "pgd"
"""The attack that the checks use where the requested one has no iterations or no random restarts."""

ASKING = "square"
"""The attack that replaces one by gradients on a model that gives scores only."""

UNFIT = ("noise", "black-box", "elsewhere")
"""The threat models whose attacks do not fit the adaptive one; the checks compare with STRONG there."""

COMPARED_THREATS = ("noise", "oblivious", "transfer", "black-box")
"""The threat models that the checks compare an adaptive attack with."""


def apply_threat_models(
    requests: Iterable[AttackRequest],
    *,
    purified: bool,
    tell: Callable[[str], None],
    scores_only: bool = False,
    samples: bool = False,
    retrained: bool = False,
    on_code: bool = False,
) -> list[AttackRequest]:
    """Return each request under each of its threat models; for ``all``, under each that the classifier has.

    Where the method does not fit a threat model, its default attack replaces the method; where an attack has one threat
    model only, that replaces the threat model. scores_only: whether the classifier has no gradients; attacks that need
    none then also run under ``adaptive``, and replace the others there for ``all``. samples: whether the purifier is
    random; retrained: whether the classifier was retrained on adversarial examples; on_code: whether it classifies the
    purifier's code. tell: takes a line about each replacement.
    """
    chosen = []
    for request in requests:
        known = list_threats(purified=purified, samples=samples, retrained=retrained, on_code=on_code)
        threats = known if request.threat == ALL else [request.threat]
        for threat in threats:
            fitted = _fit(request, threat, scores_only=scores_only)
            if request.threat == ALL and scores_only and _is_blind(fitted):
                fitted = _ask(fitted, ASKING, threat=threat)
            if request.threat != ALL and (fitted.method, fitted.threat) != (request.method, threat):
                tell(f"{request.method} does not fit {threat}: running {fitted.method} under {fitted.threat} instead")
            chosen.append(fitted)
    return _drop_repeated(chosen)


def _fit(request: AttackRequest, threat: str, *, scores_only: bool = False) -> AttackRequest:
    """Return a request under a threat model, with the method or threat model replaced where they do not fit."""
    row = ATTACKS.get(request.method)
    fitting = THREATS[threat].methods if threat in THREATS else None
    asks = scores_only and threat in THREATS and THREATS[threat].differentiates_classifier
    if row and row.threat and not (asks and request.method == ASKING):
        return request.model_copy(update={"threat": row.threat})
    if fitting and request.method not in fitting:
        return _ask(request, fitting[0], threat=threat)
    return request.model_copy(update={"threat": threat})


def _ask(request: AttackRequest, method: str, **changes: object) -> AttackRequest:
    """Return a request for another attack with its own options, at the same budget on the same samples."""
    effort = ("draws", "queries") if ATTACKS[method].queries else ("draws",)
    shared = (name for name, option in RUN_OPTIONS.items() if option.row.shared)
    common = values_of(request, ("eps", *shared, *effort))
    return AttackRequest(method=method, **(common | {"threat": "adaptive"} | changes))


def _drop_repeated(requests: Iterable[AttackRequest]) -> list[AttackRequest]:
    found: list[AttackRequest] = []
    for request in requests:
        if request not in found:
            found.append(request)
    return found


def list_comparisons(
    requests: Sequence[AttackRequest],
    *,
    purified: bool,
    shape: ImageShape,
    scores_only: bool = False,
    retrained: bool = False,
) -> list[AttackRequest]:
    """Return the additional runs on the classifier that the checks of its adaptive attacks need.

    scores_only: whether the classifier has no gradients, so that no run that needs them is among these; retrained:
    whether it was retrained on adversarial examples.
    """
    known = list_threats(purified=purified, retrained=retrained)
    checks = [check for request in requests for check in _check(request, known, shape=shape)]
    possible = [check for check in checks if not (scores_only and _is_blind(check))]
    return [check for check in _drop_repeated(possible) if check not in requests]


def _is_blind(request: AttackRequest) -> bool:
    """Return whether a request needs gradients of the classifier itself."""
    row = ATTACKS.get(request.method)
    threat = THREATS.get(request.threat)
    return bool(row and threat and row.needs_gradients and threat.differentiates_classifier)


def list_undefended(requests: Iterable[AttackRequest]) -> list[AttackRequest]:
    """Return the attacks to run on the undefended counterpart: the adaptive ones."""
    return [request for request in requests if request.threat == "adaptive"]


def _check(request: AttackRequest, known: Sequence[str], *, shape: ImageShape) -> Iterator[AttackRequest]:
    """Yield the runs that the checks of one request need. known: the threat models that the classifier has."""
    attack = request.model_copy(update={"threat": "adaptive"}) if request.threat not in UNFIT else None
    base = attack if attack and request.clip else _ask(request, _strong(request))
    yield base
    for threat in COMPARED_THREATS:
        if threat in known:
            yield _fit(base, threat)
    if request.norm in ATTACKS["fgsm"].norms:
        yield _ask(request, "fgsm")
    row = ATTACKS[base.method]
    strong = base if row.restarts else _ask(request, _strong(request))
    strong = strong.model_copy(update={"restarts": max(strong.restarts or 1, MANY_RESTARTS)})
    for iterative in (base, strong) if row.steps and not row.queries else (strong,):
        yield iterative
        steps = iterative.steps or ATTACKS[iterative.method].steps or 1
        yield iterative.model_copy(update={"steps": 2 * steps})
    most = 1.0 if request.norm == "linf" else shape.diameter
    yield strong.model_copy(update={"eps": (most,), "restarts": None})


def _strong(request: AttackRequest) -> str:
    """Return the attack that is run with more restarts and iterations: of an ensemble its first one that has any."""
    row: Attack | None = ATTACKS.get(request.method)
    members = [member.attack for member in row.list_members(request.norm)] if row else []
    return next((name for name in (request.method, *members) if row and ATTACKS[name].restarts), STRONG)
