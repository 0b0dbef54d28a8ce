"""kill -9, thirty times in one full sync: what is stored afterwards, and what was asked for again.

Where in the run each kill falls is thrown beforehand, as a number of requests. A lease lasts a second
here, so that the next process takes over soon. A kill may repeat what was asked for and not yet
written: at most one page, which is one list page (of people, and one of conversations, since both are
read at once) and the messages of up to 50 conversations.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import create_engine, text

from tests.bench.boxes import CONVERSATIONS, MESSAGES, PEOPLE, Box, Json, box, path_of
from tests.bench.databases import database
from tests.bench.figures import tell, verdict
from tests.fixtures.program import Program

KILLS, PAGE, LIST_PAGES = 30, 50, 2
SIZE = (1_000, 2_500)
DELAY_MS = "10"  # so that there is time to kill within a page
Asked = list[Json]


def test_killed_thirty_times(program: Program) -> None:
    with box(program, *SIZE, "--delay-ms", DELAY_MS) as crisp:
        crisp.do("log", length=100_000)
        calm = _undisturbed(crisp)
        with database("sqlite", program.folder) as url:
            lives = _kill_often(crisp, url, len(calm))
            _assert_complete(crisp, url)
        _tell_repeated(lives, calm)


def _undisturbed(crisp: Box) -> Asked:
    with database("sqlite", crisp.program.folder) as url:
        crisp.connect(url)
        crisp.do("log", length=100_000)
        before = len(crisp.asked())
        crisp.sync(url)
        return crisp.asked()[before:]


def _kill_often(crisp: Box, url: str, total: int) -> list[Asked]:
    """What each life asked for; the last one comes to its end."""
    crisp.connect(url)
    dice = random.Random(30)
    points = sorted(dice.sample(range(1, total - PAGE), KILLS))
    until_next = [after - before for before, after in pairwise([0, *points])]
    return [_one_life(crisp, url, wanted) for wanted in [*until_next, None]]


def _one_life(crisp: Box, url: str, wanted: int | None) -> Asked:
    """Until `wanted` requests were made that no earlier life had made; None lets it end by itself."""
    crisp.do("counters/reset")
    environment = crisp.environment(url, LEASE_SECONDS="1")
    running = crisp.program.start("sync", "--full", "--wait", env=environment)
    if wanted is None:
        assert running.wait(300) == 0, running.output
        return crisp.asked()
    end = time.monotonic() + 60
    while crisp.show("counters")["total"] < wanted:
        assert running.alive, f"it ended by itself: {running.output}"
        assert time.monotonic() < end, "nobody took the run over"
        time.sleep(0.002)
    running.kill()
    return crisp.asked()


def _assert_complete(crisp: Box, url: str) -> None:
    """Every conversation and message, by its id and text; the rest is the business of the tests."""
    engine = create_engine(url.replace("+aiosqlite", "+pysqlite"))
    with engine.connect() as connection:
        stored = {
            (row.session_id, row.fingerprint)
            for row in connection.execute(
                text(
                    "SELECT session_id, fingerprint FROM messages m JOIN conversations c "
                    "ON c.website_id = m.website_id AND c.id = m.conversation_id"
                )
            )
        }
        sessions = set(connection.scalars(text("SELECT session_id FROM conversations")))
        people = set(connection.scalars(text("SELECT crisp_people_id FROM contacts")))
    engine.dispose()
    assert people == {row["people_id"] for row in crisp.rows("truth/people")}
    assert sessions == {row["session_id"] for row in crisp.rows("truth/conversations")}
    assert stored == {
        (row["session_id"], row["fingerprint"]) for row in crisp.rows("truth/messages")
    }


def _tell_repeated(lives: Sequence[Asked], calm: Asked) -> None:
    """Each request that was made again counts against the kill that ended the life it was made in.

    Not against the life that makes it again: what several short lives left lies there until one of
    them gets to it. What the search for a list's end asks for is asked for again by the walk anyway.
    """
    places = Counter(_place(one) for one in calm)
    made_again: set[str] = set()
    lost: list[Counter[str]] = []
    for life in reversed(lives):
        # A window's ends are saved with its first page, so the same page has the same address again.
        names = {path_of(one): one for one in life}
        repeated = (one for name, one in names.items() if name in made_again)
        lost.append(Counter(one["route"] for one in repeated if places[_place(one)] < 2))
        made_again |= names.keys()
    messages = [one[MESSAGES] for one in lost[1:]]
    pages = [one[PEOPLE] + one[CONVERSATIONS] for one in lost[1:]]
    made = sum(len(life) for life in lives)
    tell(f"killed {KILLS} times in one full sync of {SIZE[1]:,} conversations: the rows are right")
    tell(
        f"  messages to ask for again after a kill: {_spread(messages)}; {_target(messages, PAGE)}"
    )
    tell(f"  list pages to ask for again: {_spread(pages)}; {_target(pages, LIST_PAGES)}")
    tell(f"  requests in all {made:,}, undisturbed {len(calm):,}")
    assert max(messages) <= PAGE
    listed = Counter(path_of(one) for one in calm if one["route"] in {PEOPLE, CONVERSATIONS})
    twice = listed.total() - len(listed)
    tell(f"  of them asked twice undisturbed too, by the search and by the walk: {twice}")
    more_pages = sum(map(_list_pages, lives)) - _list_pages(calm)
    tell(
        f"  list pages more than undisturbed: {more_pages}; {verdict(more_pages, KILLS * LIST_PAGES)}"
    )
    assert more_pages <= KILLS * LIST_PAGES


def _place(asked: Json) -> tuple[str, ...]:
    """What is asked for, by a name that is the same in every run: without the times of its window."""
    return asked["route"], *asked["args"], *sorted(asked["params"])


def _list_pages(asked: Asked) -> int:
    return sum(one["route"] in {PEOPLE, CONVERSATIONS} for one in asked)


def _target(counts: Sequence[int], target: int) -> str:
    return verdict(max(counts), target)


def _spread(counts: Sequence[int]) -> str:
    return f"{sum(counts) / len(counts):.1f} on average, at most {max(counts)}"
