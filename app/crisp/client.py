"""Asking Crisp: GET and HEAD, one retry layer, one pace for everybody (SPEC P1, S6).

Source of the protocol: crisp/REFERENCE.md sections 1, 3 and 5.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import stamina

from app.clock import now_ms
from app.crisp.budget import Budget, Purpose
from app.crisp.errors import Permanent, Throttled, Transient, error_for
from app.crisp.payloads import Unreadable, parse
from app.crisp.skew import CrispClock

TIMEOUT = httpx.Timeout(30, connect=10)
TRIES = 5
# What a cache hands out may be this old (crisp/GAPS.md row 18 and FAILURES case 49).
CACHED_AGE_MS = 60_000
_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Answer:
    """`more`: Crisp says there are further rows (206). `asked_ms`: Crisp's clock when it was asked,
    earlier by CACHED_AGE_MS when the answer came from Crisp's cache.
    """

    data: Any
    more: bool
    asked_ms: int
    cached: bool


@dataclass(frozen=True, slots=True)
class Credential:
    identifier: str
    key: str


class ReadOnlyTransport(httpx.AsyncHTTPTransport):
    """Refuses to send anything that could change something in Crisp."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method not in _METHODS:
            raise AssertionError("crispsync reads from Crisp and never writes to it")
        return await super().handle_async_request(request)


class CrispClient:
    """Up to `concurrency` requests at once, each on a connection of its own.

    One httpx client with a pool of eight answers a third slower than eight clients with one
    connection each (docs/why.md), so idle clients wait in a queue.
    """

    def __init__(
        self, base_url: str, credential: Credential, budget: Budget, concurrency: int = 8
    ) -> None:
        self.budget = budget
        self.clock = CrispClock()
        self._idle: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        context: ssl.SSLContext | bool = (
            httpx.create_ssl_context() if base_url.startswith("https:") else False
        )
        self._all = [_open(base_url, credential, context) for _ in range(concurrency)]
        for client in self._all:
            self._idle.put_nowait(client)

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        website_id: str = "",
        purpose: Purpose = "sync",
    ) -> Answer:
        """The `data` of a successful answer.

        Raises Paused (app/errors.py) when the quota is used up for longer than is worth waiting,
        and the errors of app/crisp/errors.py. Throttling costs no try: it waits and asks again.
        """
        async for attempt in stamina.retry_context(
            on=Transient, attempts=TRIES, wait_initial=0.25, wait_max=10, timeout=None
        ):
            with attempt:
                return await self._ask_until_not_throttled(path, params, website_id, purpose)
        raise AssertionError("unreachable: the loop returns or raises")

    def __len__(self) -> int:
        """How many requests may be under way at once."""
        return len(self._all)

    async def close(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._all))

    async def _ask_until_not_throttled(
        self,
        path: str,
        params: Mapping[str, str | int] | None,
        website_id: str,
        purpose: Purpose,
    ) -> Answer:
        while True:
            async with self.budget.turn(website_id, purpose):
                try:
                    answer = await self._ask(path, params)
                except Throttled as throttled:
                    await self.budget.pause(throttled.retry_after, throttled.quota, str(throttled))
                else:
                    await self.budget.went_well()
                    return answer

    async def _ask(self, path: str, params: Mapping[str, str | int] | None) -> Answer:
        client = await self._idle.get()
        sent_ms = now_ms()
        try:
            response = await client.get(path, params=params)
        except httpx.TransportError as error:
            raise Transient(
                f"Crisp cannot be reached at {client.base_url.host} ({type(error).__name__})."
            ) from None
        finally:
            self._idle.put_nowait(client)
        self.clock.observe(response.headers.get("date"), sent_ms, now_ms())
        cached = response.headers.get("bloom-status") == "HIT"
        asked_ms = self.clock.at(sent_ms) - (CACHED_AGE_MS if cached else 0)
        data = _data_of(response)
        return Answer(data, more=response.status_code == 206, asked_ms=asked_ms, cached=cached)


def _open(
    base_url: str, credential: Credential, verify: ssl.SSLContext | bool
) -> httpx.AsyncClient:
    token = b64encode(f"{credential.identifier}:{credential.key}".encode()).decode()
    return httpx.AsyncClient(
        base_url=base_url.rstrip("/") + "/",
        headers={
            "Authorization": f"Basic {token}",
            "X-Crisp-Tier": "plugin",
            "User-Agent": "crispsync/0.1",
        },
        timeout=TIMEOUT,
        transport=ReadOnlyTransport(
            verify=verify, limits=httpx.Limits(max_connections=1, keepalive_expiry=60)
        ),
    )


def _data_of(response: httpx.Response) -> Any:
    """The envelope's data; a success that says `error` or is no JSON is never an empty page."""
    body = _envelope(response)
    if response.status_code in {200, 206}:
        if body is None or body.get("error") is not False or "data" not in body:
            raise Transient("Crisp sent an answer that is not readable.", status=200)
        return body["data"]
    reason = body.get("reason") if body else ""
    raise error_for(
        response.status_code, reason if isinstance(reason, str) else "", _retry_after(response)
    )


def _envelope(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = parse(response.content)
    except Unreadable:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def refuse_path_part(part: str) -> str:
    """Ids go into paths; one that could change the path is refused. Raises Permanent."""
    if not part or len(part) > 128 or not all(c.isalnum() or c in "-_" for c in part):
        raise Permanent("An id from Crisp has a form that no Crisp id has.")
    return part
