"""Figures of many conversations, by contact, company, operator or week. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import NamedTuple

from app.insights.thread import Span, ThreadFigures


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
