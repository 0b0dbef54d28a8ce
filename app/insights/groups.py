"""Figures of many conversations, by contact, company, operator or week. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from statistics import median
from typing import Literal, NamedTuple

from app.insights.thread import Span, ThreadFigures
from app.websites.business_hours import BusinessHours

By = Literal["contact", "company", "operator", "week"]


class Counted(NamedTuple):
    """A conversation in a group; `rating` as Crisp has it, 1 to 5."""

    figures: ThreadFigures
    rating: int | None


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """`key` is an id, an operator's name or the Monday of a week; medians in seconds."""

    key: str
    name: str
    conversations: int
    answered: int
    first_response: Span | None
    resolved: int
    resolution: Span | None
    reopenings: int
    waiting: int
    waiting_since: datetime | None
    last_contact_at: datetime | None
    rated: int
    rating: float | None


Key = tuple[str, str]
"""A group's key and its name."""
Owners = Mapping[str, Sequence[Key]]
"""The companies of each conversation, by its id."""


class Opened(NamedTuple):
    """A conversation of the period; `operator` is who first answered, else whom it is assigned to."""

    id: str
    opened_at: datetime
    contact: Key | None
    operator: str | None
    counted: Counted


class Group(NamedTuple):
    """The conversations of a group. To sum up many groups takes longer than to find them: only what is shown is."""

    key: str
    name: str
    counted: list[Counted]

    @property
    def summed_up(self) -> GroupFigures:
        return summed_up(self.key, self.name, self.counted)


class Member(NamedTuple):
    """A conversation in one of its groups."""

    id: str
    opened_at: datetime
    key: Key
    counted: Counted


def summed_by(
    by: By, opened: Iterable[Opened], owners: Owners, hours: BusinessHours
) -> list[GroupFigures]:
    """Those with most conversations first, weeks in their order."""
    return [group.summed_up for group in grouped_by(by, opened, owners, hours)]


def grouped_by(
    by: By, opened: Iterable[Opened], owners: Owners, hours: BusinessHours
) -> list[Group]:
    """In the order of `summed_by`. A conversation without a group is in none."""
    groups: dict[Key, list[Counted]] = defaultdict(list)
    keys_of = _keys_by(by, owners, hours)
    for one in opened:
        for key in keys_of(one):
            groups[key].append(one.counted)
    found = [Group(key, name, counted) for (key, name), counted in groups.items()]
    if by == "week":
        return sorted(found, key=lambda one: one.key)
    return sorted(found, key=lambda one: (-len(one.counted), one.name, one.key))


def newest_first(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda one: (one.opened_at, one.id), reverse=True)


def members_by(
    by: By, opened: Iterable[Opened], owners: Owners, hours: BusinessHours
) -> list[Member]:
    """Each conversation once for each of its groups; one without a group is in none."""
    keys_of = _keys_by(by, owners, hours)
    return [
        Member(one.id, one.opened_at, key, one.counted) for one in opened for key in keys_of(one)
    ]


def _keys_by(by: By, owners: Owners, hours: BusinessHours) -> Callable[[Opened], Sequence[Key]]:
    """The groups of a conversation."""
    if by == "week":
        return lambda one: (week_of(one.opened_at.astimezone(hours.zone).date()),)
    if by == "operator":
        return lambda one: ((one.operator, one.operator),) if one.operator else ()
    if by == "contact":
        return lambda one: (one.contact,) if one.contact else ()
    return lambda one: owners.get(one.id, ())


@lru_cache(maxsize=1024)
def week_of(day: date) -> Key:
    monday = (day - timedelta(days=day.weekday())).isoformat()
    return monday, monday


def summed_up(key: str, name: str, members: Sequence[Counted]) -> GroupFigures:
    each = [one.figures for one in members]
    responses = [one.first_response for one in each if one.first_response is not None]
    resolutions = [one.resolution for one in each if one.resolution is not None]
    waiting = [one.waiting_since for one in each if one.waiting_since is not None]
    ratings = [one.rating for one in members if one.rating is not None]
    return GroupFigures(
        key=key,
        name=name,
        conversations=len(members),
        answered=len(responses),
        first_response=_median(responses),
        resolved=len(resolutions),
        resolution=_median(resolutions),
        reopenings=sum(one.reopenings for one in each),
        waiting=len(waiting),
        waiting_since=min(waiting, default=None),
        last_contact_at=_latest(one.last_contact_at for one in each),
        rated=len(ratings),
        rating=round(sum(ratings) / len(ratings), 2) if ratings else None,
    )


def _median(spans: Sequence[Span]) -> Span | None:
    """Of each measure by itself: one slow answer must not hide the others."""
    if not spans:
        return None
    return Span(
        round(median(one.seconds for one in spans)),
        round(median(one.business_seconds for one in spans)),
    )


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
