"""The world's own clock: milliseconds since 1970, UTC; can be frozen, advanced and set."""

import time
from datetime import UTC, datetime
from email.utils import format_datetime

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000


class Clock:
    """Runs with real time from ``start_ms`` (default: the real now) unless frozen."""

    def __init__(self, start_ms: int | None = None, *, frozen: bool = False) -> None:
        self.start_ms = int(time.time() * 1000) if start_ms is None else start_ms
        self._base = self.start_ms
        self._since = time.monotonic()
        self._frozen = frozen
        self._date: tuple[int, bytes] = (-1, b"")

    @property
    def frozen(self) -> bool:
        return self._frozen

    def now(self) -> int:
        """The present moment in ms."""
        if self._frozen:
            return self._base
        return self._base + int((time.monotonic() - self._since) * 1000)

    def set(self, ms: int) -> None:
        self._base = ms
        self._since = time.monotonic()

    def advance(self, ms: int) -> int:
        self.set(self.now() + ms)
        return self.now()

    def freeze(self) -> None:
        self.set(self.now())
        self._frozen = True

    def resume(self) -> None:
        self.set(self.now())
        self._frozen = False

    def http_date(self) -> bytes:
        """Now as the HTTP ``Date`` header says it; formatted once a second."""
        second = self.now() // 1000
        if self._date[0] != second:
            moment = datetime.fromtimestamp(second, UTC)
            self._date = (second, format_datetime(moment, usegmt=True).encode())
        return self._date[1]


def iso(ms: int) -> str:
    """``2018-03-01T17:00:00.000Z``, the way Crisp writes dates (crisp/REFERENCE.md section 3)."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
