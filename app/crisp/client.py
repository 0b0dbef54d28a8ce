"""Asking Crisp: GET and HEAD, one retry layer, one pace for everybody (SPEC P1, S6).

Source of the protocol: crisp/REFERENCE.md sections 1, 3 and 5.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import httpx
import stamina
from aiohttp import ClientError, ClientSession, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport

from app.clock import now, now_ms
from app.crisp.budget import Budget, Purpose
from app.crisp.errors import AuthRejected, Permanent, Throttled, Transient, error_for
from app.crisp.payloads import Unreadable, parse
from app.crisp.scopes import Outcome, note
from app.crisp.skew import CrispClock

TIMEOUT = httpx.Timeout(30, connect=10).as_dict()
WHOLE_ANSWER = 120.0
"""Seconds until an answer is given up that trickles in quickly enough for every other time limit."""
RETRIES = 4
# What a cache hands out may be this old (crisp/GAPS.md row 18 and FAILURES case 49).
CACHED_AGE_MS = 60_000
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]*)?|\.[0-9]+")
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


class ReadOnlyTransport(AiohttpTransport):
    """Refuses to send anything that could change something in Crisp."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method not in _METHODS:
            raise AssertionError("crispsync reads from Crisp and never writes to it")
        return await super().handle_async_request(request)


class CrispClient:
    """Up to `concurrency` requests at once.

    httpx's transport is used directly: its client spends as long again on redirects, cookies and
    authentication, of which there are none here (docs/why.md).
    """

    def __init__(
        self, base_url: str, credential: Credential, budget: Budget, concurrency: int = 8
    ) -> None:
        self.budget = budget
        self.clock = CrispClock()
        self.outcomes: dict[str, Outcome] = {}
        """What was seen of each scope since somebody wrote it down."""
        self._base = base_url.rstrip("/") + "/"
        self._host = httpx.URL(base_url).host
        self._headers = _headers(credential)
        self._concurrency = concurrency
        self._connections = asyncio.Semaphore(concurrency)
        self._transport = ReadOnlyTransport(
            client=lambda: _open_session(concurrency), proxy=proxy_for(httpx.URL(base_url))
        )

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
        try:
            return await self._ask_until_not_throttled(path, params, website_id, purpose)
        except Transient:
            pass
        async for attempt in stamina.retry_context(
            on=Transient, attempts=RETRIES, wait_initial=0.25, wait_max=10, timeout=None
        ):
            with attempt:
                return await self._ask_until_not_throttled(path, params, website_id, purpose)
        raise AssertionError("unreachable: the loop returns or raises")

    def __len__(self) -> int:
        """How many requests may be under way at once."""
        return self._concurrency

    async def close(self) -> None:
        await self._transport.aclose()

    async def _ask_until_not_throttled(
        self,
        path: str,
        params: Mapping[str, str | int] | None,
        website_id: str,
        purpose: Purpose,
    ) -> Answer:
        while True:
            # The connection first: who waited for one inside a turn would ask during a pause.
            async with self._connections, self.budget.turn(website_id, purpose):
                try:
                    answer = await self._ask(path, params)
                except AuthRejected as error:
                    if error.status == 403:
                        note(self.outcomes, path, refused=True)
                    raise
                except Throttled as throttled:
                    await self.budget.pause(throttled.retry_after, throttled.quota, str(throttled))
                else:
                    note(self.outcomes, path, refused=False)
                    await self.budget.went_well()
                    return answer

    async def _ask(self, path: str, params: Mapping[str, str | int] | None) -> Answer:
        query = f"?{urlencode(params)}" if params else ""
        request = httpx.Request(
            "GET",
            f"{self._base}{path}{query}",
            headers=self._headers,
            extensions={"timeout": TIMEOUT},
        )
        sent_ms = now_ms()
        try:
            async with asyncio.timeout(WHOLE_ANSWER):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await response.aread()
                finally:
                    await response.aclose()
        except (httpx.RequestError, ClientError, TimeoutError) as error:
            raise Transient(
                f"Crisp cannot be reached at {self._host} ({type(error).__name__})."
            ) from None
        self.clock.observe(response.headers.get("date"), sent_ms, now_ms())
        cached = response.headers.get("bloom-status") == "HIT"
        asked_ms = self.clock.at(sent_ms) - (CACHED_AGE_MS if cached else 0)
        data = _data_of(response, body)
        return Answer(data, more=response.status_code == 206, asked_ms=asked_ms, cached=cached)


def _headers(credential: Credential) -> list[tuple[bytes, bytes]]:
    token = b64encode(f"{credential.identifier}:{credential.key}".encode())
    return [
        (b"Authorization", b"Basic " + token),
        (b"X-Crisp-Tier", b"plugin"),
        (b"User-Agent", b"crispsync/0.1"),
        (b"Accept-Encoding", b"gzip, deflate"),
    ]


def _open_session(concurrency: int) -> ClientSession:
    connector = TCPConnector(limit=concurrency, keepalive_timeout=60)
    return ClientSession(connector=connector, cookie_jar=DummyCookieJar())


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for `url`.

    Looked up once: with `trust_env` aiohttp does it for each request, twice, in another thread.
    """
    named = getproxies().get(url.scheme)
    if not named or proxy_bypass(url.host):
        return None
    return httpx.Proxy(named)


def _data_of(response: httpx.Response, content: bytes) -> Any:
    """The envelope's data; a success that says `error` or is no JSON is never an empty page."""
    body = _envelope(content)
    if response.status_code in {200, 206}:
        if body is None or body.get("error") is not False or "data" not in body:
            raise Transient("Crisp sent an answer that is not readable.", status=200)
        return body["data"]
    reason = body.get("reason") if body else ""
    raise error_for(
        response.status_code, reason if isinstance(reason, str) else "", _retry_after(response)
    )


def _envelope(content: bytes) -> dict[str, Any] | None:
    try:
        body = parse(content)
    except Unreadable:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; from a number, or from a date on the sender's own clock. None when it is neither."""
    value = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    until, sent = _http_date(value), _http_date(response.headers.get("date", ""))
    if until is None:
        return None
    return max(0.0, (until - (sent or now())).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def refuse_path_part(part: str) -> str:
    """Ids go into paths; one that could change the path is refused. Raises Permanent."""
    if not part or len(part) > 128 or not all(c.isalnum() or c in "-_" for c in part):
        raise Permanent("An id from Crisp has a form that no Crisp id has.")
    return part
