"""Every page by the app's routes, in a browser: fits, complains of nothing, is accessible, deaf to strangers."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    expect,
)

from app.accounts.sessions import open_frame_session
from app.db.session import Database
from tests.browser.serving import listening
from tests.fixtures.people import Carried, log_in_as
from tests.pages.every_page import OF_STRANGERS, REFUSED, page_addresses, started, whole_app
from tests.pages.full_world import put_all, put_world, views_of
from tests.pages.rows import SITE
from tests.pages.test_pages_hostile import PAYLOADS, acted_upon

# Counting lines would double the time of the app behind the browser; quicker tests reach the same lines.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.no_cover]

FOLD_ALL, OPEN_ALL = (
    "() => { document.querySelectorAll('details').forEach(one => { "
    f"one.open = {opened} && !one.closest('.menu') }}); "
    "return document.documentElement.scrollWidth - innerWidth }"
    for opened in ("false", "true")
)
GRAVE = {"serious", "critical"}
AXE = Axe().axe_script
ALL_RULES: Any = {"resultTypes": ["violations"]}
CONTRAST: Any = {**ALL_RULES, "runOnly": ["color-contrast"]}
# The scheme changes nothing but colours, so one of each width is asked everything.
LOOKS: tuple[Any, ...] = (
    (375, (("light", ALL_RULES), ("dark", CONTRAST))),
    (1440, (("dark", ALL_RULES), ("light", CONTRAST))),
)


@dataclass
class Site:
    """The whole app behind an address."""

    url: str
    db: Database
    admin: Carried
    frame: str
    pages: list[str]

    @asynccontextmanager
    async def context(self, browser: Browser, **given: Any) -> AsyncIterator[BrowserContext]:
        context = await browser.new_context(**given)
        await self._log_in(context)
        yield context
        await context.close()

    async def tour(self, page: Page) -> AsyncIterator[str]:
        """Goes to one page after the other, and says its path."""
        for path in self.pages:
            if path.startswith(OF_STRANGERS):
                await page.context.clear_cookies()
            answer = await page.goto(self.url + path)
            assert answer is not None
            assert answer.status < (500 if path in REFUSED else 400), (path, answer.status)
            yield path
            if path.startswith(OF_STRANGERS):
                await self._log_in(page.context)

    async def _log_in(self, context: BrowserContext) -> None:
        frame: Any = {"name": "crispsync-frame", "value": self.frame, "url": self.url}
        await context.add_cookies([*self.admin.cookies(self.url), frame])


@asynccontextmanager
async def serving(
    url: str, folder: Path, *, word: str = "", of_each: int = 2, **settings: Any
) -> AsyncIterator[Site]:
    app = whole_app(url, folder, **settings)
    async with started(app) as db:
        await put_world(db, folder, of_each=of_each, word=word)
        admin = await log_in_as(db)
        await put_all(db, views_of(admin.user_id, word or "Open ones", 2))
        async with db.write() as connection:
            frame = await open_frame_session(connection, SITE)
        async with listening(app) as address:
            yield Site(address, db, admin, frame, page_addresses(app))


@pytest_asyncio.fixture(loop_scope="session")
async def site(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(sqlite_url, tmp_path / "uploads") as site:
        yield site


async def test_every_page_fits_and_complains_of_nothing(browser: Browser, site: Site) -> None:
    found: list[str] = []
    async with site.context(browser) as context:
        page = await context.new_page()
        page.on("pageerror", lambda error: found.append(f"{page.url} {error}"))
        page.on(
            "console", lambda m: found.append(f"{page.url} {m.text}") if m.type == "error" else None
        )
        async for path in site.tour(page):
            await expect(page.locator("h1")).to_be_visible()
            found += await _too_wide(page, path)
    found = [one for one in found if "status of 40" not in one]
    assert not found, "\n".join(found)


async def _too_wide(page: Page, path: str) -> list[str]:
    """At each width, in both schemes."""
    schemes: tuple[Any, Any] = ("light", "dark")
    found = []
    for width in (360, 375, 1440):
        await page.set_viewport_size({"width": width, "height": 800})
        for state in (FOLD_ALL, OPEN_ALL):
            wide = await page.evaluate(state)
            if wide > 0:
                found.append(f"{path} is {wide} px too wide at {width}")
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        if (ground == "rgb(255, 255, 255)") is not (scheme == "light"):
            found.append(f"{path} is not {scheme}")
    return found


@pytest.mark.parametrize(("width", "looks"), LOOKS)
async def test_axe_finds_nothing_grave_on_every_page(
    browser: Browser, site: Site, width: int, looks: Any
) -> None:
    found: list[str] = []
    viewport: Any = {"width": width, "height": 900}
    # axe is put into the page as a script, which the pages' own policy would refuse.
    async with site.context(
        browser, bypass_csp=True, reduced_motion="reduce", viewport=viewport
    ) as context:
        page = await context.new_page()
        async for path in site.tour(page):
            await page.evaluate(OPEN_ALL)
            await page.evaluate(AXE)
            for scheme, options in looks:
                await page.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in await grave(page, options)]
    assert not found, "\n".join(found)


async def grave(page: Page, options: Any) -> list[str]:
    results = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{problem['id']} {[node['target'] for node in problem['nodes']][:3]}"
        for problem in results["violations"]
        if problem["impact"] in GRAVE
    ]


def copied(url: str, n: int) -> str:
    """Another empty database beside this one."""
    path = url.partition(":///")[2]
    shutil.copy(path, f"{path}{n}")
    return f"{url}{n}"


# What acts by how an attribute begins stands alone; the others reach as far in company.
STRANGE = (" ".join(PAYLOADS), "javascript:alert(1)")


async def test_case_068_nothing_of_a_stranger_runs_on_any_page(
    browser: Browser, sqlite_url: str, tmp_path: Path
) -> None:
    """In every text that others write: no dialog, no report of the policy, nobody asked, no 5xx."""
    heard: list[str] = []
    for n, word in enumerate(STRANGE):
        url = copied(sqlite_url, n)
        async with serving(url, tmp_path / f"uploads{n}", word=word, of_each=1) as site:
            heard += await _heard_on_all_pages(browser, site)
    assert not heard, "\n".join(heard)


async def _heard_on_all_pages(browser: Browser, site: Site) -> list[str]:
    heard: list[str] = []
    async with site.context(browser) as context:
        page = await context.new_page()
        listen(page, site, heard)
        async for path in site.tour(page):
            await page.evaluate(OPEN_ALL)
            heard += [f"{path} holds {one}" for one in await strange_in(page)]
    return heard


def listen(page: Page, site: Site, heard: list[str]) -> None:
    """What a page does that none of ours does: a dialog, a question to others, a report of the policy."""

    async def dismiss(dialog: Dialog) -> None:
        heard.append(f"{page.url} dialog {dialog.message}")
        await dialog.dismiss()

    def ask(request: Request) -> None:
        if not request.url.startswith(site.url):
            heard.append(f"{page.url} asked {request.url}")

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            heard.append(f"{page.url} {message.text}")

    page.on("dialog", dismiss)
    page.on("request", ask)
    page.on("console", complain)


async def strange_in(page: Page) -> list[str]:
    # Our own: where the cursor begins; what it could set off is named by itself.
    own = {"input autofocus="}
    return [one for one in acted_upon(await page.content()) if one not in own]
