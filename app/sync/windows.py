"""Reading the list of conversations in windows with a frozen end (SPEC S3, FAILURES cases 28, 42).

Windows go from the newest to the oldest, so that pages are useful within minutes; inside a window
the walk goes from the last page to the first. A window is cut so that it has about MAX_PAGES pages:
Crisp may refuse or silently cap deep ones (crisp/GAPS.md row 11).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

from app.crisp.errors import Permanent
from app.crisp.paging import Fetch, Page, find_last_page, walk_back

MAX_PAGES = 80
_SMALLEST_MS = 2_000

Fetching = Callable[[int, int], Fetch]
"""(from, to), both epoch ms and inclusive, to a function that fetches a page of that window."""


@dataclass(slots=True)
class ListState:
    """How far the list between `from_ms` and `to_ms` is read. `page` is the next one to read of the
    window from `lower_ms` to `upper_ms`; None before the window is planned.
    """

    from_ms: int
    to_ms: int
    upper_ms: int
    lower_ms: int = 0
    page: int | None = None
    pages: int = 0
    listed: int = 0
    done: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def begin(from_ms: int, to_ms: int) -> ListState:
    return ListState(from_ms, to_ms, upper_ms=to_ms)


async def walk_windows(
    state: ListState, fetching: Fetching, limit: int = MAX_PAGES
) -> AsyncIterator[tuple[Page, ListState]]:
    """Every page, each with the state to save together with its rows."""
    while not state.done:
        known = None
        if state.page is None:
            known = await _plan(state, fetching, limit)
        fetch = fetching(state.lower_ms, state.upper_ms)
        async for page in walk_back(fetch, state.page or 1, known):
            state.page = page.number - 1
            state.listed += len(page.items)
            if state.page == 0:
                _next_window(state)
            yield page, state


def _next_window(state: ListState) -> None:
    state.page = None
    if state.lower_ms <= state.from_ms:
        state.done = True
    # The edge is read in both windows: rows that share that millisecond belong to it too.
    state.upper_ms = state.lower_ms


async def _plan(state: ListState, fetching: Fetching, limit: int) -> Page | None:
    """Choose the lower end of the next window and find its last page."""
    probe = await _probe(fetching(state.from_ms, state.upper_ms), limit)
    if probe is not None and not probe.items:
        state.lower_ms = state.from_ms
        last = await find_last_page(fetching(state.from_ms, state.upper_ms))
    else:
        state.lower_ms = _cut(probe, state)
        guess = limit if probe is not None else 1
        last = await find_last_page(fetching(state.lower_ms, state.upper_ms), guess)
    state.page, state.pages = last.number, last.number
    return last


async def _probe(fetch: Fetch, limit: int) -> Page | None:
    """Page `limit` of all that is left; None when Crisp refuses pages that deep."""
    try:
        return await fetch(limit)
    except Permanent:
        return None


def _cut(probe: Page | None, state: ListState) -> int:
    """The oldest update time on the probed page if the list is newest first, else half of the time left."""
    if probe is not None:
        times = [t for item in probe.items if isinstance(t := item.get("updated_at"), int)]
        if times and times == sorted(times, reverse=True) and times[-1] < state.upper_ms:
            return max(times[-1], state.from_ms)
    half = (state.from_ms + state.upper_ms) // 2
    return half if state.upper_ms - half > _SMALLEST_MS else state.from_ms
