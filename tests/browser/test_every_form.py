"""The hostile texts typed into every text field of every form of every page, in a browser (issue 4, FAILURES 68).

The forms are those that the pages hold, so that a new one is among them by itself.
"""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from app.sandbox.serve import serve
from app.sandbox.world import World
from tests.browser.test_every_page import Site, listen, serving, strange_in
from tests.pages.test_pages_hostile import PAYLOADS

# Counting lines would double the time of the app behind the browser; quicker tests reach the same lines.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.no_cover]

# Short enough for a name, and found again.
STORABLE = [one for one in PAYLOADS if "alert(1)" in one]
TYPED = """
const typed = form => [...form.elements].filter(one => one.name && !one.disabled && (
    one.tagName === "TEXTAREA" || one.tagName === "INPUT" && !["hidden", "checkbox", "radio", "file",
    "submit", "button", "reset"].includes(one.type)));
"""
# What tells the forms of a page apart: method, address, fields.
NAMES = f"""{TYPED}
const parts = form => new URL(form.getAttribute("action") || "", location.href).pathname.split("/");
const names = () => [...document.forms].map(form => [
    form.method, parts(form)[1], parts(form).pop(),
    ...typed(form).map(one => one.name.replace(/[0-9]+/g, "0"))].join(" "));
"""
FORMS = f"() => {{ {NAMES} return names().filter((_, n) => typed(document.forms[n]).length) }}"
# Past what the browser itself would refuse: the server has to.
SUBMIT = f"""([name, word, everywhere]) => {{ {NAMES}
    const form = document.forms[names().indexOf(name)];
    let left = true;
    for (const one of typed(form)) {{
        const free = one.tagName === "TEXTAREA" || one.type === "text" || one.type === "search";
        if (!everywhere) {{
            const known = /email|domain/.exec(one.name);
            if (known) one.value = (known[0] === "email" ? "typed@" : "") + `x${{word.length}}.example`;
            if (known || !left || !free) continue;
            left = false;
        }}
        if (one.tagName === "INPUT") one.type = "text";
        one.removeAttribute("maxlength");
        one.value = word;
        one.dispatchEvent(new Event("input", {{bubbles: true}}));
    }}
    form.noValidate = true;
    form.requestSubmit() }}"""


async def test_case_068_nothing_that_is_typed_runs(
    browser: Browser, sqlite_url: str, tmp_path: Path
) -> None:
    """All texts at once in every field, and one where a form takes any text; then every page again."""
    heard: list[str] = []
    async with (
        serving(sqlite_url, tmp_path / "uploads", of_each=1) as site,
        site.context(browser) as context,
    ):
        page = await context.new_page()
        listen(page, site, heard)
        forms = await _type_into_all(page, site, heard)
        async for path in site.tour(page):
            heard += [f"{path} holds {one}" for one in await strange_in(page)]
    assert not heard, "\n".join(heard)
    assert len(forms) >= 30, forms
    # Some of it was taken, so that the pages had it to show.
    assert _tables_with(sqlite_url, "alert(1)") >= {
        "audit_log",
        "companies",
        "saved_views",
        "users",
    }


async def test_case_068_nothing_that_is_typed_as_a_credential_runs(
    browser: Browser, sqlite_url: str, tmp_path: Path
) -> None:
    """That form has fields only where the environment names no credential; Crisp is asked for real."""
    heard: list[str] = []
    async with (
        serve(World(seed=1, people=2, conversations=2)) as crisp,
        serving(sqlite_url, tmp_path / "uploads", of_each=1, crisp_api_url=crisp) as site,
        site.context(browser) as context,
    ):
        site.pages = ["/settings/credential"]
        page = await context.new_page()
        listen(page, site, heard)
        forms = await _type_into_all(page, site, heard)
        assert [one for one in forms if one.startswith("post ")] == [
            "post settings credential identifier key plugin_id signing_secrets"
        ]
        await page.goto(site.url + site.pages[0])
        await page.get_by_label("Plugin id").fill(STORABLE[0])
        await page.get_by_label("Signing secret").fill(STORABLE[0])
        await page.get_by_role("button", name="Check with Crisp").click()
        await expect(page.get_by_role("status")).to_contain_text("Saved")
        heard += await strange_in(page)
    assert not heard, "\n".join(heard)
    assert _tables_with(sqlite_url, "alert(1)") == set()  # sealed


async def _type_into_all(page: Page, site: Site, heard: list[str]) -> set[str]:
    """What tells the forms apart that were filled in."""
    done: set[str] = set()
    one_text = itertools.cycle(STORABLE)
    async for path in site.tour(page):
        for name in await page.evaluate(FORMS):
            if name not in done:
                done.add(name)
                for word, everywhere in ((" ".join(PAYLOADS), True), (next(one_text), False)):
                    await _submit(page, site.url + path, [name, word, everywhere], heard)
    return done


async def _submit(page: Page, address: str, told: list[Any], heard: list[str]) -> None:
    if page.url != address:
        await page.goto(address)
    if told[0] not in await page.evaluate(FORMS):
        return  # a link that works once, a file that went on to its next step
    async with page.expect_navigation() as going:
        await page.evaluate(SUBMIT, told)
    answer = await going.value
    if answer.status >= 500:
        heard.append(f"{address} {told} is answered with {answer.status}")
    heard += [f"{address} {told} leads to {one}" for one in await strange_in(page)]


def _tables_with(url: str, text: str) -> set[str]:
    with sqlite3.connect(url.partition(":///")[2]) as connection:
        lines = [line for line in connection.iterdump() if text in line]
    connection.close()
    return {line.split('"')[1] for line in lines if line.startswith("INSERT INTO")}
