"""The plugin's daily quota: so many requests, until the clock passes 00:00 UTC (section 5)."""

from app.sandbox.clock import DAY


class Quota:
    """Counts requests per day of the world's clock; ``limit`` None is no limit."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.used = 0
        self._day = -1

    def take(self, now_ms: int) -> bool:
        """Use one request; False when the day's quota is used up."""
        day = now_ms // DAY
        if day != self._day:
            self._day, self.used = day, 0
        if self.limit is not None and self.used >= self.limit:
            return False
        self.used += 1
        return True

    def reset(self) -> None:
        self.used = 0
