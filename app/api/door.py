"""Before any route of the API: whose token it is, how much it may still ask, whether it was asked before."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.accounts import replies
from app.accounts.actors import Actor
from app.api.problems import problem
from app.api.spool import again_from, spool
from app.errors import CrispsyncError

if TYPE_CHECKING:
    from app.api.rates import Rates
    from app.db.session import Database

ActorOfToken: TypeAlias = Callable[["Database", str], Awaitable[Actor | None]]
OPEN = "/openapi.json"
UPLOAD = "/imports"
"""What is posted there is a file, and streamed."""
LARGEST_BODY = 1 << 20
_LONGEST_KEY = 200
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="crispsync"'}
_SEND_ONE = (
    "Send a token of crispsync: Authorization: Bearer TOKEN. An admin makes one under Settings."
)
_UNKNOWN = "This token is not known, was revoked, or has expired. Ask an admin for another."


class Door:
    """Middleware of the API's own app; leaves the Actor in `request.state.actor`."""

    def __init__(
        self,
        app: ASGIApp,
        database: Callable[[], Database],
        actor_of_token: ActorOfToken,
        rates: Rates,
        most_mb: Callable[[], int],
    ) -> None:
        self.app, self.database = app, database
        self.actor_of_token, self.rates, self.most_mb = actor_of_token, rates, most_mb

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(OPEN):
            await self.app(scope, receive, send)
            return
        try:
            actor = await self._actor(Headers(scope=scope))
        except CrispsyncError as error:
            await problem(error.http_status, error.message)(scope, receive, send)
            return
        if isinstance(actor, str):
            await problem(401, actor, _CHALLENGE)(scope, receive, send)
            return
        left = self.rates.count(actor.id)
        send = _with_headers(send, left.headers())
        if left.left < 0:
            sentence = f"More than {left.limit} requests in a minute: go on in {left.seconds} s."
            again = {"Retry-After": str(left.seconds)}
            await problem(429, sentence, again)(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        await self._pass(actor, scope, receive, send)

    async def _actor(self, headers: Headers) -> Actor | str:
        """Who it is, or the sentence why not."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            return _SEND_ONE
        return await self.actor_of_token(self.database(), token.strip()) or _UNKNOWN

    async def _pass(self, actor: Actor, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"POST", "PUT", "PATCH", "DELETE"}:
            await self.app(scope, receive, send)
            return
        key = Headers(scope=scope).get("idempotency-key") if scope["method"] == "POST" else None
        if key is not None and (not 0 < len(key) <= _LONGEST_KEY or not key.isprintable()):
            sentence = f"An Idempotency-Key has 1 to {_LONGEST_KEY} printable letters."
            await problem(422, sentence)(scope, receive, send)
            return
        if not scope["path"].endswith(UPLOAD):
            body = await _whole_body(Request(scope, receive))
            if body is None:
                sentence = "That is more than a megabyte; send less at once."
                await problem(413, sentence)(scope, receive, send)
                return
            asked, again = hashlib.sha256(body), again_from(io.BytesIO(body), receive)
            await self._once(actor, key, _hash(scope, asked.digest()), (scope, again, send))
        elif key is None:
            await self.app(scope, receive, send)
        else:
            await self._upload_once(actor, key, (scope, receive, send))

    async def _upload_once(self, actor: Actor, key: str, asgi: tuple[Scope, Receive, Send]) -> None:
        """Whether it is the same file is known when it has arrived: until then it waits on the disk."""
        scope, receive, send = asgi
        with tempfile.TemporaryFile() as file:
            digest = await spool(Request(scope, receive), file, self.most_mb() << 20)
            if digest is None:
                sentence = f"The file has more than {self.most_mb():,} MB; split it."
                await problem(413, sentence)(scope, receive, send)
                return
            again = again_from(file, receive)
            await self._once(actor, key, _hash(scope, digest), (scope, again, send))

    async def _once(
        self, actor: Actor, key: str | None, asked: str, asgi: tuple[Scope, Receive, Send]
    ) -> None:
        if key is None:
            await self.app(*asgi)
            return
        scope, receive, send = asgi
        db = self.database()
        try:
            known = await db.transact(lambda c: replies.begin(c, actor, key, asked))
        except CrispsyncError as error:
            await problem(error.http_status, error.message)(*asgi)
            return
        if known is not None:
            await _replayed(known)(*asgi)
            return
        answered = _Recorded(send)
        try:
            await self.app(scope, receive, answered.send)
        finally:
            reply = answered.reply()
            if reply is None or reply.status >= 500:
                await db.transact(lambda c: replies.forget(c, actor, key))
            else:
                await db.transact(lambda c: replies.keep(c, actor, key, reply))


class _Recorded:
    """Passes an answer on and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send, self._status, self._parts = send, 0, [b""]

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        else:
            self._parts.append(message.get("body", b""))
        await self._send(message)

    def reply(self) -> replies.Reply | None:
        if not self._status:
            return None
        return replies.Reply(self._status, b"".join(self._parts).decode())


def _replayed(known: replies.Reply) -> Response:
    kind = "application/json" if known.status < 400 else "application/problem+json"
    headers = {"Idempotent-Replayed": "true"}
    return Response(known.body, known.status, headers, media_type=kind)


def _hash(scope: Scope, digest: bytes) -> str:
    asked = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n" + digest
    return hashlib.sha256(asked).hexdigest()


async def _whole_body(request: Request) -> bytes | None:
    """None when it is larger than is taken."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            return None
    return body


def _with_headers(send: Send, given: Mapping[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in given.items():
                headers[name] = value
        await send(message)

    return send_with_headers
