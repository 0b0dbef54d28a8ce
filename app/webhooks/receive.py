"""`POST /webhooks/crisp`: size, signature, commit, 200; in this order, and with nothing else on the way.

An ASGI application of its own instead of a function with a Request: this is the one route that has
to keep up with whatever Crisp sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app import clock
from app.crisp.signature import fitting_secret, is_well_formed
from app.errors import DatabaseAway
from app.webhooks.group_commit import GroupCommit
from app.webhooks.hooks import read_hook
from app.webhooks.refusals import Cause, Refusals

PATH = "/webhooks/crisp"
MOST_BYTES = 1024 * 1024
BODY_SECONDS = 10.0

# What is not read to its end cannot be followed by another request on the same connection.
_HANG_UP = {"Connection": "close"}
STORED = PlainTextResponse("stored\n")
# One text for all causes: nobody shall learn from it how near a guess was (FAILURES case 7).
FORBIDDEN = PlainTextResponse("The signature is not right.\n", 403)
ONLY_POST = PlainTextResponse("Only POST.\n", 405, {"Allow": "POST"})
TOO_SLOW = PlainTextResponse("The body took too long.\n", 408, _HANG_UP)
TOO_LARGE = PlainTextResponse("At most 1 MB.\n", 413, _HANG_UP)
NOT_JSON = PlainTextResponse("Only application/json.\n", 415, _HANG_UP)
ENCODED = PlainTextResponse("Only without Content-Encoding.\n", 415, _HANG_UP)
AWAY = PlainTextResponse("The database is away; send it again.\n", 503, {"Retry-After": "5"})

Headers = dict[bytes, bytes]

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """Why a delivery is not taken, and the answer that says so."""

    def __init__(self, cause: Cause, answer: Response) -> None:
        super().__init__(cause)
        self.cause = cause
        self.answer = answer


class _Gone(Exception):
    """The sender hung up before the body was complete."""


class HookReceiver:
    """Without any secret every hook is refused; while the secrets are not known (None), none is
    judged: Crisp is to send it again.
    """

    def __init__(
        self, secrets: Sequence[bytes] | None, commits: GroupCommit, refusals: Refusals
    ) -> None:
        self._secrets: Sequence[bytes] | None = None
        self._commits = commits
        self._refusals = refusals
        self.accepted_by_secret: list[int] = []
        """How many hooks each secret has signed, to see when an old one can go (case 25)."""
        if secrets is not None:
            self.use(secrets)

    def use(self, secrets: Sequence[bytes]) -> None:
        """From now on these count."""
        if self._secrets is None or tuple(secrets) != tuple(self._secrets):
            self._secrets = tuple(secrets)
            self.accepted_by_secret = [0] * len(secrets)

    @property
    def can_verify(self) -> bool:
        return bool(self._secrets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except _Gone:
            return
        except Refusal as refusal:
            self._refusals.count(refusal.cause)
            answer = refusal.answer
        except DatabaseAway:
            answer = AWAY
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            return ONLY_POST
        headers: Headers = dict(scope["headers"])
        _check_form(headers)
        body = await _read(receive, _announced(headers))
        timestamp = headers.get(b"x-crisp-request-timestamp", b"")
        self._check_signature(timestamp, body, headers.get(b"x-crisp-signature", b""))
        attempt = headers.get(b"x-delivery-attempt-count", b"")
        await self._commits.keep(read_hook(body, timestamp, attempt, clock.now()))
        return STORED

    def _check_signature(self, timestamp: bytes, body: bytes, signature: bytes) -> None:
        if self._secrets is None:
            raise DatabaseAway("The signing secrets could not be read yet.")
        index = fitting_secret(self._secrets, timestamp, body, signature)
        if index is None:
            raise Refusal(self._why_forbidden(signature), FORBIDDEN)
        self.accepted_by_secret[index] += 1
        if index > 0 and self.accepted_by_secret[index] == 1:
            log.info("hooks.signed_with_another_secret", count=index + 1)

    def _why_forbidden(self, signature: bytes) -> Cause:
        if not self._secrets:
            return "no_secret"
        if not signature:
            return "signature_missing"
        return "signature_wrong" if is_well_formed(signature) else "signature_malformed"


def _check_form(headers: Headers) -> None:
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in {b"", b"identity"}:
        raise Refusal("encoded", ENCODED)
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in {b"", b"application/json"}:
        raise Refusal("content_type", NOT_JSON)


def _announced(headers: Headers) -> int:
    """Content-Length; 0 when it is missing or nonsense, which the server in front refuses anyway."""
    told = headers.get(b"content-length", b"")
    return int(told) if told.isdigit() and len(told) < 20 else 0


async def _read(receive: Receive, announced: int) -> bytes:
    """The body as it came. Raises Refusal as soon as it is too large, or takes too long."""
    if announced > MOST_BYTES:
        raise Refusal("too_large", TOO_LARGE)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_all(receive)
    except TimeoutError:
        raise Refusal("too_slow", TOO_SLOW) from None


async def _read_all(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            raise Refusal("too_large", TOO_LARGE)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Endpoint:
    """An object, not a function: Starlette then hands it every method, and the 405 is ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.hook_receiver(scope, receive, send)


def hook_routes() -> list[Route]:
    """`app.state.hook_receiver` must be there when the first hook comes.

    With and without a slash at the end: a redirect would lose the hook (FAILURES case 27).
    """
    return [Route(path, _Endpoint(), include_in_schema=False) for path in (PATH, f"{PATH}/")]
