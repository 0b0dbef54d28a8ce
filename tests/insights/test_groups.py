"""What a group's figures are made of, worked out by hand (SPEC V8, docs/insights.md)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from app.insights.groups import Counted, GroupFigures, summed_up
from app.insights.thread import Said, Span, ThreadFigures, facts_of, figures_of
from app.websites.business_hours import DEFAULT, read_hours
from tests.insights.test_threads import HOUR, HOURS, MINUTE, answers, asks, at, bot, note, state


def group(*members: Counted) -> GroupFigures:
    return summed_up("key", "name", members)


def thread(*said: Said, status: str = "pending", rating: int | None = None) -> Counted:
    return Counted(figures_of(facts_of(said, HOURS), status), rating)


@pytest.mark.parametrize(
    ("given", "rated", "mean"),
    [
        ([], 0, None),
        ([None, None], 0, None),
        ([1], 1, 1.0),
        ([5, None, 5], 2, 5.0),
        ([1, 2, 5], 3, 2.67),
        ([1, 1, 1, 5], 4, 2.0),
        ([2, 3], 2, 2.5),
    ],
)
def test_the_rating_is_the_mean_of_those_that_were_given(
    given: list[int | None], rated: int, mean: float | None
) -> None:
    found = group(*(Counted(ThreadFigures(), rating) for rating in given))
    assert (found.conversations, found.rated, found.rating) == (len(given), rated, mean)


def test_a_span_is_the_median_of_each_measure_by_itself() -> None:
    """Monday 10:00 to 10:20; Monday 16:50 to Tuesday 9:05; Friday 18:00 to Monday 9:10."""
    quick = thread(asks("2026-03-02T10:00"), answers("2026-03-02T10:20"))
    night = thread(asks("2026-03-02T16:50"), answers("2026-03-03T09:05"))
    weekend = thread(asks("2026-03-06T18:00"), answers("2026-03-09T09:10"))
    spans = [one.figures.first_response for one in (quick, night, weekend)]
    assert spans == [
        Span(20 * MINUTE, 20 * MINUTE),
        Span(16 * HOUR + 15 * MINUTE, 15 * MINUTE),
        Span(63 * HOUR + 10 * MINUTE, 10 * MINUTE),
    ]
    # The middle in calendar time is the night's, in business hours too, though the others change places.
    assert group(quick, night, weekend).first_response == spans[1]
    # Of two it is halfway between them, of each measure.
    assert group(quick, weekend).first_response == Span(31 * HOUR + 45 * MINUTE, 15 * MINUTE)
    slow = thread(asks("2026-03-02T09:00"), answers("2026-03-02T17:00"))
    found = group(quick, night, weekend, slow, thread(asks("2026-03-02T10:00")))
    assert (found.conversations, found.answered) == (5, 4)
    calendar = (8 * HOUR + 16 * HOUR + 15 * MINUTE) // 2
    assert found.first_response == Span(calendar, (15 * MINUTE + 20 * MINUTE) // 2)


def test_a_resolution_is_a_median_too_and_reopenings_are_added_up() -> None:
    once = thread(
        asks("2026-03-02T10:00"), state("2026-03-02T11:00", "resolved"), status="resolved"
    )
    twice = thread(
        asks("2026-03-02T10:00"), state("2026-03-02T11:00", "resolved"),
        state("2026-03-02T12:00", "pending"), state("2026-03-02T13:00", "resolved"),
        status="unresolved",
    )  # fmt: skip
    found = group(once, twice, thread(asks("2026-03-02T10:00")))
    assert (found.resolved, found.resolution) == (2, Span(2 * HOUR, 2 * HOUR))
    assert found.reopenings == 2, "the thread tells one, the state of now another"


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ([asks("2026-03-02T10:00")], "2026-03-02T10:00"),
        ([asks("2026-03-02T10:00"), answers("2026-03-02T10:20")], "2026-03-02T10:20"),
        ([answers("2026-03-02T10:20"), asks("2026-03-02T10:00")], "2026-03-02T10:20"),
        # Neither a bot's answer, nor a note, nor a change of state is contact.
        ([asks("2026-03-02T10:00"), bot("2026-03-02T10:01")], "2026-03-02T10:00"),
        ([asks("2026-03-02T10:00"), note("2026-03-02T12:00")], "2026-03-02T10:00"),
        ([asks("2026-03-02T10:00"), state("2026-03-02T12:00", "resolved")], "2026-03-02T10:00"),
        ([bot("2026-03-02T10:01"), note("2026-03-02T12:00")], None),
        ([], None),
    ],
)
def test_last_contact_is_the_last_message_of_either_side_without_bots(
    said: list[Said], last: str | None
) -> None:
    found = thread(*said).figures.last_contact_at
    assert found == (None if last is None else at(last))


def test_of_a_group_the_latest_contact_and_the_longest_wait_are_told() -> None:
    found = group(
        thread(asks("2026-03-02T10:00")),
        thread(asks("2026-03-03T10:00")),
        thread(asks("2026-03-01T10:00"), answers("2026-03-04T10:00")),
        thread(asks("2026-02-27T10:00"), status="resolved"),
        thread(),
    )
    assert (found.waiting, found.waiting_since) == (2, at("2026-03-02T10:00"))
    assert found.last_contact_at == at("2026-03-04T10:00")
    assert (group(thread()).last_contact_at, group(thread()).waiting_since) == (None, None)


def test_a_wait_within_business_hours_is_told_in_the_zone_of_the_website() -> None:
    """10:00 to 10:20 in Paris is 18:00 to 18:20 in Tokyo, when nobody works there."""
    tokyo = read_hours(DEFAULT, "Asia/Tokyo")
    said = [asks("2026-03-02T10:00"), answers("2026-03-02T10:20")]
    assert said[0].at.astimezone(ZoneInfo("Asia/Tokyo")) == datetime(
        2026, 3, 2, 18, tzinfo=ZoneInfo("Asia/Tokyo")
    )
    assert facts_of(said, tokyo).first_response == Span(20 * MINUTE, 0)
