"""Which attacks to make: a list of methods and threat models, or all that a verdict compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from advae.attacks import ATTACKS, Attack
from advae.checks import MANY_STARTS
from advae.requests import AttackRequest
from advae.run_options import RUN_OPTIONS, values_of
from advae.threats import ALL, THREATS, list_threats

STRONG = "pgd"
"""What stands in where an attack has no steps or no random starts of its own."""

WEAKER = ("noise", "oblivious", "transfer", "black-box")


def climb(requests: Iterable[AttackRequest], *, purified: bool, tell: Callable[[str], None]) -> list[AttackRequest]:
    """Return each request under each of its threat models, ``all`` being every rung that the classifier has.

    A threat model in which only one attack can be made takes that one, and an attack that can be made in only one
    takes that threat model.
    """
    climbed = []
    for request in requests:
        threats = list_threats(purified=purified) if request.threat == ALL else [request.threat]
        for threat in threats:
            fitted = _fit(request, threat)
            if request.threat != ALL and (fitted.method, fitted.threat) != (request.method, threat):
                tell(f"{request.method} under {threat}: {fitted.method} under {fitted.threat} is what that comes to")
            climbed.append(fitted)
    return _drop_repeated(climbed)


def _fit(request: AttackRequest, threat: str) -> AttackRequest:
    """Return a request under a threat model, as the two of them can be put together."""
    row = ATTACKS.get(request.method)
    only = THREATS[threat].method if threat in THREATS else None
    if row and row.threat:
        return request.model_copy(update={"threat": row.threat})
    if only and only != request.method:
        return _ask(request, only, threat=threat)
    return request.model_copy(update={"threat": threat})


def _ask(request: AttackRequest, method: str, **changes: object) -> AttackRequest:
    """Return a request for another attack of the same budget on the same samples, with that attack's own options."""
    effort = ("draws", "queries") if ATTACKS[method].queries else ("draws",)
    shared = (name for name, option in RUN_OPTIONS.items() if option.row.shared)
    kept = values_of(request, ("eps", *shared, *effort))
    return AttackRequest(method=method, **(kept | {"threat": "adaptive"} | changes))


def _drop_repeated(requests: Iterable[AttackRequest]) -> list[AttackRequest]:
    found: list[AttackRequest] = []
    for request in requests:
        if request not in found:
            found.append(request)
    return found


def list_checks(requests: Sequence[AttackRequest], *, purified: bool, side: int) -> list[AttackRequest]:
    """Return what else has to be run on the classifier, so that every verdict on its adaptive attacks can be given."""
    checks = [check for request in requests for check in _check(request, purified=purified, side=side)]
    return [check for check in _drop_repeated(checks) if check not in requests]


def list_undefended(requests: Iterable[AttackRequest]) -> list[AttackRequest]:
    """Return what has to be run on the undefended twin: every adaptive attack, and no weaker one."""
    return [request for request in requests if request.threat == "adaptive"]


def _check(request: AttackRequest, *, purified: bool, side: int) -> Iterator[AttackRequest]:
    known = list_threats(purified=purified)
    attack = request.model_copy(update={"threat": "adaptive"}) if request.threat not in ("noise", "black-box") else None
    base = attack if attack and request.clip else _ask(request, _strong(request))
    yield base
    for threat in WEAKER:
        if threat in known:
            yield _fit(base, threat)
    if request.norm in ATTACKS["fgsm"].norms:
        yield _ask(request, "fgsm")
    row = ATTACKS[base.method]
    strong = base if row.restarts else _ask(request, _strong(request))
    strong = strong.model_copy(update={"restarts": max(strong.restarts or 1, MANY_STARTS)})
    for iterative in (base, strong) if row.steps and not row.queries else (strong,):
        yield iterative
        steps = iterative.steps or ATTACKS[iterative.method].steps or 1
        yield iterative.model_copy(update={"steps": 2 * steps})
    most = 1.0 if request.norm == "linf" else float(side)
    yield strong.model_copy(update={"eps": (most,), "restarts": None})


def _strong(request: AttackRequest) -> str:
    row: Attack | None = ATTACKS.get(request.method)
    return request.method if row and row.restarts else STRONG
