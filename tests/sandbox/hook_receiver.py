"""A real HTTP server that takes hooks and answers as a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn

from app.sandbox.quiet_server import QuietServer
from app.sandbox.serve import _listen


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it came."""

    body: bytes
    headers: dict[str, str]

    @property
    def attempt(self) -> str:
        return self.headers["x-delivery-attempt-count"]

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(slots=True)
class Receiver:
    """``answer`` gets each whole request and says the status; ``most_at_once``: requests in flight."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], int] = lambda _got: 200
    open: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, count: int) -> None:
        """Until so many requests have come."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.got) >= count)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            if part["type"] == "http.disconnect":
                return  # a sender that is stopped may have sent the headers and half a body
            body, more = body + part.get("body", b""), part.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        got = Got(body, headers)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with self.news:
            self.got.append(got)
            self.news.notify_all()
        await self.open.wait()
        self.at_once -= 1
        await send({"type": "http.response.start", "status": self.answer(got), "headers": []})
        await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port. It answers while its ``open`` is set, as it is at first."""
    receiver = Receiver()
    receiver.open.set()
    with _listen("127.0.0.1", 0) as sock:
        receiver.url = f"http://127.0.0.1:{sock.getsockname()[1]}/hook"
        config = uvicorn.Config(
            receiver, lifespan="off", access_log=False, log_config=None,
            timeout_graceful_shutdown=1,
            # Longer than any sender keeps a connection: else a hook sent at the very moment in
            # which the server closes an idle one is unanswered, and is sent once more.
            timeout_keep_alive=3600,
        )  # fmt: skip
        server = QuietServer(config)
        running = asyncio.create_task(server.serve(sockets=[sock]))
        await server.ready.wait()
        try:
            yield receiver
        finally:
            receiver.open.set()
            server.should_exit = True
            await running
