"""From a change of the world to the deliveries of its hook that wait to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.sandbox.hook_bodies import INSTALL_EVENT, body_of
from app.sandbox.hook_counts import HookCounts
from app.sandbox.hook_fates import Copy, Shares, copies_of
from app.sandbox.hook_queue import Delivery, HookQueue
from app.sandbox.hook_signing import origin_of, signed_headers

if TYPE_CHECKING:
    from app.sandbox.records import Change
    from app.sandbox.world import World


class HookLine:
    """Draws each hook's fate and keeps its copies in a queue. ``now``: seconds of any clock."""

    def __init__(self, world: World, shares: Shares, queue: HookQueue) -> None:
        self.world = world
        self.shares = shares
        self.queue = queue
        self.counts = HookCounts()
        self.origin = origin_of(world.seed)

    def tell(self, change: Change, now: float) -> None:
        """Put the copies of a change's hook into the queue."""
        self.queue.told = change.number
        body = body_of(change)
        if body is None:
            return
        self.counts.of["told"] += 1
        if self.withheld(change.website_id, change.event):
            self.counts.of["withheld"] += 1
            return
        copies = copies_of(self.world.seed, change.number, self.shares)
        self.counts.of["lost"] += not copies
        for copy in copies:
            if self.queue.add(_delivery(change, body, copy), now):
                self._count(copy)
            else:
                self.counts.of["overflowed"] += 1

    def withheld(self, website_id: str, event: str) -> bool:
        """Only installed websites are told about, except that they are installed no longer."""
        return event != INSTALL_EVENT and not self.world.sites[website_id].installed

    def headers(self, delivery: Delivery, limit: int) -> dict[str, str]:
        return signed_headers(
            self.world.signing_secret,
            self.origin,
            delivery.body,
            timestamp_ms=delivery.timestamp_ms,
            attempt=delivery.attempt,
            limit=limit,
        )

    def _count(self, copy: Copy) -> None:
        of = self.counts.of
        of["doubled"] += copy.doubled
        of["resigned"] += copy.resigned
        of["late"] += copy.late_ms > 0
        of["reordered"] += copy.overtaken > 0


def _delivery(change: Change, body: bytes, copy: Copy) -> Delivery:
    # Signed anew means emitted anew, so its header has the time at which it goes.
    later_ms = copy.late_ms + 1 if copy.resigned else 0
    return Delivery(
        change.event,
        change.website_id,
        body,
        place=change.number + copy.overtaken,
        overtaken=copy.overtaken > 0,
        late_s=copy.late_ms / 1000,
        timestamp_ms=change.at_ms + later_ms,
    )
