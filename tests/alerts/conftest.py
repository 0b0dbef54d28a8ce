"""A database of two websites with one of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from app.db.session import Database, open_database
from tests.pages.rows import OTHER_SITE, put, small_world


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    await put(opened, [*small_world(), *small_world(OTHER_SITE, "other-")])
    yield opened
    await opened.close()
