"""Proofs in a real browser: by keyboard alone, and deaf to what strangers write."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Dialog, Page, expect

from tests.browser.conftest import Served
from tests.pages.rows import put
from tests.pages.test_pages_hostile import PAYLOADS, hostile_world

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE_PAGES = (
    "/", "/contacts", "/contacts/a", "/companies", "/companies/b", "/conversations",
    "/conversations/c", "/conversations/d", "/unmatched", "/syncs", "/syncs/r", "/events", "/help",
    "/search?q=alert",
)  # fmt: skip


async def test_case_068_nothing_of_a_stranger_runs(browser: Browser, served: Served) -> None:
    """Every payload in every text field, on every page: no dialog, no policy report, no 5xx."""
    for n, bad in enumerate(PAYLOADS):
        site = f"00000000-0000-4000-8000-{n:012}"
        await put(served.db, of_site(hostile_world(bad), site))
        assert await heard_on_all_pages(browser, served, site) == [], bad


async def heard_on_all_pages(browser: Browser, served: Served, site: str) -> list[str]:
    """Dialogs, complaints of the browser, and requests to anybody else."""
    context = await browser.new_context()
    await context.add_cookies(served.admin.cookies(served.url))
    page = await context.new_page()
    heard: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        heard.append(f"dialog {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("console", lambda m: heard.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith(served.url) else heard.append(r.url))
    for path in HOSTILE_PAGES:
        mark = "&" if "?" in path else "?"
        answer = await page.goto(f"{served.url}{path}{mark}website={site}")
        assert answer is not None
        assert answer.status < 500, path
        for folded in await page.locator("details").all():
            await folded.evaluate("one => { one.open = true }")
    await context.close()
    return heard


def of_site(world: Any, site: str) -> Any:
    return [
        (table, row | ({"id": site} if table.name == "websites" else {"website_id": site}))
        for table, row in world
    ]


async def test_main_tasks_by_keyboard_alone(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    # Go to the list, down to its rows, into one.
    await page.keyboard.press("g")
    await page.keyboard.press("v")
    await expect(page.locator("h1")).to_have_text("Conversations")
    await page.keyboard.press("j")
    await expect(page.locator("[data-row]").first).to_be_focused()
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await expect(page.locator("[data-row]").first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#why")).to_be_visible()
    # The older neighbour, and back.
    here = page.url
    await page.keyboard.press("j")
    await page.wait_for_url(lambda url: url != here)
    await page.keyboard.press("k")
    await page.wait_for_url(here)
    # Search, and its first hit.
    await page.keyboard.press("/")
    await page.keyboard.type("charged twice")
    await page.keyboard.press("Enter")
    await expect(page.locator("mark").first).to_have_text("charged")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said:target")).to_contain_text("charged twice")
    await page.keyboard.press("?")
    await expect(page.locator("h1")).to_have_text("Help")
    # Keys are letters where one types.
    await page.keyboard.press("/")
    await page.keyboard.type("gc?")
    assert await page.input_value("#search") == "gc?"
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page.locator("h1")).to_have_text("Contacts")


async def test_refresh_export_and_views_without_scripts(browser: Browser, served: Served) -> None:
    context = await browser.new_context(java_script_enabled=False)
    await context.add_cookies(served.admin.cookies(served.url))
    page = await context.new_page()
    await page.goto(f"{served.url}/conversations/talk")
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.locator(".notice")).to_contain_text("Read again from Crisp")
    assert served.stand.asked.pop()[0] == "refresh"
    await page.goto(f"{served.url}/conversations?status=open")
    await page.locator("summary", has_text="Views").click()
    await page.get_by_label("Save this list as").fill("Open ones")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.goto(f"{served.url}/conversations")
    await page.locator("summary", has_text="Views").click()
    await page.get_by_role("link", name="Open ones").click()
    assert page.url.endswith("/conversations?status=open")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    assert (await download.value).suggested_filename == "conversations.csv"
    await page.locator("summary", has_text="More").click()
    await page.get_by_label("Words of a message").fill("charged")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".filters-on")).to_contain_text("in a message: charged")
    await context.close()
