"""What the address of a page of figures asks for: which conversations, as of when, in which groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import get_args

from app.insights.groups import By, Counted
from app.insights.read import Period
from app.pages.listing import read_day
from app.pages.text import clean, one_line
from app.pages.times import Moments

WEEKS = (12, 4, 1)
"""Without dates: that many weeks, the running one among them; fewer where those are too many conversations."""
BYS: tuple[By, ...] = get_args(By)
SHOWN = {
    "answered": "answered",
    "resolved": "resolved at least once",
    "reopened": "reopened",
    "waiting": "waiting for an answer",
    "rated": "rated",
}
"""What narrows the conversations behind a group to those behind one of its figures."""


@dataclass(frozen=True, slots=True)
class AskedFigures:
    """Days in the website's time zone, both included; as of the end of `as_of`."""

    since: date
    until: date
    as_of: date | None = None
    by: By | None = None
    key: str = ""
    show: str = ""
    page: int = 1
    usual: bool = False
    notices: list[str] = field(default_factory=list)

    def period(self, moments: Moments) -> Period:
        return Period(
            moments.start_of(self.since),
            moments.start_of(self.until + timedelta(days=1)),
            moments.start_of(self.as_of + timedelta(days=1)) if self.as_of else None,
        )

    @property
    def days(self) -> dict[str, str]:
        """The period in an address; what is usual is left out."""
        given = {
            "since": "" if self.usual else self.since,
            "until": "" if self.usual else self.until,
        }
        return {name: str(day) for name, day in {**given, "as_of": self.as_of or ""}.items()}

    @property
    def params(self) -> dict[str, str]:
        """What makes this page, without the place in it."""
        return {**self.days, "by": self.by or "", "key": self.key, "show": self.show}

    def since_weeks(self, weeks: int) -> AskedFigures:
        monday = self.until - timedelta(days=self.until.weekday())
        return replace(self, since=monday - timedelta(weeks=weeks - 1))


def read_asked(params: Mapping[str, str], moments: Moments) -> AskedFigures:
    """Whatever it does not understand becomes a sentence, never an error."""
    notices: list[str] = []
    today = moments.today()
    as_of = _day(params, "as_of", notices)
    if as_of is not None and as_of >= today:
        notices.append("That day is not over yet, so these are the figures of now.")
        as_of = None
    since, until = _day(params, "since", notices), _day(params, "until", notices)
    if since and until and since > until:
        notices.append("The period ended before it began; these are the last weeks.")
        since = until = None
    last = until or as_of or today
    usual = since is None and until is None
    grouping = _known(params, "by", BYS, notices)
    asked = AskedFigures(
        since=since or last,
        until=last,
        as_of=as_of,
        by=next((by for by in BYS if by == grouping), None),
        key=_key(params.get("key", "")),
        show=_known(params, "show", tuple(SHOWN), notices),
        page=_page(params.get("page", "")),
        usual=usual,
        notices=notices,
    )
    if since is not None and since > last:
        notices.append("The period ended before it began; these are the last weeks.")
        return replace(asked, usual=True).since_weeks(WEEKS[0])
    return asked if since else asked.since_weeks(WEEKS[0])


def fits(counted: Counted, show: str) -> bool:
    """Whether the conversation is behind that one of its group's figures."""
    figures = counted.figures
    behind = {
        "answered": figures.first_response is not None,
        "resolved": figures.resolution is not None,
        "reopened": figures.reopenings > 0,
        "waiting": figures.waiting_since is not None,
        "rated": counted.rating is not None,
    }
    return behind.get(show, True)


def _day(params: Mapping[str, str], name: str, notices: list[str]) -> date | None:
    text = params.get(name, "")
    day = read_day(text)
    if text and day is None:
        notices.append(f"“{one_line(text, 40)}” is no day: write it like 2026-01-31.")
    return day


_CALLED = {"by": "grouping", "show": "figure"}


def _known(params: Mapping[str, str], name: str, known: tuple[str, ...], notices: list[str]) -> str:
    text = params.get(name, "")
    if text and text not in known:
        notices.append(f"There is no {_CALLED[name]} “{one_line(text, 40)}”; it is left out.")
    return text if text in known else ""


def _key(text: str) -> str:
    return text if clean(text) == text and len(text) <= 500 else ""


def _page(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 5 else 1
