"""Reading the list of conversations in windows with a frozen end (SPEC S3, FAILURES cases 28, 42).

Windows go from the newest to the oldest, so that pages are useful within minutes; inside a window
the walk goes from the last page to the first. A window is cut so that it has about MAX_PAGES pages:
Crisp may refuse or silently cap deep ones (crisp/GAPS.md row 11).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

from app.crisp.paging import Fetch, Page, end_when_refused, find_last_page, walk_back

MAX_PAGES = 80
_SMALLEST_MS = 2_000

Fetching = Callable[[int, int], Fetch]
"""(from, to), both epoch ms and inclusive, to a function that fetches a page of that window."""


@dataclass(slots=True)
class ListState:
    """How far the list between `from_ms` and `to_ms` is read. `page` is the next one to read of the
    window from `lower_ms` to `upper_ms`; None before the window is planned. `unreachable_ms` is where
    Crisp showed fewer rows than it promised, and no smaller window helped.
    """

    from_ms: int
    to_ms: int
    upper_ms: int
    lower_ms: int = 0
    page: int | None = None
    pages: int = 0
    listed: int = 0
    done: bool = False
    unreachable_ms: int | None = None

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


async def _plan(state: ListState, fetching: Fetching, limit: int) -> Page:
    """Choose the lower end of the next window and find its last page."""
    state.lower_ms, guess = state.from_ms, 1
    whole = end_when_refused(fetching(state.from_ms, state.upper_ms))
    last = await whole(1)
    if last.items and not last.is_surely_last:
        probe = await whole(limit)
        if probe.items:
            state.lower_ms, guess = _cut(probe, state)[0], limit
    while not last.is_surely_last:
        fetch = end_when_refused(fetching(state.lower_ms, state.upper_ms))
        last = await find_last_page(fetch, guess)
        if not last.promises_more:
            break
        # The next page is empty all the same: Crisp shows no more pages, so a smaller window it is.
        lower_ms, is_exact = _cut(last, state)
        if lower_ms <= state.lower_ms:
            state.unreachable_ms = state.lower_ms
            break
        state.lower_ms, guess = lower_ms, 1
        if is_exact:
            break
    state.page, state.pages = last.number, last.number
    return last


def _cut(page: Page, state: ListState) -> tuple[int, bool]:
    """A lower end that leaves out what stands behind this page: exactly its oldest update time if
    the list is newest first, else half of the time.
    """
    times = [t for item in page.items if isinstance(t := item.get("updated_at"), int)]
    newest_first = bool(times) and times == sorted(times, reverse=True)
    if newest_first and state.lower_ms < times[-1] < state.upper_ms:
        return times[-1], True
    half = (state.lower_ms + state.upper_ms) // 2
    return (half, False) if state.upper_ms - half > _SMALLEST_MS else (state.lower_ms, False)
