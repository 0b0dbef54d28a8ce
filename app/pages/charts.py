"""A small bar chart whose bars are links and whose numbers can be read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

HEIGHT = 56
STEP = 20


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: int
    height: int
    count: int
    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chart:
    bars: list[Bar]
    total: int
    most: int
    width: int
    height: int


def weekly_chart(
    weeks: Sequence[tuple[date, date]],
    counts: Sequence[int],
    url: Callable[..., str],
    **narrowed: str,
) -> Chart:
    """Each bar leads to the conversations that were opened in its week."""
    most = max(counts, default=0)
    bars = []
    for n, ((first, last), count) in enumerate(zip(weeks, counts, strict=True)):
        # A week with few conversations beside a week with many is still not an empty week.
        height = max(3, round(HEIGHT * count / most)) if count else 1
        link = url(
            "/conversations", **narrowed, **{"from": first.isoformat(), "to": last.isoformat()}
        )
        label = f"{first.day} {first:%b} to {last.day} {last:%b}"
        bars.append(Bar(n * STEP, HEIGHT - height, height, count, label, link, n == len(weeks) - 1))
    return Chart(bars, sum(counts), most, STEP * len(weeks), HEIGHT)
