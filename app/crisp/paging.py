"""Walking Crisp's lists so that nothing is lost while they change.

Numbered lists are read from the last page to the first inside a frozen window, because rows can
then only move towards pages that are still to come. Threads are read backwards from the newest
message. A walk that repeats itself is an error, never an endless loop.
Source: crisp/REFERENCE.md sections 3, 4.3 and 4.6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
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


async def find_last_page(fetch: Fetch, guess: int = 1, confirm: int = CONFIRM_EMPTY) -> Page:
    """The last page that has rows, or an empty page 1. Doubling from `guess`, then bisection.

    An empty page right after one that promised more is asked for again, up to `confirm` times, and
    an empty list once: an empty answer is sometimes a failure (FAILURES case 38).
    """
    last, beyond = await _bracket(fetch, max(1, guess))
    while last.number + 1 < beyond:
        page = await fetch((last.number + beyond) // 2)
        if page.items:
            last = page
            if page.is_surely_last:
                break
        else:
            beyond = page.number
    for _ in range(confirm if last.items or last.more else min(confirm, 1)):
        if last.items and not last.more:
            break
        if last.items or last.more:
            page = await fetch(last.number + 1)
            if page.items:
                return await find_last_page(fetch, page.number, confirm)
        last = await fetch(last.number)  # rows of the next page may have moved up to it meanwhile
    return last


async def _bracket(fetch: Fetch, guess: int) -> tuple[Page, int]:
    """A page that has rows (or page 1) and the number of one further on that has none."""
    last = Page(0, [], more=False, asked_ms=0)
    number = guess
    while True:
        page = await fetch(number)
        if not page.items:
            break
        if last.items and page.items == last.items:
            raise Circular(
                f"Pages {last.number} and {page.number} of a list in Crisp are the same."
            )
        last = page
        if page.is_surely_last:
            return last, number + 1
        number *= 2
        if number > _FURTHEST_PAGE:
            raise Circular("A list in Crisp has no end.")
    if last.number:
        return last, number
    if number == 1:
        return Page(1, [], page.more, page.asked_ms), 2
    first = await fetch(1)
    return first, number


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


@dataclass(frozen=True, slots=True)
class ThreadBatch:
    """The messages that one step of a walk brought and no earlier one.

    `back_to_ms` is where to go on, None when the thread's start is reached. `gap_ms` is a millisecond
    that may hold more messages than were read.
    """

    items: list[dict[str, Any]]
    back_to_ms: int | None
    gap_ms: int | None = None


FetchBatch = Callable[[dict[str, int]], Awaitable[Answer]]
"""From the query's timestamp parameter, if any, to a batch of messages."""


async def walk_thread(
    fetch: FetchBatch, before_ms: int | None = None, *, has_some: bool = False
) -> AsyncIterator[ThreadBatch]:
    """Batches of messages, newest first.

    Each next batch is asked from the oldest time + 1 ms, so that messages which share that
    millisecond are not cut off; a millisecond that fills a whole batch is read from both its ends. An
    empty batch is asked for again where there must be messages: after a 206, and in a thread that
    `has_some`. Raises Circular when Crisp keeps sending what it sent.
    """
    seen: set[int] = set()
    stuck, crowd_ms = False, None
    while True:
        cursor = {} if before_ms is None else {"timestamp_before": before_ms}
        answer = await _ask_batch(fetch, cursor, has_some=has_some and not seen)
        items = page_of(1, answer).items
        if answer.more and not items:
            raise Circular("A thread in Crisp promises more messages and shows none.")
        fresh = _take_fresh(items, seen)
        times = _times(items)
        if not answer.more or not times:
            yield ThreadBatch(fresh, None)
            return
        oldest, gap_ms = min(times), None
        if not fresh and (stuck or before_ms is None):
            raise Circular("A thread in Crisp repeats itself instead of going back.")
        stuck = not fresh
        if oldest < max(times):
            before_ms = oldest if stuck or before_ms == oldest + 1 else oldest + 1
        elif oldest == crowd_ms:  # "before" includes the moment itself, it seems
            before_ms = oldest - 1
        else:
            first, whole = await _read_crowd(fetch, oldest, items)
            fresh += _take_fresh(first, seen)
            before_ms = crowd_ms = oldest
            gap_ms, stuck = None if whole else oldest, False
        yield ThreadBatch(fresh, before_ms, gap_ms)


async def _ask_batch(fetch: FetchBatch, cursor: dict[str, int], *, has_some: bool) -> Answer:
    answer = await fetch(cursor)
    for _ in range(CONFIRM_EMPTY):
        if answer.data or not (answer.more or has_some):
            break
        answer = await fetch(cursor)
    return answer


async def _read_crowd(
    fetch: FetchBatch, moment_ms: int, last: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], bool]:
    """The first messages of a millisecond whose `last` ones fill a batch; whether these are all.

    They are when both ends meet. Crisp places a batch by time alone, so what lies between two full
    batches of one millisecond is out of reach, with timestamp_around too (crisp/REFERENCE.md
    section 4.3).
    """
    try:
        answer = await _ask_batch(fetch, {"timestamp_after": moment_ms - 1}, has_some=True)
    except Permanent:  # older than timestamp_after, it seems
        return [], False
    first = page_of(1, answer).items
    times = _times(first)
    if moment_ms not in times:
        return first, False
    ids = {item.get("fingerprint") for item in last} - {None}
    meet = any(item.get("fingerprint") in ids for item in first)
    return first, meet or not answer.more or max(times) > moment_ms


def _take_fresh(items: list[dict[str, Any]], seen: set[int]) -> list[dict[str, Any]]:
    fresh = [item for item in items if item.get("fingerprint") not in seen]
    seen.update(f for item in items if isinstance(f := item.get("fingerprint"), int))
    return fresh


def _times(items: list[dict[str, Any]]) -> list[int]:
    return [t for item in items if (t := _time(item)) is not None]


def _time(item: dict[str, Any]) -> int | None:
    value = item.get("timestamp")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


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
