"""How many requests a sync makes: they are what Crisp rations. All numbers here are exact.

The least that a full sync can do is one request for each 50 people, for each 50 conversations, and
for each 40 messages of a conversation (one for a conversation without any). It may make 3 % more than
that, and twice log₂ of the pages to find the last ones.

A thread is read backwards, each batch from the oldest time seen + 1 ms, so that messages which share a
millisecond are not cut off. Each batch after the first thus repeats at least one message: a thread of n
messages takes 1 + ⌈(n - 40) / 39⌉ requests, not ⌈n / 40⌉. The few requests more count against the 3 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import ceil, log2

import pytest

from tests.bench.boxes import CONVERSATIONS, MESSAGES, PEOPLE, Box, box
from tests.bench.databases import database
from tests.bench.figures import tell, verdict
from tests.fixtures.program import Program

PEOPLE_COUNT, CONVERSATION_COUNT, CHANGED = 2_000, 5_000, 50
SHARE, BATCH, PER_PAGE = 1.03, 40, 50
INCREMENTAL_ALLOWANCE = 10


@pytest.fixture
def crisp(program: Program) -> Iterator[Box]:
    with box(program, PEOPLE_COUNT, CONVERSATION_COUNT) as made:
        yield made


def test_requests(crisp: Box) -> None:
    with database("sqlite", crisp.program.folder) as url:
        crisp.connect(url)
        _full(crisp, url)
        _full_again(crisp, url)
        _incremental(crisp, url)


def _full(crisp: Box, url: str) -> None:
    crisp.do("counters/reset")
    crisp.sync(url)
    made = crisp.show("counters")["total"]
    lengths = [row["messages"] for row in crisp.rows("truth/conversations") if not row["removed"]]
    pages = ceil(PEOPLE_COUNT / PER_PAGE) + ceil(len(lengths) / PER_PAGE)
    batches = sum(max(1, ceil(n / BATCH)) for n in lengths)
    overlap = sum(1 + ceil(max(0, n - BATCH) / (BATCH - 1)) for n in lengths) - batches
    allowed = SHARE * (pages + batches) + 2 * log2(pages)
    by_route = crisp.counted()
    tell(
        f"requests of a full sync: {made:,}; {pages} pages + {batches:,} batches of messages are "
        f"the least; target ≤ {allowed:,.0f}: {'met' if made <= allowed else 'MISSED'}"
    )
    tell(
        f"  people {by_route[PEOPLE]}, conversations {by_route[CONVERSATIONS]}, messages "
        f"{by_route[MESSAGES]:,}: {overlap} for the overlap of batches, "
        f"{by_route[MESSAGES] - batches - overlap} asked twice"
    )
    assert made <= allowed


def _full_again(crisp: Box, url: str) -> None:
    crisp.do("counters/reset")
    crisp.sync(url)
    asked = crisp.counted()
    tell(
        f"requests of a second full sync, nothing changed: {sum(asked.values()):,}, for messages "
        f"{asked.get(MESSAGES, 0)}; {verdict(asked.get(MESSAGES, 0), 0)}"
    )
    assert asked.get(MESSAGES, 0) == 0


def _incremental(crisp: Box, url: str) -> None:
    """Changes, five minutes, one incremental; the list must hold at least what it has to hold."""
    last = max((row["number"] for row in crisp.rows("changes")), default=0)
    crisp.do("settings", mix={"message_new": 1, "state": 1})
    crisp.do("change", count=CHANGED, website=crisp.website_id)
    changes = list(crisp.rows(f"changes?since={last}"))
    changed = len({change["data"]["session_id"] for change in changes})
    crisp.do("clock", advance_ms=5 * 60_000)
    crisp.do("log", length=10_000)
    crisp.do("counters/reset")
    crisp.sync(url, "incremental")
    asked = crisp.counted()
    listed = _least_pages(crisp)
    total, messages = sum(asked.values()), asked.get(MESSAGES, 0)
    allowed = changed + listed + INCREMENTAL_ALLOWANCE
    tell(
        f"requests of an incremental sync, {changed} conversations changed: {total}, for messages "
        f"{messages}, list pages at least {listed}; {verdict(total, allowed)}"
    )
    assert messages <= changed
    assert total <= allowed


def _least_pages(crisp: Box) -> int:
    """Pages of what lies in the windows that were asked for: from where the first request began."""
    pages = 0
    for route, what, time_of in (
        (CONVERSATIONS, "truth/conversations", "updated_at"),
        (PEOPLE, "truth/people", "created_at"),
    ):
        froms = [
            _ms(one["params"]["filter_date_start"])
            for one in crisp.asked()
            if one["route"] == route and "filter_date_start" in one["params"]
        ]
        rows = [row for row in crisp.rows(what) if row[time_of] >= min(froms)]
        pages += max(1, ceil(len(rows) / PER_PAGE))
    return pages


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
