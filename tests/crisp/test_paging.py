"""Walks over lists and threads that change at any moment, made up by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.crisp.client import Answer
from app.crisp.errors import Circular, Gone, Permanent
from app.crisp.paging import (
    PER_PAGE,
    Page,
    end_when_gone,
    find_last_page,
    page_of,
    walk_back,
)
from app.crisp.thread_paging import ThreadBatch, walk_thread
from app.sync.windows import begin, walk_windows

Row = dict[str, Any]


@dataclass(slots=True)
class List:
    """A frozen window of a list in Crisp, newest first: rows leave it before any request.

    `leaving[n]` are the positions (in thousandths) of the rows that leave before request n. `honest`:
    whether 206 stands for more; else it is always sent.
    """

    rows: list[Row]
    leaving: list[list[int]] = field(default_factory=list)
    honest: bool = True
    requests: int = 0

    async def fetch(self, number: int) -> Page:
        if self.requests < len(self.leaving):
            for place in self.leaving[self.requests]:
                if self.rows:
                    del self.rows[place * len(self.rows) // 1000]
        self.requests += 1
        start = (number - 1) * PER_PAGE
        more = len(self.rows) > start + PER_PAGE or not self.honest
        return Page(number, self.rows[start : start + PER_PAGE], more, self.requests)


def numbered(count: int) -> list[Row]:
    return [{"id": n} for n in range(count)]


async def ids_met(fetch: Callable[[int], Any], guess: int) -> list[int]:
    last = await find_last_page(fetch, guess)
    return [item["id"] async for page in walk_back(fetch, last.number, last) for item in page.items]


leavings = st.lists(st.lists(st.integers(0, 999), max_size=60), max_size=25)


@given(st.integers(0, 420), st.integers(1, 20), leavings, st.booleans())
@settings(max_examples=400)
async def test_rows_that_leave_at_any_time_take_no_other_with_them(
    count: int, guess: int, leaving: list[list[int]], honest: bool
) -> None:  # SPEC S1, S3
    crisp = List(numbered(count), leaving, honest)
    met = await ids_met(crisp.fetch, guess)
    assert {row["id"] for row in crisp.rows} <= set(met)


@given(st.integers(0, 600), st.integers(1, 30), st.booleans())
async def test_each_row_of_a_quiet_list_is_met_once(count: int, guess: int, honest: bool) -> None:
    crisp = List(numbered(count), honest=honest)
    met = await ids_met(crisp.fetch, guess)
    assert sorted(met) == list(range(count))
    pages = max(1, -(-count // PER_PAGE))
    assert crisp.requests <= pages + 2 * max(pages, guess).bit_length() + 6


@given(
    st.integers(51, 400),
    st.integers(1, 12),
    st.sets(st.integers(1, 9), max_size=9),
)
@settings(max_examples=200)
async def test_page_that_comes_empty_once_is_asked_for_again(
    count: int, guess: int, failing: set[int]
) -> None:  # FAILURES case 38
    crisp = List(numbered(count))
    left = set(failing)

    async def fetch(number: int) -> Page:
        page = await crisp.fetch(number)
        if number in left:
            left.remove(number)
            return Page(number, [], page.more, page.asked_ms)
        return page

    assert set(await ids_met(fetch, guess)) == set(range(count))


@given(st.integers(51, 400), st.integers(1, 12), st.integers(1, 8))
async def test_list_that_breaks_its_promise_says_so(count: int, guess: int, depth: int) -> None:
    """A page that stays empty behind one that promised more: whoever walks can tell."""
    crisp = List(numbered(count))

    async def fetch(number: int) -> Page:
        page = await crisp.fetch(number)
        return page if number <= depth else Page(number, [], page.more, page.asked_ms)

    last = await find_last_page(fetch, guess)
    assert last.promises_more == (count > depth * PER_PAGE)


async def test_two_equal_pages_are_no_end() -> None:
    async def fetch(number: int) -> Page:
        return Page(number, numbered(PER_PAGE), more=True, asked_ms=0)

    with pytest.raises(Circular):
        await find_last_page(fetch)
    with pytest.raises(Circular):
        assert [page async for page in walk_back(fetch, 3)] == []


async def test_list_without_end_is_given_up() -> None:
    async def fetch(number: int) -> Page:
        return Page(number, [{"id": number}] * PER_PAGE, more=True, asked_ms=0)

    with pytest.raises(Circular, match="no end"):
        await find_last_page(fetch)


@pytest.mark.parametrize("data", [{}, None, "", 7, {"0": {}}])
def test_answer_that_is_no_list_is_no_empty_page(data: Any) -> None:  # FAILURES case 37
    with pytest.raises(Circular):
        page_of(1, Answer(data, more=False, asked_ms=0, cached=False))


async def test_not_found_behind_the_end_is_the_end() -> None:
    crisp = List(numbered(120))

    async def fetch(number: int) -> Page:
        if number > 3:
            raise Gone("Crisp does not have this record.")
        return await crisp.fetch(number)

    assert sorted(await ids_met(end_when_gone(fetch), 1)) == list(range(120))


async def test_not_found_on_the_first_page_is_an_error() -> None:
    async def fetch(number: int) -> Page:
        raise Gone("Crisp does not have this record.")

    with pytest.raises(Gone):
        await find_last_page(end_when_gone(fetch))


@dataclass(slots=True)
class Windowed:
    """A list that can be asked for in windows of update time, and that does not go deeper than `depth`."""

    times: list[int]
    depth: int = 1 << 30
    refuses: bool = False
    newest_first: bool = True
    requests: int = 0

    def fetching(self, from_ms: int, to_ms: int) -> Callable[[int], Any]:
        async def fetch(number: int) -> Page:
            self.requests += 1
            rows = [
                {"id": n, "updated_at": t}
                for n, t in enumerate(self.times)
                if from_ms <= t <= to_ms
            ]
            rows.sort(key=lambda row: (row["updated_at"], row["id"]), reverse=self.newest_first)
            start = (number - 1) * PER_PAGE
            if number > self.depth:
                if self.refuses:
                    raise Permanent("Crisp refused the request (400 invalid_data).", status=400)
                return Page(number, [], more=False, asked_ms=0)
            more = len(rows) > start + PER_PAGE
            return Page(number, rows[start : start + PER_PAGE], more, asked_ms=0)

        return fetch

    async def walk(self, limit: int, to_ms: int = 10_000_000) -> list[int]:
        state = begin(0, to_ms)
        return [
            item["id"]
            async for page, _state in walk_windows(state, self.fetching, limit)
            for item in page.items
        ]


spread = st.lists(st.integers(0, 10_000_000), max_size=600)
# Up to a page and a half of rows share a moment.
crowded = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 75)), max_size=12).map(
    lambda groups: [moment * 40_000 for moment, count in groups for _ in range(count)][:600]
)


@given(st.one_of(spread, crowded), st.integers(2, 12), st.booleans())
@settings(max_examples=150)
async def test_windows_together_are_the_whole_list(
    times: list[int], limit: int, newest_first: bool
) -> None:  # SPEC S3, FAILURES case 42
    crisp = Windowed(times, newest_first=newest_first)
    assert set(await crisp.walk(limit)) == set(range(len(times)))


@given(spread, st.integers(2, 12), st.integers(1, 12), st.booleans(), st.booleans())
@settings(max_examples=200)
async def test_list_of_any_depth_is_read_to_its_end(
    times: list[int], limit: int, depth: int, refuses: bool, newest_first: bool
) -> None:  # FAILURES case 42
    crisp = Windowed(times, depth, refuses, newest_first)
    assert set(await crisp.walk(limit)) == set(range(len(times)))
    assert crisp.requests <= 60 + 12 * len(times) / PER_PAGE * 24


@given(
    st.lists(st.integers(0, 10_000_000), min_size=1, max_size=500),
    st.integers(2, 6),
    st.lists(st.lists(st.integers(0, 999), max_size=30), max_size=30),
)
@settings(max_examples=200)
async def test_rows_that_leave_the_windows_take_no_other_with_them(
    times: list[int], limit: int, leaving: list[list[int]]
) -> None:  # SPEC S1
    """Leaving as in life: to a time after the frozen end."""
    crisp = Windowed(list(times))

    def fetching(from_ms: int, to_ms: int) -> Callable[[int], Any]:
        fetch = crisp.fetching(from_ms, to_ms)

        async def changing(number: int) -> Page:
            if crisp.requests < len(leaving):
                for place in leaving[crisp.requests]:
                    crisp.times[place * len(times) // 1000] = 20_000_000
            page: Page = await fetch(number)
            return page

        return changing

    state = begin(0, 10_000_000)
    met = {
        item["id"]
        async for page, _state in walk_windows(state, fetching, limit)
        for item in page.items
    }
    assert {n for n, t in enumerate(crisp.times) if t <= 10_000_000} <= met
    assert state.unreachable_ms is None


@given(
    st.lists(st.integers(0, 10_000_000), min_size=60, max_size=600),
    st.integers(2, 6),
    st.integers(0, 11),
    st.integers(1, 11),
)
@settings(max_examples=200)
async def test_end_that_came_nearer_is_no_hole(
    times: list[int], limit: int, when: int, share: int
) -> None:  # SPEC S3, FAILURES case 38
    """Many at once leave to a time after the frozen end, as while a run is parked."""
    crisp = Windowed(list(times))
    missed = set()
    async for _page, state in walk_windows(begin(0, 10_000_000), crisp.fetching, limit):
        missed.add(state.missed_page)
        if crisp.requests > when:
            # The newest stays: a list that is shown empty as a whole is believed by nobody.
            keep = max(range(len(times)), key=lambda n: crisp.times[n] % 20_000_000)
            for n in range(len(times)):
                if n % share == 0 and n != keep:
                    crisp.times[n] = 20_000_000
    assert missed == {None}


@given(
    st.lists(st.integers(0, 10_000_000), min_size=150, max_size=600, unique=True),
    st.integers(1, 11),
    st.booleans(),
)
@settings(max_examples=200)
async def test_rows_that_stay_hidden_are_told_of(
    times: list[int], hidden: int, newest_first: bool
) -> None:  # FAILURES case 38
    crisp = Windowed(times, newest_first=newest_first)
    hiding = False

    def fetching(from_ms: int, to_ms: int) -> Callable[[int], Any]:
        fetch = crisp.fetching(from_ms, to_ms)

        async def asked(number: int) -> Page:
            page: Page = await fetch(number)
            return replace(page, items=[]) if hiding and number == hidden else page

        return asked

    state, missed, met = begin(0, 10_000_000), set(), set()
    async for page, _state in walk_windows(state, fetching):
        hiding = hiding or state.page is not None
        missed.add(state.missed_page)
        met |= {item["id"] for item in page.items}
    assert missed <= {None, hidden}
    # What the search for the end has met already may be told of as well.
    assert hidden in missed or len(met) == len(times)


async def test_moment_with_more_rows_than_pages_is_told() -> None:
    crisp = Windowed([5_000_000] * 170, depth=2)
    state = begin(0, 10_000_000)
    rows = [
        item async for page, _state in walk_windows(state, crisp.fetching, 4) for item in page.items
    ]
    assert {row["id"] for row in rows} == set(range(70, 170))
    assert state.unreachable_ms is not None


@dataclass(slots=True)
class Thread:
    """Messages of one conversation, oldest first; `batch` at a time, before a moment or up to it."""

    times: list[int]
    batch: int
    inclusive: bool = False
    requests: int = 0

    async def fetch(self, cursor: dict[str, int]) -> Answer:
        self.requests += 1
        assert self.requests <= 4 * len(self.times) + 3, "the walk does not end"
        numbers = list(range(len(self.times)))
        if "timestamp_after" in cursor:
            edge = cursor["timestamp_after"] - self.inclusive
            newer = [n for n in numbers if self.times[n] > edge]
            return self._answer(newer[: self.batch], more=len(newer) > self.batch)
        before = cursor.get("timestamp_before")
        older = [n for n in numbers if before is None or self.times[n] < before + self.inclusive]
        return self._answer(older[-self.batch :], more=len(older) > self.batch)

    def _answer(self, numbers: list[int], *, more: bool) -> Answer:
        items = [{"fingerprint": n, "timestamp": self.times[n]} for n in numbers]
        return Answer(items, more=more, asked_ms=0, cached=False)

    async def walk(self, before: int | None = None) -> list[int]:
        return [item["fingerprint"] for step in await self.steps(before) for item in step.items]

    async def steps(self, before: int | None = None) -> list[ThreadBatch]:
        return [step async for step in walk_thread(self.fetch, before)]


# Few moments for many messages, so that equal ones fall on the edges of batches.
moments = st.lists(st.integers(1, 30), max_size=160).map(sorted)


@given(moments, st.integers(2, 40), st.booleans())
@settings(max_examples=400)
async def test_equal_times_at_batch_edges_lose_nothing(
    times: list[int], batch: int, inclusive: bool
) -> None:  # SPEC D3
    largest = max((times.count(t) for t in set(times)), default=0)
    thread = Thread(times, max(batch, largest + 1), inclusive)
    met = await thread.walk()
    assert sorted(met) == list(range(len(times))), "each message once"


@given(moments, st.integers(1, 5), st.booleans())
@settings(max_examples=300)
async def test_whole_batches_of_one_moment_never_loop(
    times: list[int], batch: int, inclusive: bool
) -> None:
    thread = Thread(times, batch, inclusive)
    try:
        met = await thread.walk()
    except Circular:
        return
    assert len(met) == len(set(met))
    if not inclusive and times:
        assert {times[n] for n in met} == set(times), "no moment is left out altogether"


@given(moments, st.integers(1, 12), st.booleans())
@settings(max_examples=400)
async def test_what_a_crowded_moment_hides_is_told(
    times: list[int], batch: int, inclusive: bool
) -> None:
    """Whatever is missing shares a millisecond that the walk names."""
    thread = Thread(times, batch, inclusive)
    try:
        steps = await thread.steps()
    except Circular:  # told as well
        assert inclusive
        return
    met = {item["fingerprint"] for step in steps for item in step.items}
    told = {step.gap_ms for step in steps}
    assert {times[n] for n in range(len(times)) if n not in met} <= told


@pytest.mark.parametrize("before", [0, 1, 25, 90])
@pytest.mark.parametrize("after", [0, 1, 25, 90])
@pytest.mark.parametrize("crowd", [40, 41, 62, 79, 80, 81, 200])
async def test_crowded_moment_is_read_from_both_ends(before: int, crowd: int, after: int) -> None:
    times = [*range(1, before + 1), *[1000] * crowd, *range(2001, 2001 + after)]
    thread = Thread(times, 40)
    steps = await thread.steps()
    met = [item["fingerprint"] for step in steps for item in step.items]
    assert len(met) == len(set(met)) == before + after + min(crowd, 80)
    told = [step.gap_ms for step in steps if step.gap_ms is not None]
    assert told == ([1000] if crowd >= 80 else []), "eighty might be more for all one can see"
    assert thread.requests <= -(-len(times) // 40) + 4


async def test_server_without_forward_paging_leaves_a_gap() -> None:
    thread = Thread([5] * 62, 40)

    async def fetch(cursor: dict[str, int]) -> Answer:
        if "timestamp_after" in cursor:
            raise Permanent("Crisp refused the request (400 invalid_data).", status=400)
        return await thread.fetch(cursor)

    steps = [step async for step in walk_thread(fetch)]
    assert [(len(step.items), step.gap_ms) for step in steps] == [(40, 5), (0, None)]


@pytest.mark.parametrize(("more", "has_some"), [(True, False), (False, True), (True, True)])
async def test_empty_batch_where_there_are_messages_is_asked_for_again(
    more: bool, has_some: bool
) -> None:  # FAILURES case 38
    thread = Thread(list(range(100, 130)), 40)
    failing = 2

    async def fetch(cursor: dict[str, int]) -> Answer:
        nonlocal failing
        failing -= 1
        answer = await thread.fetch(cursor)
        return Answer([], more, asked_ms=0, cached=False) if failing >= 0 else answer

    met = [item async for step in walk_thread(fetch, has_some=has_some) for item in step.items]
    assert len(met) == 30


async def test_thread_that_shows_nothing_and_promises_more_is_an_error() -> None:
    async def fetch(cursor: dict[str, int]) -> Answer:
        return Answer([], more=True, asked_ms=0, cached=False)

    with pytest.raises(Circular, match="shows none"):
        assert [step async for step in walk_thread(fetch)] == []


async def test_empty_thread_costs_one_request() -> None:
    thread = Thread([], 40)
    assert await thread.walk() == []
    assert thread.requests == 1


async def test_server_that_ignores_where_to_go_on_is_an_error() -> None:
    async def fetch(cursor: dict[str, int]) -> Answer:
        items = [{"fingerprint": n, "timestamp": 100 + n} for n in range(40)]
        return Answer(items, more=True, asked_ms=0, cached=False)

    with pytest.raises(Circular):
        assert [step async for step in walk_thread(fetch)] == []


@given(moments, st.integers(2, 40), st.integers(0, 10))
async def test_walk_that_was_interrupted_goes_on_where_it_was(
    times: list[int], batch: int, batches: int
) -> None:  # SPEC S5
    largest = max((times.count(t) for t in set(times)), default=0)
    thread = Thread(times, max(batch, largest + 1))
    met: set[int] = set()
    go_on = None
    async for step in walk_thread(thread.fetch):
        met |= {item["fingerprint"] for item in step.items}
        go_on = step.back_to_ms
        batches -= 1
        if batches <= 0:
            break
    if go_on is not None:
        met |= set(await thread.walk(go_on))
    assert met == set(range(len(times)))
