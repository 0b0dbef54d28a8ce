"""A database, and events of the inbox by what a test says of them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import insert

from app.db.session import Database, open_database
from app.webhooks.tables import inbox_events
from app.websites.tables import websites

SITE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
OTHER = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
NOW = datetime.now(UTC).replace(microsecond=0)

Put = Callable[..., Awaitable[list[str]]]


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def an_event(key: object, **given: Any) -> dict[str, Any]:
    body = given.get("body", f'{{"n":"{key}"}}'.encode())
    plain = {
        "id": hashlib.sha256(str(key).encode()).hexdigest(),
        "website_id": SITE,
        "event": "message:send",
        "state": "dead",
        "attempts": 3,
        "deliveries": 1,
        "error": "It did not fit.",
        "received_at": ago(hours=1),
        "done_at": ago(minutes=50),
        "emitted_ms": 0,
        "first_attempt": 1,
    }
    return {**plain, **given, "body": body}


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def put(db: Database) -> Put:
    async def write(*events: dict[str, Any]) -> list[str]:
        async with db.write() as connection:
            await connection.execute(insert(inbox_events), list(events))
        return [event["id"] for event in events]

    return write


async def connect_website(db: Database, website_id: str = SITE, status: str = "connected") -> None:
    row = {
        "id": website_id, "name": "Acme", "status": status, "connected_at": ago(days=30),
        "generation": 1, "import_people": True, "import_conversations": True,
        "import_notes": True, "import_custom_data": False, "mapping": {}, "time_zone": "UTC",
    }  # fmt: skip
    async with db.write() as connection:
        await connection.execute(insert(websites).values(row))
