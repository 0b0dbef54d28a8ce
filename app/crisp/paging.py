"""Walking Crisp's lists so that nothing is lost while they change.

Numbered lists are read from the last page to the first inside a frozen window, because rows can
then only move towards pages that are still to come. A walk that repeats itself is an error, never an endless loop.
Source: crisp/REFERENCE.md sections 3 and 4.6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.crisp.client import Answer
from app.crisp.errors import Circular, Gone, Permanent

PER_PAGE = 50
CONFIRM_EMPTY = 2
_FURTHEST_PAGE = 1 << 20


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    items: list[dict[str, Any]]
    more: bool
    asked_ms: int

    @property
    def is_surely_last(self) -> bool:
        """Two signs together: short, and Crisp says 200. A 200 alone is only a hint."""
        return 0 < len(self.items) < PER_PAGE and not self.more

    @property
    def promises_more(self) -> bool:
        """Full, and Crisp says 206. A 206 alone may be said of the last page too (crisp/GAPS.md row 9)."""
        return len(self.items) >= PER_PAGE and self.more


Fetch = Callable[[int], Awaitable[Page]]


def page_of(number: int, answer: Answer) -> Page:
    """Raises Circular when the answer is no list at all."""
    if not isinstance(answer.data, list):
        raise Circular(f"Page {number} of a list in Crisp is no list.")
    items = [item for item in answer.data if isinstance(item, dict)]
    return Page(number, items, answer.more, answer.asked_ms)


@dataclass(slots=True)
class Search:
    """The search for a list's last page: doubling from `guess`, then bisection.

    Whoever has it as JSON goes on with it, without the pages asked for before. `last` is the furthest
    page met that has rows (or page 1), `rows` of them; `beyond` is one known to have none. An empty
    page right after one that promised more is asked for again, up to `confirm` times, and an empty
    list once: an empty answer is sometimes a failure (FAILURES case 38). `page` is the last page where
    this process has asked for it.
    """

    guess: int = 1
    confirm: int = CONFIRM_EMPTY
    last: int = 0
    rows: int = 0
    more: bool = False
    beyond: int | None = None
    checks: int = 0
    page: Page | None = None

    def as_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "page"}

    @property
    def promises_more(self) -> bool:
        return self.rows >= PER_PAGE and self.more

    @property
    def ended(self) -> bool:
        return self.next_page() is None

    def next_page(self) -> int | None:
        """What to ask for next, None when the last page is found."""
        if self.beyond is None:
            return self.last * 2 or self.guess
        if not self.last:
            return 1
        if self.last + 1 < self.beyond:
            return (self.last + self.beyond) // 2
        return self._page_to_check()

    def _page_to_check(self) -> int | None:
        if (self.rows and not self.more) or self.checks >= 2 * self.confirm:
            return None
        if self.rows or self.more:
            # The next page, then this one: rows of the next may have moved up to it meanwhile.
            return self.last + 1 - self.checks % 2
        return self.last if self.checks % 2 == 0 else None

    def note(self, page: Page) -> None:
        is_check = self.beyond is not None and 0 < self.last >= self.beyond - 1
        self.checks += is_check
        if page.items:
            went_on = page.number > self.last and is_check
            if went_on or (page.number == self.last and not self.rows):
                self.beyond = None
            if went_on:
                self.checks = 0
        elif page.number == 1:
            self.beyond = self.beyond or 2
        elif page.number != self.last:
            self.beyond = page.number
        if page.items or page.number in {1, self.last}:
            self.last, self.rows, self.more = page.number, len(page.items), page.more
            self.page = page
        if page.is_surely_last:
            self.beyond = page.number + 1


async def ask_next(fetch: Fetch, search: Search) -> Page:
    """The page that brings the search forward, already noted in it. Raises Circular."""
    number = search.next_page()
    if number is None or number > _FURTHEST_PAGE:
        raise Circular("A list in Crisp has no end.")
    before = search.page
    page = await fetch(number)
    if before and page.items == before.items and page.items and number != before.number:
        raise Circular(f"Pages {before.number} and {number} of a list in Crisp are the same.")
    search.note(page)
    return page


async def find_last_page(fetch: Fetch, guess: int = 1, confirm: int = CONFIRM_EMPTY) -> Page:
    """The last page that has rows, or an empty page 1."""
    search = Search(max(1, guess), confirm)
    last = await ask_next(fetch, search)
    while not search.ended:
        await ask_next(fetch, search)
    return search.page or last


@dataclass(slots=True)
class ListWalk:
    """How far a list is read: `page` is the next one, None while the last page is looked for.

    `rows` were read so far; those on the way of the search do not count twice.
    """

    search: Search
    page: int | None = None
    rows: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"search": self.search.as_json(), "page": self.page, "rows": self.rows}


def list_walk(stored: Mapping[str, Any] | None, guess: int, confirm: int) -> ListWalk:
    """The walk that was stored as JSON, else a new one."""
    if stored is None:
        return ListWalk(Search(max(1, guess), confirm))
    return ListWalk(Search(**stored["search"]), stored["page"], stored["rows"])


async def walk_list(fetch: Fetch, walk: ListWalk) -> AsyncIterator[Page]:
    """Every page that is asked for; all of them are to be kept, each with `walk` as it is then.

    The rows of the last page are those the search has met, in this process or an earlier one.
    """
    while walk.page is None:
        page = await ask_next(fetch, walk.search)
        if walk.search.ended:
            walk.page, walk.rows = walk.search.last - 1, walk.search.rows
        yield page
    async for page in walk_back(fetch, walk.page):
        walk.page = page.number - 1
        walk.rows += len(page.items)
        yield page


async def walk_back(fetch: Fetch, last: int, known: Page | None = None) -> AsyncIterator[Page]:
    """Pages `last`, `last` - 1, … 1. `known` is what `find_last_page` found just now.

    Raises Circular when two pages in a row are identical.
    """
    before: Page | None = None
    for number in range(last, 0, -1):
        page = known if known and known.number == number else await fetch(number)
        if before and page.items and page.items == before.items:
            raise Circular(f"Pages {number} and {before.number} of a list in Crisp are the same.")
        for _ in range(CONFIRM_EMPTY):
            if page.items or (page is known and number == 1):
                break
            page = await fetch(number)
        yield page
        before = page


def end_when_refused(fetch: Fetch) -> Fetch:
    """A list that refuses deep pages (crisp/GAPS.md row 11) looks like one that hands out empty ones."""

    async def asked(number: int) -> Page:
        try:
            return await fetch(number)
        except Permanent:
            if number == 1:
                raise
            return Page(number, [], more=False, asked_ms=0)

    return asked


def end_when_gone(fetch: Fetch) -> Fetch:
    """Some lists may answer 404 not_found past their end (crisp/GAPS.md row 10)."""

    async def asked(number: int) -> Page:
        try:
            return await fetch(number)
        except Gone:
            if number == 1:
                raise
            return Page(number, [], more=False, asked_ms=0)

    return asked
