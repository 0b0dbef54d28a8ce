"""An app behind an address of its own, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tests.fixtures.valkey import free_port


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """Its address. Whoever calls runs the app's lifespan."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # uvicorn has no event to wait for
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await running
