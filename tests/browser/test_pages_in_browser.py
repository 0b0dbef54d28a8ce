"""What only a browser can tell: layout, scripts, keys, live progress, and the main job without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from app.sync.tables import sync_runs
from tests.browser.conftest import RUNNING, Served
from tests.pages import rows

pytestmark = pytest.mark.asyncio(loop_scope="session")

LETTER = rows.inbox_event("letter")[1]["id"]


async def test_progress_is_live(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/syncs")
    card = page.locator("#run-live")
    await expect(card).to_contain_text("10 of 40")
    await page.locator("#run-live button", has_text="Pause").focus()
    await _set(served, counts={**RUNNING, "threads_done": 25})
    await expect(card).to_contain_text("25 of 40")
    focused = await page.evaluate("document.activeElement.textContent")
    assert "Pause" in focused  # who was about to press it still can
    await _set(served, state="done", finished_at=rows.NOW)
    await expect(card.locator("header")).to_contain_text("done")
    await expect(card.locator("button")).to_have_count(0)


async def _set(served: Served, **values: Any) -> None:
    async with served.db.write() as connection:
        await connection.execute(update(sync_runs).where(sync_runs.c.id == "live").values(**values))


async def test_keys(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/conversations")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    first = page.locator("[data-row]").first
    await expect(first).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type("acme/j")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_contain_text("acme/j")


async def test_keyboard_reaches_the_content_first(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/contacts")
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()


async def test_a_form_of_ours_is_taken(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/syncs")
    await page.fill("[name=first] >> visible=true", "2026-01-01")
    await page.fill("[name=last] >> visible=true", "2026-01-31")
    await expect(page.get_by_role("button", name="Start backfill")).to_be_disabled()
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator(".cost")).to_contain_text("1,840")
    await page.get_by_role("button", name="Start backfill").click()
    assert [what for what, *_ in served.stand.asked] == ["preview", "request"]


async def test_the_main_job_works_without_scripts(browser: Browser, served: Served) -> None:
    viewport: Any = {"width": 375, "height": 800}
    context = await browser.new_context(java_script_enabled=False, viewport=viewport)
    await context.add_cookies(served.admin.cookies(served.url))
    page = await context.new_page()
    await page.goto(served.url)
    await page.locator(".narrow-menu summary").click()
    await page.locator(".narrow-menu a", has_text="Contacts").click()
    await page.locator("a.row-link", has_text="Ann Example").click()
    await page.locator("a.row-link", has_text="Refund for order 4471").click()
    await expect(page.locator(".thread")).to_contain_text("The order was charged twice")
    await page.locator("details.long summary").click()
    await expect(page.locator("details.long")).to_contain_text("59. a line of a long letter")
    await page.goto(f"{served.url}/syncs")
    await page.get_by_role("button", name="Incremental").click()
    assert served.stand.asked[0][:3:2] == ("request", "incremental")
    await context.close()


async def test_a_dead_letter_is_replayed_without_scripts(browser: Browser, served: Served) -> None:
    viewport: Any = {"width": 375, "height": 800}
    context = await browser.new_context(java_script_enabled=False, viewport=viewport)
    await context.add_cookies(served.admin.cookies(served.url))
    page = await context.new_page()
    await page.goto(served.url)
    await page.locator(".narrow-menu summary").click()
    await page.locator(".narrow-menu a", has_text="Events").click()
    await page.locator("a.row-link", has_text="session:set_state").first.click()
    await expect(page.locator(".payload")).to_contain_text("‹text, 8 characters›")
    await page.get_by_role("button", name="Replay").click()
    await expect(page.locator(".notice")).to_contain_text("1 event was put back")
    await expect(page.locator(".chip", has_text="waiting")).to_be_visible()
    await page.goto(f"{served.url}/events")
    await page.get_by_role("button", name="Replay all of these").click()
    await expect(page.locator(".notice")).to_contain_text("1 event was put back")
    await expect(page.locator("#letters")).to_contain_text("No dead letters")
    await context.close()


async def test_text_can_be_read(page: Page, served: Served) -> None:
    """Contrast of at least 4.5 : 1 for every text on the main pages, in both schemes."""
    schemes: tuple[Any, Any] = ("light", "dark")
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        for path in (
            "/",
            "/conversations/talk",
            "/contacts",
            "/syncs",
            "/unmatched",
            "/events",
            f"/events/{LETTER}",
        ):
            await page.goto(served.url + path)
            weak = await page.evaluate(_WEAK)
            assert weak == [], (scheme, path)


_WEAK = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest("svg, :disabled, noscript")) continue;
    const style = getComputedStyle(e);
    if (style.fontSize === "0px") continue;
    const [a, b] = [light(parse(style.color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return found;
}"""
