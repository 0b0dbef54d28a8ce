"""The hooks that wait to be sent: in order, held back, late, or to be tried again.

Times are seconds of whatever clock the caller uses; the queue itself has none.
"""

import heapq
from dataclasses import dataclass

# How long an overtaken hook waits for those that are to overtake it.
HELD_S = 1.0


@dataclass(slots=True, eq=False)
class Delivery:
    """One copy of a hook on its way.

    ``place``: the number of the change after whose hook it may go; ``overtaken``: that is a later
    one than its own. ``timestamp_ms``: of its header.
    """

    event: str
    website_id: str
    body: bytes
    place: int
    timestamp_ms: int
    overtaken: bool = False
    late_s: float = 0
    attempt: int = 1
    held_until: float = 0


class HookQueue:
    """At most ``most`` deliveries and ``most_bytes`` of bodies; retries always find room."""

    def __init__(self, most: int = 20_000, most_bytes: int = 64 * 1024 * 1024) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.bytes = 0
        self.hurried = False
        # The number of the last change told.
        self.told = 0
        self._count = 0
        # Ready: by place, the overtaken after the others of that place, then by when it came.
        self._ready: list[tuple[int, bool, int, Delivery]] = []
        # Waiting: by the moment it is due.
        self._waiting: list[tuple[float, int, Delivery]] = []

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting)

    def add(self, delivery: Delivery, now: float) -> bool:
        """Put in a new delivery; False if there is no room for it."""
        if len(self) >= self.most or self.bytes + len(delivery.body) > self.most_bytes:
            return False
        delivery.held_until = now + delivery.late_s + HELD_S
        self._put(delivery, now, delivery.late_s)
        return True

    def put_back(self, delivery: Delivery, now: float, wait_s: float) -> None:
        """Try it again after ``wait_s``; a hurry does not shorten that."""
        self._put(delivery, now, wait_s)

    def _put(self, delivery: Delivery, now: float, wait_s: float) -> None:
        self._count += 1
        self.bytes += len(delivery.body)
        if wait_s > 0 and not (self.hurried and delivery.attempt == 1):
            heapq.heappush(self._waiting, (now + wait_s, self._count, delivery))
        else:
            self._make_ready(self._count, delivery)

    def take(self, now: float) -> Delivery | None:
        """The next one that may go now."""
        while self._waiting and self._waiting[0][0] <= now:
            self._make_ready(*heapq.heappop(self._waiting)[1:])
        if not self._ready or self._ready_at(now) > now:
            return None
        delivery = heapq.heappop(self._ready)[3]
        self.bytes -= len(delivery.body)
        return delivery

    def next_at(self, now: float) -> float | None:
        """When ``take`` will have something if nothing is added; None: never."""
        moments = [self._waiting[0][0]] if self._waiting else []
        if self._ready:
            moments.append(self._ready_at(now))
        return min(moments, default=None)

    def _ready_at(self, now: float) -> float:
        """When the first of the ready ones may go. Only overtaken ones have a place ahead."""
        place, _, _, first = self._ready[0]
        return now if place <= self.told or self.hurried else first.held_until

    def hurry(self) -> None:
        """From now on nothing is held back or late, until ``hurried`` is taken back."""
        self.hurried = True
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            if entry[2].attempt == 1:
                self._make_ready(*entry[1:])
            else:
                heapq.heappush(self._waiting, entry)

    def _make_ready(self, count: int, delivery: Delivery) -> None:
        heapq.heappush(self._ready, (delivery.place, delivery.overtaken, count, delivery))

    def clear(self) -> int:
        """Drop everything; returns how many those were."""
        dropped = len(self)
        self._ready, self._waiting, self.bytes = [], [], 0
        return dropped
