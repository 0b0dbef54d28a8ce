"""Many people look at once: nobody waits for what another one holds."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from app.db.session import Database
from tests.fixtures.people import log_in_as
from tests.pages import rows
from tests.pages.conftest import ORIGIN, Stand, pages_app
from tests.pages.rows import put

CROWD = 40
"""More than a pool has connections."""


@pytest.mark.parametrize("path", ["/", "/insights"])
async def test_a_crowd_on_a_page_of_two_connections_gets_it(db: Database, path: str) -> None:
    await put(db, [rows.website()])
    transport = httpx.ASGITransport(app=pages_app(db, Stand()))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as client:
        (await log_in_as(db)).give(client)
        answers = await asyncio.gather(*(client.get(path) for _ in range(CROWD)))
    assert [answer.status_code for answer in answers] == [200] * CROWD
