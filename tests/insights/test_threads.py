"""Threads worked out by hand (SPEC V8, docs/insights.md). Paris; Monday to Friday, 9 to 17."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from app.errors import Refused
from app.insights.thread import Said, Span, ThreadFigures, facts_of, figures_of
from app.websites.business_hours import DEFAULT, BusinessHours, read_hours

PARIS = ZoneInfo("Europe/Paris")
HOURS = read_hours(DEFAULT, "Europe/Paris")
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


def figures(said: Sequence[Said], status: str | None, hours: BusinessHours) -> ThreadFigures:
    return figures_of(facts_of(said, hours), status)


def at(text: str) -> datetime:
    """Paris time; 2026-03-02 is a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


def asks(moment: str) -> Said:
    return Said(at(moment), "inbound")


def answers(moment: str, by: str = "Ana") -> Said:
    return Said(at(moment), "outbound", by=by)


def bot(moment: str) -> Said:
    return Said(at(moment), "outbound", automated=True)


def state(moment: str, name: str) -> Said:
    return Said(at(moment), "internal", state=name)


def note(moment: str) -> Said:
    return Said(at(moment), "internal", by="Ana")


def test_an_ordinary_thread() -> None:
    said = [
        asks("2026-03-02T10:00"), answers("2026-03-02T10:20"), state("2026-03-02T11:00", "resolved")
    ]  # fmt: skip
    found = figures(said, "resolved", HOURS)
    assert found.first_response == Span(20 * MINUTE, 20 * MINUTE)
    assert found.resolution == Span(HOUR, HOUR)
    assert (found.responder, found.reopenings, found.waiting_since) == ("Ana", 0, None)
    assert found.last_contact_at == at("2026-03-02T10:20")


def test_a_bot_and_a_note_are_no_answer() -> None:
    said = [asks("2026-03-02T10:00"), bot("2026-03-02T10:00:05"), note("2026-03-02T10:05")]
    found = figures(said, "unresolved", HOURS)
    assert found.first_response is None
    assert found.waiting_since == at("2026-03-02T10:00"), "the bot's answer ends no wait"
    later = figures([*said, answers("2026-03-02T10:30", "Bo")], "unresolved", HOURS)
    assert (later.first_response, later.responder) == (Span(1800, 1800), "Bo")
    assert later.waiting_since is None


def test_the_team_wrote_first() -> None:
    said = [
        answers("2026-03-02T09:00"),
        asks("2026-03-02T12:00"),
        answers("2026-03-02T12:10", "Bo"),
    ]
    found = figures(said, "pending", HOURS)
    assert found.first_inbound_at == at("2026-03-02T12:00")
    assert (found.first_response, found.responder) == (Span(600, 600), "Bo")
    unanswered = figures([answers("2026-03-02T09:00")], "pending", HOURS)
    assert (unanswered.first_inbound_at, unanswered.first_response) == (None, None)
    assert unanswered.waiting_since is None


def test_reopened_and_resolved_again() -> None:
    said = [
        asks("2026-03-02T10:00"), answers("2026-03-02T10:30"), state("2026-03-02T11:00", "resolved"),
        asks("2026-03-03T10:00"), state("2026-03-03T10:00", "unresolved"),
        answers("2026-03-03T11:00"), state("2026-03-03T12:00", "resolved"),
    ]  # fmt: skip
    found = figures(said, "resolved", HOURS)
    assert found.reopenings == 1
    assert found.resolution == Span(26 * HOUR, 6 * HOUR + 1 * HOUR + 3 * HOUR)
    again = figures(said, "pending", HOURS)
    assert again.reopenings == 2, "the state of now counts, though the thread does not tell it yet"


def test_night_and_weekend() -> None:
    friday_evening = [asks("2026-03-06T18:00"), answers("2026-03-09T09:10")]
    found = figures(friday_evening, "pending", HOURS)
    assert found.first_response == Span(63 * HOUR + 10 * MINUTE, 10 * MINUTE)
    over_night = [asks("2026-03-02T16:30"), answers("2026-03-03T09:30")]
    assert figures(over_night, "pending", HOURS).first_response == Span(17 * HOUR, HOUR)
    on_sunday = [asks("2026-03-08T10:00"), answers("2026-03-08T11:00")]
    assert figures(on_sunday, "pending", HOURS).first_response == Span(HOUR, 0)


def test_a_break_and_a_saturday() -> None:
    """Monday to Friday 9 to 12 and 13 to 18, Saturday 10 to 14."""
    hours = read_hours("Mon-Fri 9:00-12:00, mon-fri 13:00-18:00, sat 10:00-14:00", "Europe/Paris")
    over_lunch = [asks("2026-03-02T11:30"), answers("2026-03-02T13:15")]
    assert figures(over_lunch, "pending", hours).first_response == Span(105 * MINUTE, 45 * MINUTE)
    from_friday = [asks("2026-03-06T17:00"), answers("2026-03-09T09:30")]
    found = figures(from_friday, "pending", hours).first_response
    assert found == Span(64 * HOUR + 30 * MINUTE, HOUR + 4 * HOUR + 30 * MINUTE)
    assert hours.written == "mon-fri 09:00-12:00, mon-fri 13:00-18:00, sat 10:00-14:00"
    assert read_hours(hours.written, "Europe/Paris") == hours
    assert hours.words.startswith("Monday to Friday 09:00 to 12:00, ")


def test_a_team_that_works_at_night() -> None:
    """22 to 6 is two parts; the night from Friday to Saturday belongs to both days."""
    hours = read_hours("mon-fri 22:00-24:00, tue-sat 00:00-06:00", "Europe/Paris")
    night = [asks("2026-03-06T20:00"), answers("2026-03-07T08:00")]
    assert figures(night, "pending", hours).first_response == Span(12 * HOUR, 8 * HOUR)
    weekend = [asks("2026-03-07T06:00"), answers("2026-03-09T22:05")]
    found = figures(weekend, "pending", hours).first_response
    assert found == Span(64 * HOUR + 5 * MINUTE, 5 * MINUTE)


def test_of_one_instant_the_question_comes_first() -> None:
    said = [answers("2026-03-02T10:00"), asks("2026-03-02T10:00")]
    found = figures(said, "pending", HOURS)
    assert (found.first_response, found.waiting_since) == (Span(0, 0), None)


def test_parts_that_overlap_are_refused() -> None:
    with pytest.raises(Refused, match="overlap on Wednesday"):
        read_hours("mon-wed 09:00-17:00, wed-fri 16:00-20:00", "UTC")
    with pytest.raises(Refused, match="A night is two parts"):
        read_hours("mon-fri 22:00-06:00", "UTC", "Business hours")


def test_case_052_the_day_the_clocks_change() -> None:
    """On Sunday 29 March 2026 Paris has 23 hours, on 25 October 25."""
    sundays = read_hours("sun-sun 0:00-24:00", "Europe/Paris")
    day = [asks("2026-03-29T00:00"), answers("2026-03-30T00:00")]
    assert figures(day, None, sundays).first_response == Span(23 * HOUR, 23 * HOUR)
    day = [asks("2026-10-25T00:00"), answers("2026-10-26T00:00")]
    assert figures(day, None, sundays).first_response == Span(25 * HOUR, 25 * HOUR)
    weekend = [asks("2026-03-27T16:00"), answers("2026-03-30T10:00")]
    assert figures(weekend, None, HOURS).first_response == Span(65 * HOUR, 2 * HOUR)


def test_waiting_begins_with_the_first_unanswered_message() -> None:
    said = [
        asks("2026-03-02T09:00"), answers("2026-03-02T09:10"), asks("2026-03-02T10:00"),
        asks("2026-03-02T11:00"),
    ]  # fmt: skip
    assert figures(said, "unresolved", HOURS).waiting_since == at("2026-03-02T10:00")
    assert figures(said, "resolved", HOURS).waiting_since is None
    assert figures(said, None, HOURS).waiting_since == at("2026-03-02T10:00")
    closed = [*said, state("2026-03-02T12:00", "resolved")]
    assert figures(closed, None, HOURS).waiting_since is None, "as the thread told last"


def test_nothing_said() -> None:
    found = figures([], "pending", HOURS)
    assert (found.first_response, found.waiting_since, found.reopenings) == (None, None, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9-17",
        "mon-fri 17:00-09:00",
        "mon-fri 09:00-24:01",
        "moo-fri 09:00-17:00",
        "mon-fri 09:00-17:00,",
        ", ".join(["mon 01:00-02:00"] * 15),
    ],
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="BUSINESS_HOURS"):
        read_hours(text, "UTC")
