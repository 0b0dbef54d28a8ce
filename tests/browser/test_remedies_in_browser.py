"""A group of conversations without a contact is settled and given back, by keys alone and without scripts (SPEC V5)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Served
from tests.pages import rows
from tests.pages.rows import put

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
async def strangers(served: Served) -> None:
    await put(
        served.db,
        [
            rows.conversation(
                f"stranger-{n}", unmatched_reason="unknown_email", email=f"s{n}@strange.example",
                email_norm=f"s{n}@strange.example", subject=f"Strange {n}",
            )
            for n in range(3)
        ],
    )  # fmt: skip


@pytest.mark.usefixtures("strangers")
async def test_by_keys_alone(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/unmatched")
    link = page.locator(".domains a", has_text="strange.example")
    for _ in range(20):
        await page.keyboard.press("j")
        if await link.evaluate("one => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("strange.example")
    bar = page.locator("[data-ticked]")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(bar).to_have_text("1 ticked:")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(bar).to_have_text("2 ticked:")
    await page.keyboard.press("c")
    await expect(page.locator(".effect")).to_contain_text("2 new contacts")
    await page.keyboard.press("y")
    await expect(page.locator(".notice")).to_contain_text("Made 2 contacts for 2 conversations")
    await expect(page.locator(".ticks tbody tr")).to_have_count(1)
    await page.keyboard.press("z")
    await expect(page.locator(".notice")).to_contain_text("Everything is as it was before.")
    await page.go_back()
    await page.reload()
    await expect(page.locator(".ticks tbody tr")).to_have_count(3)


@pytest.mark.usefixtures("strangers")
async def test_a_whole_page_is_ticked_at_once(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/unmatched/group?reason=unknown_email&domain=strange.example")
    await page.get_by_label("All of this page").check()
    await expect(page.locator("[data-ticked]")).to_have_text("3 ticked:")
    await page.locator(".cell-tick input").first.uncheck()
    await expect(page.locator("[data-ticked]")).to_have_text("2 ticked:")
    await page.get_by_label("All of this page").check()
    await page.get_by_role("button", name="Leave as it is").click()
    await expect(page.locator(".effect")).to_contain_text("3 conversations leave this list")
    await page.get_by_role("link", name="Cancel").click()
    await expect(page.locator("h1")).to_have_text("strange.example")


@pytest.mark.usefixtures("strangers")
async def test_without_scripts(browser: Browser, served: Served) -> None:
    viewport: Any = {"width": 375, "height": 800}
    context = await browser.new_context(java_script_enabled=False, viewport=viewport)
    await context.add_cookies(served.admin.cookies(served.url))
    page = await context.new_page()
    await page.goto(f"{served.url}/unmatched")
    await page.locator(".domains a", has_text="strange.example").click()
    await page.locator(".cell-tick input").nth(1).check()
    await page.get_by_role("button", name="Tie domain to a company").click()
    await page.get_by_label("Name of the new company").fill("Strange & Co")
    await page.get_by_role("button", name="See what it changes").click()
    effect = page.locator(".effect")
    await expect(effect).to_contain_text("a new company, Strange & Co: 3 conversations")
    await effect.get_by_role("button", name="Tie domain to a company").click()
    await expect(page.locator(".notice")).to_contain_text("Tied strange.example to Strange & Co")
    await page.get_by_role("button", name="Undo").first.click()
    await expect(page.locator(".notice")).to_contain_text("Everything is as it was before.")
    await context.close()
