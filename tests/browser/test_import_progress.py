"""Whoever looks at an import sees it count while a worker is at it, and its end (SPEC I9)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from app.db.session import open_database
from app.imports import commit, plan
from app.imports.setup import columns_of_import
from app.imports.steps import Choice, ask_plan
from app.imports.worker import ImportWorker
from app.pages.parts import Uploads
from app.websites.connect import Installed, save_connected
from tests.browser.serving import listening
from tests.fixtures.people import Carried, log_in_as
from tests.imports.importing import MEMBER, Importing
from tests.ingesting import WEBSITE
from tests.pages.conftest import Stand, pages_app

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHUNK, CHUNKS = 50, 4
FILE = "email,name\n" + "".join(f"p{n}@x.example,P {n}\n" for n in range(CHUNK * CHUNKS))


@dataclass
class Watched:
    url: str
    site: Importing
    admin: Carried
    chunks: asyncio.Semaphore
    """How many chunks more the worker may write."""

    async def planning(self) -> str:
        import_id = await self.site.begin(FILE)
        choice = Choice(columns_of_import(await self.site.row(import_id)), "merge", {})
        await ask_plan(self.site.db, WEBSITE, import_id, choice, MEMBER)
        return import_id


@pytest_asyncio.fixture(loop_scope="session")
async def watched(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    """Pages and a worker that stops before each chunk until it is let go on."""
    chunks = asyncio.Semaphore(0)

    def gated(real: Callable[..., Any]) -> Callable[..., Any]:
        async def wait(*arguments: Any, **named: Any) -> Any:
            await chunks.acquire()
            return await real(*arguments, **named)

        return wait

    for module in ("plan", "chunks"):
        monkeypatch.setattr(f"app.imports.{module}.CHUNK", CHUNK)
    monkeypatch.setattr(plan, "_save", gated(plan._save))
    monkeypatch.setattr(commit, "_commit_chunk", gated(commit._commit_chunk))
    db, folder = open_database(sqlite_url), tmp_path / "uploads"
    await save_connected(db, Installed(WEBSITE, "Acme Chat", None))
    worker = ImportWorker(db, folder, lease_seconds=10)
    app = pages_app(db, Stand())
    app.state.uploads, app.state.import_bell = Uploads(folder, 1), worker.bell.set
    working = asyncio.create_task(worker.work())
    try:
        async with listening(app) as url:
            yield Watched(url, Importing(db, WEBSITE, folder), await log_in_as(db), chunks)
    finally:
        worker.stopping.set()
        await working
        await db.close()


async def test_the_page_counts_while_the_worker_writes(browser: Browser, watched: Watched) -> None:
    import_id = await watched.planning()
    context = await browser.new_context()
    await context.add_cookies(watched.admin.cookies(watched.url))
    page = await context.new_page()
    await page.goto(f"{watched.url}/imports/{import_id}")
    card = page.locator(f"#import-{import_id}")
    await expect(card.locator("header")).to_contain_text("planning")
    for n in range(1, CHUNKS):
        watched.chunks.release()
        await expect(card.locator(".measure-count")).to_contain_text(f"{n * CHUNK} rows")
    watched.chunks.release()
    commits = page.get_by_role("button", name=f"Import {CHUNK * CHUNKS} rows")
    await expect(commits).to_be_visible()  # the page came again by itself
    await commits.click()
    await expect(card.locator("header")).to_contain_text("importing")
    for n in range(1, CHUNKS):
        watched.chunks.release()
        await expect(card.locator(".measure-count")).to_have_text(
            f"{n * CHUNK} of {CHUNK * CHUNKS}"
        )
        await expect(card.locator("progress")).to_have_attribute("value", str(100 * n // CHUNKS))
    watched.chunks.release()
    await expect(card.locator("header")).to_contain_text("done")
    await expect(card).to_contain_text(f"{CHUNK * CHUNKS} created")
    await expect(card.locator("progress")).to_have_count(0)
    await context.close()


async def test_the_stream_tells_each_count_and_then_the_end(watched: Watched) -> None:
    import_id = await watched.planning()
    told: list[str] = []
    async with httpx.AsyncClient(base_url=watched.url, timeout=60) as client:
        watched.admin.give(client)
        async with client.stream("GET", f"/imports/{import_id}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                    told += ["end"] if event == "end" else []
                found = re.search(r"(\d+) rows?(?:, \d+ %)?<", line) if event == "card" else None
                # The card also comes when only its age is told otherwise.
                if found and found[1] not in told:
                    told.append(found[1])
                    watched.chunks.release()
    assert told[:CHUNKS] == [str(n * CHUNK) for n in range(CHUNKS)]
    assert told[-1] == "end"
    assert (await watched.site.row(import_id)).state == "planned"
