"""The pages served to a real browser, over a database with one of everything and a running sync."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from playwright.async_api import Page

from app.db.session import Database, open_database
from tests.browser.serving import listening
from tests.fixtures.people import Carried, log_in_as
from tests.pages import rows
from tests.pages.conftest import Stand, pages_app
from tests.pages.full_world import a_full_thread

RUNNING = {"people_done": 2, "people_total": 2, "threads_done": 10, "threads_total": 40}


@dataclass
class Served:
    url: str
    db: Database
    stand: Stand
    admin: Carried


def wide_ones() -> rows.Rows:
    """Names that have no place to break."""
    return [
        rows.contact("wide", name="W" * 120, email=f"{'w' * 90}@{'v' * 60}.example"),
        rows.company("widest", name="V" * 150, domain=f"{'u' * 60}.example"),
        rows.conversation("wider", contact_id="wide", subject="U" * 200, last_message="T" * 300),
    ]  # fmt: skip


def hooks() -> rows.Rows:
    """Two dead letters, one with words that have no place to break, and how hooks arrived."""
    body = b'{"event":"session:set_state","data":{"nickname":"somebody"}}'
    return [
        rows.inbox_event("letter", event="session:set_state", body=body),
        rows.inbox_event("wide", event="e" * 200, error="R" * 300),
        rows.hook_day(arrived=1234, dead=1, ignored=2, repeated_first=3),
        rows.hook_day("n" * 200),
    ]


@pytest_asyncio.fixture(loop_scope="session")
async def served(sqlite_url: str) -> AsyncIterator[Served]:
    db, stand = open_database(sqlite_url), Stand()
    live = rows.run(
        "live", state="running", counts=RUNNING, started_at=rows.ago(minutes=3),
        checkpoint={"stage": "messages"},
    )  # fmt: skip
    await rows.put(db, [*rows.small_world(), *a_full_thread(), *wide_ones(), *hooks(), live])
    admin = await log_in_as(db)
    async with listening(pages_app(db, stand)) as address:
        yield Served(address, db, stand, admin)
    await db.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(page: Page, served: Served) -> Page:
    """Logged in as an admin."""
    await page.context.add_cookies(served.admin.cookies(served.url))
    return page
