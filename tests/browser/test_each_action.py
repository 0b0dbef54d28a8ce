"""Every action of every form, by a real browser, with scripts and without: done, and seen to be done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect
from pydantic import SecretStr
from sqlalchemy import select

from app.accounts.sessions import open_frame_session
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from app.websites.tables import websites
from tests.alerts.receiving import Mails, receiving_mail
from tests.browser.deeds import CSV, DEEDS, Deed
from tests.browser.serving import listening
from tests.fixtures.people import Carried, log_in_as
from tests.fixtures.program import SECRET_KEY
from tests.pages import rows
from tests.pages.every_page import started
from tests.pages.full_world import put_all, put_world, views_of
from tests.pages.test_every_route import an_app, ways
from tests.pulling import Crispsync, sandbox_and_crispsync
from workers.imports import ImportWork

# Counting lines would double the time of the app behind the browser; quicker tests reach the same lines.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.no_cover]

# What takes no form of a page.
NO_FORM = {"/webhooks/crisp", "/webhooks/crisp/"}
# What stands in the place of `{what}`, as far as a page offers it.
WHATS = {
    "/imports/{import_id}/{what}": ("again", "undo", "cancel", "remap"),
    "/syncs/{run_id}/{what}": ("pause", "resume", "cancel"),
    "/settings/connection/{what}": ("pause", "resume", "first-import"),
    "/settings/alerts/{target_id}/{what}": ("test", "enable", "remove"),
    "/settings/team/{user_id}/{what}": ("role", "websites", "link", "disable", "enable", "remove"),
}


def actions() -> set[str]:
    """Each route of the app that takes a form; one with a `{what}` once for each."""
    found = {way.path for way in ways(an_app()) if way.changes} - NO_FORM
    for route, whats in WHATS.items():
        found.remove(route)
        found |= {route.replace("{what}", what) for what in whats}
    return found


async def test_every_action_is_in_the_table() -> None:
    missing = actions() - {deed.route for deed in DEEDS}
    assert not missing, f"add to DEEDS what is done on {sorted(missing)} and what is seen then"
    assert {deed.route for deed in DEEDS} <= actions()


@dataclass
class Acting:
    """The whole app behind an address, with everything to act on, and a Crisp to ask."""

    url: str
    admin: Carried
    frame: str
    names: dict[str, str]

    def named(self, text: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: self.names.get(found[1], found[0]), text)

    async def log_in(self, context: BrowserContext) -> None:
        frame: Any = {"name": "crispsync-frame", "value": self.frame, "url": self.url}
        await context.add_cookies([*self.admin.cookies(self.url), frame])


def _settings(url: str, folder: Path, crisp: Crispsync, mails: Mails) -> Settings:
    return Settings(
        database_url=url, uploads_folder=folder, secret_key=SecretStr(SECRET_KEY),
        crisp_api_url=crisp.url, smtp_url=SecretStr(mails.url), mail_from="crispsync@acme.example", crisp_daily_quota=1_000_000,
    )  # fmt: skip


@asynccontextmanager
async def importing(db: Database, settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    """Imports are worked off, as beside the real app; runs are not, so that they stand still."""
    work = ImportWork(db, settings)
    app.state.import_bell = work.worker.bell.set
    work.start()
    yield
    await work.stop()


@asynccontextmanager
async def acting(url: str, folder: Path) -> AsyncIterator[Acting]:
    others = ((2, 2, True),)
    with receiving_mail() as mails:
        async with sandbox_and_crispsync(url, people=6, conversations=6, others=others) as crisp:
            assert await crisp.run("full") == "done"
            settings = _settings(url, folder, crisp, mails)
            app: FastAPI = create_app(settings)
            async with started(app) as db, listening(app) as address, importing(db, settings, app):
                await put_world(db, folder, of_each=2)
                halted = rows.run("halted", state="paused", started_at=rows.ago(hours=1))
                admin = await log_in_as(db)
                await put_all(db, [*views_of(admin.user_id, "Open ones", 2), halted])
                async with db.write() as connection:
                    frame = await open_frame_session(connection, crisp.website_id)
                yield Acting(address, admin, frame, await _names(crisp))


async def _names(crisp: Crispsync) -> dict[str, str]:
    """What stands in braces in DEEDS."""
    own = crisp.website_id

    async def one(query: Any) -> str:
        return str((await crisp.rows(query.limit(1)))[0][0])

    known = select(contacts.c.id).where(
        contacts.c.website_id == own, contacts.c.crisp_people_id.is_not(None)
    )
    return {
        "crisp": own,
        "crisp_name": await one(select(websites.c.name).where(websites.c.id == own)),
        "another": next(site for site in crisp.world.sites if site != own),
        "identifier": crisp.world.identifier,
        "key": crisp.world.key,
        "plugin": crisp.world.plugin_id,
        "person": await one(known),
        "thread": await one(select(conversations.c.id).where(conversations.c.website_id == own)),
        "letter": rows.inbox_event("letter")[1]["id"],
    }


# The mail server of the test asks for a password without TLS, as none is between it and us.
@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_every_action_is_done_and_seen(
    browser: Browser, sqlite_url: str, tmp_path: Path, scripts: bool
) -> None:
    wrong: list[str] = []
    async with acting(sqlite_url, tmp_path / "uploads") as site:
        context = await browser.new_context(java_script_enabled=scripts)
        context.set_default_timeout(15_000)
        context.set_default_navigation_timeout(60_000)
        await site.log_in(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        for deed in DEEDS:
            try:
                await _do(page, site, deed)
            except Exception as error:  # the next ones are told of as well
                wrong.append(f"{deed.route} on {page.url}: {str(error)[:1500]}")
        await context.close()
    assert not wrong, "\n\n".join(wrong)


async def _do(page: Page, site: Acting, deed: Deed) -> None:
    if deed.stranger:
        await page.context.clear_cookies()
    if deed.page:
        await page.goto(site.url + site.named(deed.page))
    form = page.locator(site.named(deed.form)).first
    await form.evaluate(
        "one => { for (let at = one; at; at = at.parentElement) if (at.matches('details')) at.open = true }"
    )
    await _is_of(form, deed.route)
    for name, value in deed.fill.items():
        await _fill(form, name, site.named(value))
    async with page.expect_navigation() as going:
        await form.locator("button:visible").first.click()
    answer = await going.value
    assert answer is not None
    assert answer.status < 400, (answer.status, await page.locator("main").inner_text())
    await expect(page.locator("body")).to_contain_text(re.compile(site.named(deed.seen), re.DOTALL))
    # A page of an import that is worked at comes again by itself, with scripts and without: the next deed
    # begins when it has.
    await expect(page.locator("[data-reload][data-events]")).to_have_count(0)


async def _is_of(form: Locator, route: str) -> None:
    """The form goes to the route that the table names."""
    action = (await form.get_attribute("action") or "").partition("?")[0].partition("#")[0]
    assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", route), action), (route, action)


async def _fill(form: Locator, name: str, value: str) -> None:
    there = form.locator(f'[name="{name}"]')
    kind = await there.first.evaluate("one => one.type")
    if kind in {"radio", "checkbox"}:
        await form.locator(f'[name="{name}"][value="{value}"]').check()
    elif kind == "select-one":
        await there.select_option(value)
    elif kind == "file":
        await there.set_input_files({"name": value, "mimeType": "text/csv", "buffer": CSV})
    else:
        await there.fill(value)
