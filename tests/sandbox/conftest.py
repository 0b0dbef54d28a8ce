"""A small frozen world and a client that speaks to it without a network."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from app.sandbox.asgi import create_app
from app.sandbox.world import World

# 2026-09-21, a Monday, 14:13:20 UTC.
START = 1_790_000_000_000


@pytest.fixture
def world() -> World:
    return World(7, 120, 500, start_ms=START, frozen=True)


@pytest_asyncio.fixture
async def crisp(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(world)),
        base_url="http://crisp.example/v1",
        auth=(world.identifier, world.key),
        headers={"X-Crisp-Tier": "plugin"},
    ) as client:
        yield client


@pytest_asyncio.fixture
async def box(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The control routes."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(world)), base_url="http://crisp.example/sandbox"
    ) as client:
        yield client
