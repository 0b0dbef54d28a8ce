"""The ASGI app: /v1 is Crisp, /sandbox is the control of the box (loopback only)."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.sandbox.control import control
from app.sandbox.envelope import Answer
from app.sandbox.faults import Fault
from app.sandbox.rest import reply
from app.sandbox.world import World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app(world: World) -> App:
    """An ASGI app that serves one world."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith("/v1/"):
                await _rest(world, scope, send)
            else:
                await control(world, scope, receive, send)

    return app


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _rest(world: World, scope: Scope, send: Send) -> None:
    arrived = asyncio.get_running_loop().time()
    world.counters.enter()
    try:
        method, target = scope["method"], _target(scope)
        credentials, tier = _credentials(scope["headers"])
        answer, struck = reply(world, method, target, credentials, tier)
        wait_ms = world.delay_ms + (struck["slow"].delay_ms if "slow" in struck else 0)
        if wait_ms:
            # Measured from the arrival, so that computing the answer does not add to the delay.
            await asyncio.sleep(arrived + wait_ms / 1000 - asyncio.get_running_loop().time())
    finally:
        world.counters.leave()
    if struck and await _cut(answer, struck, send, world):
        return
    await _send(answer, send, world, head=method == "HEAD")


def _target(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    # The test client of httpx puts the query into raw_path, uvicorn does not.
    path = raw.partition(b"?")[0].decode("latin-1")[3:]
    query: bytes = scope["query_string"]
    return f"{path}?{query.decode('latin-1')}" if query else path


def _credentials(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    credentials = tier = b""
    for name, value in headers:
        if name == b"authorization":
            credentials = value
        elif name == b"x-crisp-tier":
            tier = value
    return credentials, tier


async def _cut(answer: Answer, struck: dict[str, Fault], send: Send, world: World) -> bool:
    """Break the connection if a fault says so: before the answer, or half-way through it."""
    if "drop" in struck:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is None:
            # Without a server there is no connection to close; this is what its end looks like.
            raise ConnectionResetError
        transport.abort()
        return True
    if "half_body" in struck:
        await send(_start(answer, world))
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        # Returning without the rest makes the server close the connection.
        return True
    return False


async def _send(answer: Answer, send: Send, world: World, *, head: bool) -> None:
    await send(_start(answer, world))
    body = b"" if head else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(answer: Answer, world: World) -> dict[str, Any]:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        (b"date", world.clock.http_date()),
        (b"bloom-status", answer.bloom),
        *answer.headers,
    ]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}
