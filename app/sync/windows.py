"""Reading a list in windows of time with a frozen end (SPEC S3, FAILURES cases 28, 42).

Windows go from the newest to the oldest, so that pages are useful within minutes; inside a window
the walk goes from the last page to the first. A window is cut so that it has about MAX_PAGES pages:
Crisp may refuse or silently cap deep ones (crisp/GAPS.md row 11).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.crisp.paging import Fetch, Page, Search, ask_next, end_when_refused, walk_back

MAX_PAGES = 80
_SMALLEST_MS = 2_000

Fetching = Callable[[int, int], Fetch]
"""(from, to), both epoch ms and inclusive, to a function that fetches a page of that window."""


@dataclass(slots=True)
class ListState:
    """How far the list between `from_ms` and `to_ms` is read. `page` is the next one to read of the
    window from `lower_ms` to `upper_ms`; None before the window is planned. While it is, `search` looks
    for its last page, and `probed` tells that its depth is known to be right. `unreachable_ms` is
    where Crisp showed fewer rows than it promised, and no smaller window helped. Somewhere after
    `hole_from_ms` rows were not shown at all. `empty_page` has come empty, and the page before it is
    not read yet; `missed_page` is one whose rows exist and were not shown.
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
    probed: bool = False
    search: Search | None = None
    hole_from_ms: int | None = None
    empty_page: int | None = None
    missed_page: int | None = None

    def note_page(self, page: Page) -> None:
        """An empty page is the end of a list that has grown shorter, or a hole in it.

        What changes leaves the window, and its last pages come empty then, as after a long pause.
        The page before tells: it is the new last one, or promises the rows that were not shown.
        """
        self.missed_page = None
        if not page.items and page.number < self.pages:
            self.empty_page = page.number
        if self.empty_page is not None and (page.promises_more or self.empty_page == 1):
            self.missed_page = self.empty_page
        if page.items or page.number == 1:
            self.empty_page = None

    def note_hole(self, from_ms: int) -> None:
        self.hole_from_ms = (
            from_ms if self.hole_from_ms is None else min(self.hole_from_ms, from_ms)
        )

    def as_json(self) -> dict[str, Any]:
        stored = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**stored, "search": self.search.as_json() if self.search else None}


def begin(from_ms: int, to_ms: int) -> ListState:
    return ListState(from_ms, to_ms, upper_ms=to_ms)


def go_on(stored: Mapping[str, Any]) -> ListState:
    """The state that `as_json` gave."""
    search = stored.get("search")
    # An earlier version of the program may have stored others.
    known = {f.name: stored[f.name] for f in fields(ListState) if f.name in stored}
    return ListState(**{**known, "search": Search(**search) if search else None})


async def walk_windows(
    state: ListState, fetching: Fetching, limit: int = MAX_PAGES, *, by: str = "updated_at"
) -> AsyncIterator[tuple[Page, ListState]]:
    """Every page that is asked for, each with the state to save together with its rows.

    `by`: the time of a row that decides into which window it falls, epoch ms.
    """
    while not state.done:
        if state.page is None:
            state.missed_page = None
            async for page in _plan(state, fetching, limit, by):
                yield page, state
            continue
        fetch = fetching(state.lower_ms, state.upper_ms)
        async for page in walk_back(fetch, state.page):
            state.listed += len(page.items)
            state.note_page(page)
            _next_page(state, page.number - 1)
            yield page, state


def _next_page(state: ListState, page: int) -> None:
    if page > 0:
        state.page = page
        return
    state.page = None
    if state.lower_ms <= state.from_ms:
        state.done = True
    # The edge is read in both windows: rows that share that millisecond belong to it too.
    state.upper_ms = state.lower_ms


async def _plan(state: ListState, fetching: Fetching, limit: int, by: str) -> AsyncIterator[Page]:
    """Choose the lower end of the next window and find its last page."""
    if state.search is None:
        state.lower_ms, state.pages, state.probed = state.from_ms, 0, False
        state.search = Search()
    while state.search is not None:
        fetch = end_when_refused(fetching(state.lower_ms, state.upper_ms))
        if state.search.rows and not state.probed:
            page = await fetch(limit)
            state.probed = True
            if page.items:
                state.lower_ms, state.search = _cut(page, state, by)[0], Search(limit)
        else:
            page = await ask_next(fetch, state.search)
            if state.search.ended:
                _end_search(state, state.search, by)
        yield page


def _end_search(state: ListState, search: Search, by: str) -> None:
    """Begin to read, or look in a smaller window where Crisp shows no more pages than this."""
    if search.promises_more and search.page:
        # The next page is empty all the same.
        lower_ms, is_exact = _cut(search.page, state, by)
        if lower_ms <= state.lower_ms:
            state.unreachable_ms = state.lower_ms
        else:
            state.lower_ms = lower_ms
            if not is_exact:
                state.search = Search()
                return
    state.search = None
    state.pages = search.last
    state.listed += search.rows
    _next_page(state, search.last - 1)


def _cut(page: Page, state: ListState, by: str) -> tuple[int, bool]:
    """A lower end that leaves out what stands behind this page: exactly its oldest time if the list
    is newest first, else half of the time.
    """
    times = [t for item in page.items if isinstance(t := item.get(by), int)]
    newest_first = bool(times) and times == sorted(times, reverse=True)
    if newest_first and state.lower_ms < times[-1] < state.upper_ms:
        return times[-1], True
    half = (state.lower_ms + state.upper_ms) // 2
    return (half, False) if state.upper_ms - half > _SMALLEST_MS else (state.lower_ms, False)
