"""A request whose head does not end is not waited for, and a head without end is not kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from app.commands import heads

QUESTION = b"GET / HTTP/1.1\r\nHost: crispsync\r\n"


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """A server with this protocol; its port."""
    config = uvicorn.Config(
        PlainTextResponse("here\n"), http=heads.HeadsInTime, port=0, log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def answer_to(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GE", QUESTION, QUESTION + b"X: "])
async def test_case_012_a_head_that_does_not_end(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.2)
    async with serving() as port:
        assert await answer_to(port, sent) == b""
        whole = await answer_to(port, QUESTION, b"Connection: close\r\n\r\n")
        assert whole.startswith(b"HTTP/1.1 200")


async def test_case_012_a_head_without_end() -> None:
    async with serving() as port:
        line = b"X: " + b"x" * 8_000 + b"\r\n"
        assert await answer_to(port, QUESTION, *[line] * 40) == b""
        fits = await answer_to(port, QUESTION, line, b"Connection: close\r\n\r\n")
        assert fits.startswith(b"HTTP/1.1 200")


async def test_case_012_the_second_request_of_a_connection_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.3)
    async with serving() as port:
        both = await answer_to(port, QUESTION + b"\r\n" + QUESTION)
        assert both.count(b"HTTP/1.1 200") == 1
