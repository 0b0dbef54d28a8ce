"""Walking a thread from its newest message back to its start, so that no message is stepped over.

Source: crisp/REFERENCE.md section 4.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.crisp.client import Answer
from app.crisp.errors import Circular, Permanent
from app.crisp.paging import CONFIRM_EMPTY, page_of


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
