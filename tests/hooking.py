"""For tests that apply hooks: what was received stands in the inbox, whoever received it.

async with connected(database_url) as site:
    await hooked(site, hook("message:send", at=3, session_id="s", fingerprint=1, …))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from app.clock import from_ms
from app.db.base import StoredRow
from app.db.session import Database
from app.webhooks.apply import apply_waiting
from app.webhooks.tables import inbox_events
from app.websites.tables import websites
from tests.ingesting import WEBSITE, Json, Site, moment, ms


def hook(event: str, at: float = 0, *, website_id: str = WEBSITE, **data: Any) -> Json:
    """A body as Crisp sends it; `at` in minutes after START."""
    inner = {"website_id": website_id, **data}
    return {"website_id": website_id, "event": event, "data": inner, "timestamp": ms(at)}


def sent(
    session_id: str, fingerprint: int, content: Any = "Hello", at: float = 0, **more: Any
) -> Json:
    """message:send, of a visitor."""
    body = {
        "session_id": session_id, "type": "text", "from": "user", "origin": "chat", "content": content,
        "stamped": True, "timestamp": ms(at), "fingerprint": fingerprint,
        "user": {"nickname": "Ann", "user_id": session_id}, **more,
    }  # fmt: skip
    return hook("message:send", at, **body)


def row_of(body: Json | bytes, received_at: datetime | None = None, **given: Any) -> Json:
    """The inbox row that intake makes of a delivery."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told: Json = {} if isinstance(body, bytes) else body
    at_ms = told.get("timestamp", 0)
    return {
        "id": hashlib.sha256(raw).hexdigest(),
        "website_id": told.get("website_id"),
        "event": told.get("event", ""),
        "state": "new",
        "attempts": 0,
        "deliveries": 1,
        "error": None,
        "received_at": received_at or (from_ms(at_ms) or datetime.now(UTC)) + timedelta(seconds=1),
        "body": raw,
        "emitted_ms": at_ms,
        "first_attempt": 1,
        **given,
    }


async def receive(db: Database, *rows: Json) -> None:
    async with db.write() as connection:
        await connection.execute(insert(inbox_events), list(rows))


async def activate(site: Site) -> None:
    """As somebody does who asks for the first import."""
    await site.execute(
        update(websites).where(websites.c.id == site.id).values(activated_at=moment(0))
    )


async def hooked(site: Site, *bodies: Json) -> list[StoredRow]:
    """Receive and apply; the rows of the inbox afterwards, in the order given."""
    await activate(site)
    rows = [row_of(body) for body in bodies]
    await receive(site.db, *rows)
    await apply_waiting(site.db)
    return await inbox(site.db, [row["id"] for row in rows])


async def inbox(db: Database, ids: Sequence[str]) -> list[StoredRow]:
    async with db.read() as connection:
        found = await connection.execute(select(inbox_events).where(inbox_events.c.id.in_(ids)))
        by_id = {row.id: row for row in found}
    return [by_id[key] for key in ids]
