"""No page offers somebody what is refused to them: each form and each link leads where they may go (SPEC P4)."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from app.accounts.actors import Role
from app.db.session import Database
from app.imports.tables import imports
from tests.fixtures.people import log_in_as
from tests.pages import rows
from tests.pages.rows import SITE, put
from tests.pages.test_every_route import LAYOUT, Way, crawling, ways

pytestmark = pytest.mark.asyncio


class Offers(HTMLParser):
    """(method, path) of every form and link of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        method, address = "GET", given.get("href") if tag == "a" else None
        if tag == "form":
            method, address = (given.get("method") or "get").upper(), given.get("action")
        if tag in {"button", "input"}:
            method, address = "POST", given.get("formaction")
        parts = urlsplit(address or "")
        if parts.path.startswith("/") and not parts.netloc:
            self.found.add((method, parts.path))


def offers(page: str) -> set[tuple[str, str]]:
    parser = Offers()
    parser.feed(page)
    return parser.found


def way_of(known: list[Way], method: str, path: str) -> Way | None:
    """The route that takes it: routes without a place first, as they are tried."""
    for way in sorted(known, key=lambda way: way.path.count("{")):
        given, asked = way.path.split("/"), path.split("/")
        same = len(given) == len(asked) and all(
            ours == theirs or ours.startswith("{")
            for ours, theirs in zip(given, asked, strict=True)
        )
        if way.method == method and same:
            return way
    return None


ENDLESS = "}/events"

IMPORTS = ("uploaded", "planned", "done", "failed")


async def more_imports(db: Database) -> None:
    """One in each state that offers something else; its id is the state."""
    async with db.write() as connection:
        for state in IMPORTS:
            given = {"website_id": SITE, "id": state, "state": state, "mode": "merge"}
            counts = {"create": 1, "rows": 1, "created": 1}
            _, row = rows.row_of(imports, **given, layout=LAYOUT, counts=counts)
            await connection.execute(imports.insert(), row)


@pytest.mark.parametrize("role", Role)
async def test_what_a_page_offers_is_allowed(sqlite_url: str, role: Role) -> None:
    async with crawling(sqlite_url) as crawled:
        carried = await log_in_as(crawled.db, role, [SITE])
        await put(crawled.db, [rows.run("at-work", state="running")])
        await more_imports(crawled.db)
        known = ways(crawled.app)
        looked, wrong = 0, set()
        for way in crawled.guarded:
            if way.changes or way.role is None or role < way.role or way.path.endswith(ENDLESS):
                continue
            crawled.as_(carried)
            for more in ({}, {"syncs": "at-work"}, *({"imports": state} for state in IMPORTS)):
                answer = await crawled.ask(way, more)
                if more and crawled.filled(way) == crawled.filled(way, more):
                    continue
                if answer.headers.get("content-type", "").startswith("text/html"):
                    looked += 1
                    for method, path in offers(answer.text):
                        to = way_of(known, method, path)
                        if to is not None and to.role is not None and role < to.role:
                            wrong.add(f"{way.path} offers {method} {to.path}")
        assert looked > 15
        assert not wrong, "\n".join(sorted(wrong))
