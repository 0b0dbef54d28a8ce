"""What was asked: requests by route, in flight, refused writes, and a log of the last ones."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as the log keeps it."""

    method: str
    route: str
    args: tuple[str, ...]
    params: dict[str, str]
    at_ms: int


class Counters:
    """Counts since the last reset; the log is off until given a length."""

    def __init__(self) -> None:
        self.log_length = 0
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        self.total = 0
        self.by_route: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.in_flight_max = self.in_flight
        self.refused_writes: list[tuple[str, str]] = []
        self.log: deque[Asked] = deque(maxlen=self.log_length)

    def keep_log(self, length: int) -> None:
        """Keep the last ``length`` requests from now on; 0 switches it off."""
        self.log_length = length
        self.log = deque(self.log, maxlen=length)

    def enter(self) -> None:
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)

    def leave(self) -> None:
        self.in_flight -= 1

    def as_dict(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "by_route": dict(self.by_route),
            "by_status": {str(code): n for code, n in self.by_status.items()},
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
            "refused_writes": [list(pair) for pair in self.refused_writes],
        }
