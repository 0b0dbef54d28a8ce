"""The main tasks by keys alone, and what opens over a page is accessible."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.test_every_page import ALL_RULES, AXE, grave

# Counting lines would double the time of the app behind the browser; quicker tests reach the same lines.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.no_cover]

FARTHEST = 120
"""Presses of Tab to anything on a page."""


async def tab_to(page: Page, there: Locator) -> None:
    """By Tab alone, from wherever the focus is."""
    for _ in range(FARTHEST):
        await page.keyboard.press("Tab")
        if await there.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {there}")


async def press(page: Page, name: str, role: Any = "button") -> None:
    """A button or link of that name: reached by Tab, pressed by Enter."""
    await tab_to(page, page.get_by_role(role, name=name).locator("visible=true").first)
    await page.keyboard.press("Enter")


async def test_a_conversation_is_opened_and_left(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/conversations")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    second = await page.evaluate("document.activeElement.textContent")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text(second)
    await page.keyboard.press("k")
    await expect(page.locator("h1")).not_to_have_text(second)
    await page.keyboard.press("j")
    await expect(page.locator("h1")).to_have_text(second)
    await page.keyboard.press("/")
    await page.keyboard.type("refund")
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_contain_text("Refund for order 4471")


async def test_a_link_is_pinned_denied_and_moved(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/conversations/talk")
    why = page.locator(".why")
    await press(page, "Pin to this contact")
    await expect(why).to_contain_text("Pinned to Ann Example")
    await press(page, "Not theirs")
    await expect(why).to_contain_text("Denied for Ann Example")
    await press(page, "Link to a contact", "link")
    await tab_to(page, page.locator("main input[type=search]"))
    await page.keyboard.type("bob")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=bob**")
    await tab_to(page, page.locator("main form[method=post] button").first)
    await page.keyboard.press("Enter")
    await expect(why).to_contain_text("Pinned to bob@else.example")


async def test_a_contact_is_made_and_edited(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/contacts")
    await press(page, "New contact", "link")
    await tab_to(page, page.locator('[name="f.name"]'))
    await page.keyboard.type("Kay Keyboard")
    await tab_to(page, page.locator('[name="f.emails"]'))
    await page.keyboard.type("kay@keys.example")
    await press(page, "Create the contact")
    await expect(page.locator(".notice")).to_have_text("The contact was created.")
    await press(page, "Edit", "link")
    await tab_to(page, page.locator('[name="f.phone"]'))
    await page.keyboard.type("+41 44 668 18 00")
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice")).to_have_text("Saved.")
    await expect(page.locator("main")).to_contain_text("+41446681800")


async def test_a_sync_is_started_and_paused(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/syncs")
    await press(page, "Pause")
    await page.wait_for_url("**/syncs/live")
    await page.goto(f"{served.url}/syncs")
    await press(page, "Incremental")
    await page.wait_for_url("**/syncs/new-run")
    assert [asked[0] for asked in served.stand.asked] == ["pause", "request"]
    assert served.stand.asked[1][2] == "incremental"


async def test_a_menu_opens_and_closes(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/conversations")
    summary = page.locator("summary", has_text="Assigned")
    await tab_to(page, summary)
    await page.keyboard.press("Enter")
    menu = page.locator("details.menu", has=summary)
    await expect(menu).to_have_attribute("open", "")
    await page.keyboard.press("Tab")
    assert await menu.evaluate("one => one.contains(document.activeElement)")
    await page.keyboard.press("Escape")
    await expect(summary).to_be_focused()
    await expect(menu).not_to_have_attribute("open", "")


@pytest.mark.parametrize("width", [375, 1440])
async def test_axe_finds_nothing_grave_in_opened_menus(
    browser: Browser, served: Served, width: int
) -> None:
    """Each menu of each kind of page, opened as a person opens it."""
    found: list[str] = []
    opened = 0
    viewport: Any = {"width": width, "height": 900}
    context = await browser.new_context(bypass_csp=True, reduced_motion="reduce", viewport=viewport)
    await context.add_cookies(served.admin.cookies(served.url))
    page = await context.new_page()
    for path in ("/contacts", "/companies", "/conversations", "/events"):
        await page.goto(served.url + path)
        await page.evaluate(AXE)
        for summary in await page.locator("details.menu > summary").locator("visible=true").all():
            await summary.click()
            opened += 1
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                found += [
                    f"{path} {await summary.inner_text()} {scheme}: {one}"
                    for one in await grave(page, ALL_RULES)
                ]
            await page.keyboard.press("Escape")
    await context.close()
    assert opened > 8
    assert not found, "\n".join(found)
