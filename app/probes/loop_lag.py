"""How late this process' event loop is: what blocks it makes everybody wait (FAILURES case 86)."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

EVERY = 0.25  # seconds
KEPT = 240


@dataclass(slots=True)
class LoopLag:
    """Seconds that a sleep took longer than asked for, over the last minute."""

    lags: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(EVERY)
            self.lags.append(max(0.0, loop.time() - began - EVERY))

    @property
    def worst(self) -> float:
        return max(self.lags, default=0.0)
