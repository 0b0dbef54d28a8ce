"""Answering a request under /v1: credentials, quota, faults, route, then what changes meanwhile."""

from base64 import b64encode
from dataclasses import replace

from app.sandbox.churn import drift
from app.sandbox.counters import Asked
from app.sandbox.envelope import Answer, Refused, failure, reason_for
from app.sandbox.faults import Fault
from app.sandbox.installs import uninstall
from app.sandbox.query import parse
from app.sandbox.router import Route, find_route
from app.sandbox.site import Site
from app.sandbox.view import View
from app.sandbox.world import World

Struck = dict[str, Fault]

_CACHE_SIZE = 10_000
_HTML = b"<!doctype html><title>Bad gateway</title><h1>We will be back soon</h1>"


def reply(
    world: World, method: str, target: str, credentials: bytes, tier: bytes
) -> tuple[Answer, Struck]:
    """The answer to ``method target`` (target: path after /v1 and query, percent-encoded)."""
    answer, struck = _reply(world, method, target, credentials, tier)
    world.counters.by_status[answer.status] += 1
    return answer, struck


def _reply(
    world: World, method: str, target: str, credentials: bytes, tier: bytes
) -> tuple[Answer, Struck]:
    path, _, query = target.partition("?")
    if method not in ("GET", "HEAD"):
        world.counters.refused_writes.append((method, path))
        return failure(405, "method_not_allowed"), {}
    refusal = _check_credentials(world, credentials, tier)
    if refusal is not None:
        return refusal, {}
    found = find_route(path)
    template = found[0].template if found else "unknown"
    _count(world, method, template, found[1] if found else [], query)
    if not world.quota.take(world.clock.now()):
        return failure(423, "quota_limit_exceeded"), {}
    struck = world.faults.strike(template, target)
    answer = _faulty(struck) if struck else None
    if answer is None:
        answer = _answered(world, method, found, target, query, struck)
    drift(world)
    return answer, struck


def expected_credentials(world: World) -> bytes:
    return b"Basic " + b64encode(f"{world.identifier}:{world.key}".encode())


def _check_credentials(world: World, credentials: bytes, tier: bytes) -> Answer | None:
    """401 for a wrong key or no tier; a tier the key is not of is named as such (section 1)."""
    if credentials != expected_credentials(world):
        return failure(401, "invalid_session")
    if tier == b"plugin":
        return None
    if tier in (b"user", b"website"):
        return failure(401, "restricted_route_tier")
    return failure(401, "invalid_session")


def _count(world: World, method: str, template: str, args: list[str], query: str) -> None:
    counters = world.counters
    counters.total += 1
    counters.by_route[template] += 1
    if counters.log_length:
        params = parse(query.encode())
        counters.log.append(Asked(method, template, tuple(args), params, world.clock.now()))


def _faulty(struck: Struck) -> Answer | None:
    """The answer of a fault that takes the place of the real one."""
    status = struck.get("status")
    if status is not None:
        answer = failure(status.status, status.reason or reason_for(status.status))
        if status.retry_after is not None:
            answer.headers.append((b"retry-after", f"{status.retry_after:g}".encode()))
        return answer
    if "html_200" in struck:
        return Answer(200, _HTML, content_type=b"text/html; charset=utf-8")
    if "error_200" in struck:
        return replace(failure(500, "internal_error"), status=200)
    return None


def _answered(
    world: World,
    method: str,
    found: tuple[Route, list[str]] | None,
    target: str,
    query: str,
    struck: Struck,
) -> Answer:
    stale = struck.get("stale")
    if stale is not None:
        kept = world.answers.get(target)
        if kept is not None and world.clock.now() - kept[0] <= stale.seconds * 1000:
            return replace(kept[1], bloom=b"HIT")
    try:
        answer = _handled(world, method, found, query, struck)
    except Refused as refused:
        return failure(refused.status, refused.reason, refused.message)
    if stale is not None:
        _keep(world, target, answer)
    if "wrong_content_type" in struck:
        answer.content_type = b"text/plain"
    return answer


def _keep(world: World, target: str, answer: Answer) -> None:
    world.answers[target] = (world.clock.now(), answer)
    if len(world.answers) > _CACHE_SIZE:
        world.answers.popitem(last=False)


def _handled(
    world: World,
    method: str,
    found: tuple[Route, list[str]] | None,
    query: str,
    struck: Struck,
) -> Answer:
    if found is None:
        raise Refused(404, "not_found")
    route, args = found
    if (method == "HEAD" and not route.head) or (method == "GET" and not route.get):
        raise Refused(405, "method_not_allowed")
    site: Site | None = None
    if route.website:
        site = world.sites.get(args[0])
        if site is not None and "uninstall" in struck:
            uninstall(world, site)
        if site is None or not site.installed:
            raise Refused(404, "not_subscribed")
        args = args[1:]
    return route.handler(View(world, struck), site, args, parse(query.encode()))
