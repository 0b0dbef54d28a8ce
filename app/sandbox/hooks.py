"""Sends the world's hooks to a URL as Crisp does: signed, tried again until answered with 2xx.

Crisp's schedule of retries is not published (crisp/GAPS.md 1): here the wait doubles each time.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import httpx

from app.sandbox.hook_fates import Shares
from app.sandbox.hook_line import HookLine
from app.sandbox.hook_queue import Delivery, HookQueue

if TYPE_CHECKING:
    from app.sandbox.records import Change
    from app.sandbox.world import World

_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Sending:
    """How hooks are sent. ``rate``: hooks a second at most (0: no bound). ``limit``: attempts of
    one delivery. ``retry_s``: wait before the second attempt. ``timeout_s``: of one attempt.
    """

    to: str
    rate: float = 0
    concurrency: int = 8
    limit: int = 5
    retry_s: float = 1
    timeout_s: float = 10

    def __post_init__(self) -> None:
        if not str(self.to).startswith(("http://", "https://")):
            msg = "to is an http or https address"
            raise ValueError(msg)
        if self.rate < 0 or self.concurrency < 1 or self.limit < 1 or self.retry_s < 0:
            msg = "rate and retry_s are at least 0, concurrency and limit at least 1"
            raise ValueError(msg)

    def wait_after(self, attempt: int) -> float:
        """Seconds before the next attempt."""
        return min(self.retry_s * 2.0 ** (attempt - 1), _LONGEST_WAIT_S)


class HookSender:
    """A listener of the world with a task that sends; both run from ``start`` to ``stop``."""

    def __init__(
        self, world: World, sending: Sending, shares: Shares, queue: HookQueue | None = None
    ) -> None:
        self.sending = sending
        self.line = HookLine(world, shares, HookQueue() if queue is None else queue)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._in_hand = 0
        self._flushing = 0
        self._next_slot = 0.0
        self._bell = asyncio.Event()
        self._emptied = asyncio.Event()

    def start(self) -> None:
        """Listen and send, in the running loop."""
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits())
        self.line.world.listeners.append(self)
        self._task = asyncio.create_task(self._send_all())

    async def stop(self) -> None:
        """Listen no longer; what was not answered yet is dropped."""
        self.line.world.listeners.remove(self)
        ending = [self._task, *self._in_flight]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._client.aclose()
        self.line.counts.of["dropped"] += self.line.queue.clear() + self._in_hand
        self._in_hand = 0
        self._emptied.set()

    def __call__(self, change: Change) -> None:
        self.line.tell(change, asyncio.get_running_loop().time())
        self._bell.set()

    def change(self, wanted: dict[str, Any]) -> None:
        """Change shares and ways of sending from now on. Raises ValueError for unknown names."""
        known = {field.name for field in (*fields(Sending), *fields(Shares))}
        if unknown := wanted.keys() - known:
            msg = f"no such setting of hooks: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        ours = {field.name for field in fields(Sending)}
        sending = replace(self.sending, **{k: v for k, v in wanted.items() if k in ours})
        self.line.shares = self.line.shares.changed(wanted)
        self.sending = sending
        self._bell.set()

    async def flush(self, timeout_s: float = 60) -> bool:
        """Send late ones at once and wait until nothing waits; False if that took too long.

        A retry keeps its wait: a receiver that is away would else use up all attempts at once.
        """
        self._flushing += 1
        self.line.queue.hurry()
        self._bell.set()
        try:
            async with asyncio.timeout(timeout_s):
                while self.unsent:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return False
        finally:
            self._flushing -= 1
            self.line.queue.hurried = self._flushing > 0
        return True

    @property
    def unsent(self) -> int:
        """Deliveries that wait or are on their way."""
        return len(self.line.queue) + self._in_hand

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self.sending),
            **asdict(self.line.shares),
            "waiting": len(self.line.queue),
            "in_flight": self._in_hand,
            "counts": self.line.counts.as_dict(),
        }

    async def _send_all(self) -> None:
        while True:
            delivery = await self._next()
            self._in_hand += 1
            await self._pace()
            task = asyncio.create_task(self._deliver(delivery))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _next(self) -> Delivery:
        """The next delivery, as soon as there is one and a connection may be used for it."""
        queue, now_s = self.line.queue, asyncio.get_running_loop().time
        while True:
            now, due = now_s(), None
            if self._in_hand < self.sending.concurrency:
                delivery = queue.take(now)
                if delivery is not None:
                    return delivery
                due = queue.next_at(now)
            self._bell.clear()
            try:
                async with asyncio.timeout(None if due is None else due - now):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def _pace(self) -> None:
        """Wait for this hook's turn at the chosen rate; what was not used is not saved up."""
        if not self.sending.rate:
            return
        now = asyncio.get_running_loop().time()
        slot = max(self._next_slot, now)
        self._next_slot = slot + 1 / self.sending.rate
        if slot > now:
            await asyncio.sleep(slot - now)

    async def _deliver(self, delivery: Delivery) -> None:
        counts, queue = self.line.counts, self.line.queue
        if self.line.withheld(delivery.website_id, delivery.event):
            # It was uninstalled while this one waited.
            counts.of["withheld"] += 1
        elif await self._acknowledged(delivery):
            counts.acknowledged(delivery.event, hashlib.sha256(delivery.body).digest())
        elif delivery.attempt >= self.sending.limit:
            counts.of["given_up"] += 1
        else:
            wait_s = self.sending.wait_after(delivery.attempt)
            delivery.attempt += 1
            counts.of["retried"] += 1
            queue.put_back(delivery, asyncio.get_running_loop().time(), wait_s)
        self._in_hand -= 1
        self._bell.set()
        if not self.unsent:
            self._emptied.set()

    async def _acknowledged(self, delivery: Delivery) -> bool:
        """One attempt; true if it was answered with 2xx."""
        counts = self.line.counts
        counts.of["sent"] += 1
        headers = self.line.headers(delivery, self.sending.limit)
        try:
            answer = await self._client.post(
                self.sending.to,
                content=delivery.body,
                headers=headers,
                timeout=self.sending.timeout_s,
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            counts.of["unreachable"] += 1
            return False
        if not answer.is_success:
            counts.refused[answer.status_code] += 1
        return answer.is_success


async def set_hooks(world: World, wanted: dict[str, Any]) -> None:
    """Send hooks to ``wanted["to"]``, change how, or (``to`` None) stop. The rest: see ``change``."""
    if "to" in wanted and wanted["to"] is None:
        await stop_hooks(world)
        return
    if world.hooks is not None:
        world.hooks.change(wanted)
        return
    sender = HookSender(world, Sending(wanted.get("to", "")), Shares())
    sender.change(wanted)
    sender.start()
    world.hooks = sender


async def stop_hooks(world: World) -> None:
    """Send no hooks any more; does nothing if none were sent."""
    sender, world.hooks = world.hooks, None
    if sender is not None:
        await sender.stop()
