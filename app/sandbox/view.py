"""How one request sees the world: the lists as the faults that hit it distort them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from app.sandbox import envelope
from app.sandbox.envelope import Answer, Refused

if TYPE_CHECKING:
    from app.sandbox.faults import Fault
    from app.sandbox.world import World


class View:
    """The world and the faults that hit one request."""

    __slots__ = ("faults", "world")

    def __init__(self, world: World, faults: dict[str, Fault]) -> None:
        self.world = world
        self.faults = faults

    def visible_until(self, end_ms: int | None) -> int | None:
        """The upper bound of a list in ms: rows younger than the delay are not in it yet."""
        fault = self.faults.get("visibility_delay")
        if fault is None:
            return end_ms
        bound = self.world.clock.now() - int(fault.seconds * 1000)
        return bound if end_ms is None else min(bound, end_ms)

    def check_depth(self, page: int) -> None:
        fault = self.faults.get("deep_refused")
        if fault is not None and page > fault.page:
            raise Refused(400, "invalid_data", "page too deep")

    def shuffled_ties(self, numbers: list[int], time_of: Callable[[int], int]) -> list[int]:
        if "shuffled_ties" not in self.faults:
            return numbers
        mixed: list[int] = []
        for _, group in groupby(numbers, key=time_of):
            tied = list(group)
            turn = self.world.dice.below(len(tied))
            mixed += tied[turn:] + tied[:turn]
        return mixed

    def listed(self, rows: list[Any], page: int, *, more: bool) -> Answer:
        capped = self.faults.get("deep_capped")
        if capped is not None and page > capped.page:
            return envelope.listed([], more=False)
        if self.emptied():
            return envelope.listed([], more=more)
        return envelope.listed(self.duplicated(rows), more=more)

    def emptied(self) -> bool:
        return "empty_page" in self.faults

    def circular(self) -> bool:
        return "circular" in self.faults

    def duplicated(self, rows: list[Any]) -> list[Any]:
        if "duplicate_rows" not in self.faults or not rows:
            return rows
        return [rows[0], *rows, rows[-1]]
