"""Each request has an id, which its log lines, what it changes and the jobs it starts carry on.

One line a request (but for hooks and probes that went well), of fields that are known to be harmless: the route as it is written in the program,
never the address as it was asked for (FAILURES cases 93 and 99).
"""

from __future__ import annotations

import re
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import as_of_request

log = structlog.get_logger(__name__)

HEADER = "X-Request-Id"
# Nothing that could be an address, a text or a token of ours.
_SANE = re.compile(r"(?!cs_)[0-9A-Za-z][0-9A-Za-z_-]{7,63}")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# What machines ask all day: what is well goes into /metrics and is worth no line.
_UNTOLD = frozenset(("/webhooks/crisp", "/healthz", "/readyz", "/metrics"))
NOWHERE = "none"
"""The route of what is at no address of ours."""


@dataclass(slots=True)
class Answered:
    """How many requests a process answered, and in how many seconds together."""

    count: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class RequestFigures:
    """By (method, template of the route, status): as many as the program has of these, whatever is asked for."""

    answered: dict[tuple[str, str, str], Answered] = field(
        default_factory=lambda: defaultdict(Answered)
    )

    def count(self, key: tuple[str, str, str], seconds: float) -> None:
        one = self.answered[key]
        one.count += 1
        one.seconds += seconds


def install_request_ids(app: FastAPI) -> None:
    """Around everything else, so that the answer to a fault has an id as well."""
    build = app.build_middleware_stack
    figures = app.state.request_figures = RequestFigures()
    app.build_middleware_stack = lambda: WithRequestId(build(), app.routes, figures)  # type: ignore[method-assign]


class WithRequestId:
    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], figures: RequestFigures) -> None:
        self.app = app
        self.routes = routes
        self.figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope).get(HEADER))
        status, began = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with as_of_request(request_id):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """`status` 0: whoever asked hung up before there was one."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = route_of(scope, self.routes)
        self.figures.count((method, route, str(status)), seconds)
        if status != 200 or scope["path"] not in _UNTOLD:
            log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000))


def request_id_of(given: str | None) -> str:
    """What the caller or a proxy chose, where it is a plain id; else a new one."""
    return given if given is not None and _SANE.fullmatch(given) else uuid.uuid4().hex


def route_of(scope: Scope, routes: Sequence[BaseRoute]) -> str:
    """The template of the route that answered, as `/contacts/{contact_id}`."""
    route = scope.get("route")
    if route is None:
        return _plain_route_of(scope, routes)
    # Of a part with an address of its own, what stands before the route is known to the part only.
    return f"{scope.get('root_path', '')}{route.path}"


def _plain_route_of(scope: Scope, routes: Sequence[BaseRoute]) -> str:
    """Files, hooks, and what a part refused at its door: FastAPI notes only routes of its own."""
    for route in routes:
        if isinstance(route, Route | Mount) and route.path_regex.match(scope["path"]):
            return route.path
    return NOWHERE
