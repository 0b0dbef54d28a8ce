"""No page asks the database more than twelve times, whatever it shows: session, frame and all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from app.accounts.sessions import open_frame_session
from app.db.session import Database
from tests.fixtures.people import log_in_as
from tests.pages.conftest import ORIGIN
from tests.pages.every_page import OF_STRANGERS, REFUSED, page_addresses, started, whole_app
from tests.pages.full_world import put_all, put_world, views_of
from tests.pages.rows import SITE

pytestmark = pytest.mark.asyncio

AT_MOST = 12


LISTENER: ContextVar[list[str] | None] = ContextVar("listener", default=None)


@contextmanager
def heard(db: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile, by whoever runs in this context: not by the alerts beside."""
    sent: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if LISTENER.get() is sent and not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", hear)
    LISTENER.set(sent)
    yield sent
    LISTENER.set(None)
    event.remove(db.engine.sync_engine, "before_cursor_execute", hear)


async def test_no_page_asks_more_than_twelve_times(database_url: str, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    app = whole_app(database_url, uploads)
    transport = httpx.ASGITransport(app)
    async with (
        started(app) as db,
        httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client,
    ):
        await put_world(db, uploads, of_each=10)
        admin = await log_in_as(db)
        await put_all(db, views_of(admin.user_id, "Open ones", 2))
        async with db.write() as connection:
            frame = await open_frame_session(connection, SITE)
        too_many = {}
        for path in page_addresses(app):
            client.cookies.clear()
            if not path.startswith(OF_STRANGERS):
                admin.give(client)
                client.cookies.set("crispsync-frame", frame)
            with heard(db) as sent:
                answer = await client.get(path)
            assert answer.status_code < (500 if path in REFUSED else 400), path
            assert sent or path.startswith(OF_STRANGERS), path
            if len(sent) > AT_MOST:
                too_many[path] = len(sent)
    assert not too_many, too_many
