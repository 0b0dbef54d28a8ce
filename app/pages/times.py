"""Times as the pages show them: relative, absolute on hover, in the website's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from markupsafe import Markup

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def span(seconds: float) -> str:
    """A length of time in its largest unit: `12 s`, `5 min`, `2 h`, `3 days`."""
    if seconds < MINUTE:
        return f"{int(seconds)} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min"
    if seconds < DAY:
        return f"{int(seconds // HOUR)} h"
    days = int(seconds // DAY)
    return "1 day" if days == 1 else f"{days:,} days"


def long_span(seconds: float) -> str:
    """The same in two units where that helps: `1 h 20 min`."""
    if HOUR <= seconds < DAY:
        minutes = int(seconds % HOUR // MINUTE)
        return span(seconds) + (f" {minutes} min" if minutes else "")
    return span(seconds)


def duration(seconds: float) -> str:
    """As exact as a figure needs it: `40 s`, `5 min`, `1 h 20 min`, `2 days 4 h`, `12 days`."""
    if not DAY <= seconds < 7 * DAY:
        return long_span(seconds)
    hours = int(seconds % DAY // HOUR)
    return span(seconds) + (f" {hours} h" if hours else "")


@dataclass(frozen=True, slots=True)
class Moments:
    """One page's now and zone."""

    zone: tzinfo
    now: datetime

    def relative(self, moment: datetime) -> str:
        seconds = (self.now - moment).total_seconds()
        if abs(seconds) < 5:
            return "just now"
        if seconds < 0:
            return f"in {span(-seconds)}"
        if seconds < 7 * DAY:
            return f"{span(seconds)} ago"
        local = self.local(moment)
        same_year = local.year == self.local(self.now).year
        return f"{local.day} {local:%b}" if same_year else f"{local.day} {local:%b %Y}"

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def absolute(self, moment: datetime) -> str:
        local = self.local(moment)
        return f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S} {local.tzname() or 'UTC'}"

    def day(self, moment: datetime) -> str:
        local = self.local(moment)
        name = f"{local:%A}, {local.day} {local:%B}"
        return name if local.year == self.local(self.now).year else f"{name} {local.year}"

    def day_of(self, moment: datetime) -> str:
        local = self.local(moment)
        return f"{local.day} {local:%b %Y}"

    def ago(self, moment: datetime | None, missing: str = "–") -> Markup:
        return self._tag(moment, self.relative(moment)) if moment else Markup("{}").format(missing)

    def since(self, moment: datetime) -> Markup:
        """How long ago, without saying so: `2 h`, for "waiting 2 h"."""
        return self._tag(moment, span(max(0, (self.now - moment).total_seconds())))

    def clock(self, moment: datetime | None) -> Markup:
        return self._tag(moment, f"{self.local(moment):%H:%M}") if moment else Markup("")

    def on(self, moment: datetime | None, missing: str = "–") -> Markup:
        return self._tag(moment, self.day_of(moment)) if moment else Markup("{}").format(missing)

    def _tag(self, moment: datetime, words: str) -> Markup:
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            moment.isoformat(timespec="seconds"), self.absolute(moment), words
        )

    def start_of(self, day: date) -> datetime:
        """Midnight at the beginning of that day, there, in UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def today(self) -> date:
        return self.local(self.now).date()

    def weeks(self, how_many: int) -> list[tuple[date, date]]:
        """The last weeks, Monday to Sunday, oldest first; the last one is the running one."""
        monday = self.today() - timedelta(days=self.today().weekday())
        starts = [monday - timedelta(weeks=back) for back in reversed(range(how_many))]
        return [(start, start + timedelta(days=6)) for start in starts]

    def days(self, how_many: int) -> list[tuple[date, date]]:
        """The last days, today the last of them, as spans of one day."""
        found = [self.today() - timedelta(days=back) for back in reversed(range(how_many))]
        return [(day, day) for day in found]
