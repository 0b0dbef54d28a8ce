"""A body that is read before the route reads it: kept aside, and given again."""

from __future__ import annotations

import asyncio
import hashlib
import io
from typing import IO

from starlette.requests import Request
from starlette.types import Message, Receive

_BLOCK = 1 << 20


async def spool(request: Request, file: IO[bytes], most: int) -> bytes | None:
    """SHA-256 of the body, which `file` then has from its beginning; None when it has more than `most` bytes."""
    digest, size = hashlib.sha256(), 0
    async for block in request.stream():
        size += len(block)
        if size > most:
            return None
        digest.update(block)
        await asyncio.to_thread(file.write, block)
    file.seek(0)
    return digest.digest()


def again_from(file: IO[bytes], receive: Receive) -> Receive:
    """What `file` holds, block by block, and then what the client does next."""
    ended = False

    async def receive_again() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        small = isinstance(file, io.BytesIO)
        block = file.read(_BLOCK) if small else await asyncio.to_thread(file.read, _BLOCK)
        ended = len(block) < _BLOCK
        return {"type": "http.request", "body": block, "more_body": not ended}

    return receive_again
