"""Hooks collected instead of sent: signed, in the order in which a sender would send them.

with collected_hooks(world, lost=0.05, doubled=0.1, late=0.2) as hooks:
    make_changes(world, 100)
    for hook in hooks.take():
        await client.post("/webhooks/crisp", content=hook.body, headers=hook.headers)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.sandbox.hook_fates import Shares
from app.sandbox.hook_line import HookLine
from app.sandbox.hook_queue import Delivery, HookQueue

if TYPE_CHECKING:
    from app.sandbox.records import Change
    from app.sandbox.world import World

_NO_BOUND = 1 << 62


@dataclass(frozen=True, slots=True)
class SignedHook:
    """One delivery, ready to be posted."""

    event: str
    website_id: str
    body: bytes
    headers: dict[str, str]


class HookCollector:
    """A listener of the world. Its time is the world's clock, so nothing is really waited for."""

    def __init__(self, world: World, shares: Shares, limit: int = 5) -> None:
        self.line = HookLine(world, shares, HookQueue(_NO_BOUND, _NO_BOUND))
        self.limit = limit
        self._taken: list[SignedHook] = []

    def __call__(self, change: Change) -> None:
        now = change.at_ms / 1000
        self.line.tell(change, now)
        self._drain(now)

    def take(self) -> list[SignedHook]:
        """All deliveries since the last call, late ones included, each once, in their order."""
        queue = self.line.queue
        now = self.line.world.clock.now() / 1000
        while (due := queue.next_at(now)) is not None:
            now = max(now, due)
            self._drain(now)
        taken, self._taken = self._taken, []
        return taken

    def _drain(self, now: float) -> None:
        while (delivery := self.line.queue.take(now)) is not None:
            self._taken.append(self._signed(delivery))

    def _signed(self, delivery: Delivery) -> SignedHook:
        headers = self.line.headers(delivery, self.limit)
        return SignedHook(delivery.event, delivery.website_id, delivery.body, headers)


@contextmanager
def collected_hooks(world: World, **shares: Any) -> Iterator[HookCollector]:
    """Collect the hooks of every change made inside; ``shares`` as of ``Shares``."""
    collector = HookCollector(world, Shares(**shares))
    world.listeners.append(collector)
    try:
        yield collector
    finally:
        world.listeners.remove(collector)
