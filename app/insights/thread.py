"""The figures of one conversation, from its thread (SPEC V8). Pure; docs/insights.md says it in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from app.websites.business_hours import BusinessHours


@dataclass(frozen=True, slots=True)
class Said:
    """One message; `state` is set where it is Crisp's note that the state changed."""

    at: datetime
    direction: str
    automated: bool = False
    by: str | None = None
    by_id: str | None = None
    state: str | None = None

    @property
    def is_human(self) -> bool:
        return self.direction != "internal" and not self.automated


class Span(NamedTuple):
    """The same span in calendar time and in business hours."""

    seconds: int
    business_seconds: int


class ThreadFacts(NamedTuple):
    """What a thread tells by itself, whatever the state of its conversation is now.

    `responder_id` and `responder` are who first answered, `last_state` what the thread told last,
    `unanswered_since` the first of the messages to which nobody has answered.
    """

    first_inbound_at: datetime | None = None
    first_response: Span | None = None
    responder_id: str | None = None
    responder: str | None = None
    resolution: Span | None = None
    reopenings: int = 0
    last_state: str | None = None
    unanswered_since: datetime | None = None
    last_contact_at: datetime | None = None


class ThreadFigures(NamedTuple):
    first_inbound_at: datetime | None = None
    first_response: Span | None = None
    responder: str | None = None
    resolution: Span | None = None
    reopenings: int = 0
    waiting_since: datetime | None = None
    last_contact_at: datetime | None = None


def facts_of(said: Sequence[Said], hours: BusinessHours) -> ThreadFacts:
    """`said` in any order."""
    # Of one instant, a question comes before its answer.
    ordered = sorted(said, key=lambda one: (one.at, one.direction != "inbound"))
    human = [one for one in ordered if one.is_human]
    states = [one.state for one in ordered if one.state is not None]
    closed = [one.at for one in ordered if one.state == "resolved"]
    asked = next((one for one in human if one.direction == "inbound"), None)
    answer = _answer(human, asked)
    return ThreadFacts(
        first_inbound_at=asked.at if asked else None,
        first_response=_span(hours, asked, answer.at if answer else None),
        responder_id=answer.by_id if answer else None,
        responder=answer.by if answer else None,
        resolution=_span(hours, asked, closed[-1] if closed else None),
        reopenings=sum(a == "resolved" and b != "resolved" for a, b in pairwise(states)),
        last_state=states[-1] if states else None,
        unanswered_since=_unanswered_since(human),
        last_contact_at=human[-1].at if human else None,
    )


def figures_of(facts: ThreadFacts, status: str | None) -> ThreadFigures:
    """`status` is the state now; None when figures of a past moment are wanted: then the last change of
    state in the thread tells.
    """
    state = status or facts.last_state
    # The last reopening may not stand in the thread yet.
    reopened = facts.last_state == "resolved" and state != "resolved"
    return ThreadFigures(
        first_inbound_at=facts.first_inbound_at,
        first_response=facts.first_response,
        responder=facts.responder,
        resolution=facts.resolution,
        reopenings=facts.reopenings + reopened,
        waiting_since=facts.unanswered_since if state != "resolved" else None,
        last_contact_at=facts.last_contact_at,
    )


def _answer(human: Sequence[Said], asked: Said | None) -> Said | None:
    """What a person of the team wrote before the customer did answers nothing."""
    if asked is None:
        return None
    after = human[human.index(asked) + 1 :]
    return next((one for one in after if one.direction == "outbound"), None)


def _span(hours: BusinessHours, asked: Said | None, end: datetime | None) -> Span | None:
    if asked is None or end is None or end < asked.at:
        return None
    calendar = round(end.timestamp() - asked.at.timestamp())
    return Span(calendar, hours.seconds(asked.at, end))


def _unanswered_since(human: Sequence[Said]) -> datetime | None:
    since = None
    for one in reversed(human):
        if one.direction != "inbound":
            break
        since = one.at
    return since
