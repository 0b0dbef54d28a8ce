"""How many requests a token may make: counted in this process, minute by minute.

In memory, since a limit that costs a write for each request would be a load of its own. With several
web processes a token has the limit in each of them (docs/api.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_S = 60
_MOST_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Left:
    """Requests left until the window ends in `seconds`; below 0, this one was one too many."""

    limit: int
    left: int
    seconds: int

    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"token";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"token";r={max(self.left, 0)};t={self.seconds}',
        }


@dataclass(slots=True)
class Rates:
    per_minute: int
    clock: Callable[[], float] = time.monotonic
    _used: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, token_id: str) -> Left:
        now = self.clock()
        window = int(now // WINDOW_S)
        if len(self._used) > _MOST_TOKENS:
            self._used = {k: v for k, v in self._used.items() if v[0] == window}
        began, used = self._used.get(token_id, (window, 0))
        used = used + 1 if began == window else 1
        self._used[token_id] = (window, used)
        return Left(self.per_minute, self.per_minute - used, int((window + 1) * WINDOW_S - now) + 1)
