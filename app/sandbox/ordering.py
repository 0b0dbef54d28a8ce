"""A list of record numbers kept in order of a time, so that a page costs O(page)."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

# One int per entry (time in the high bits, record number in the low ones) is a third of the memory
# of a tuple, and compares without calling back into Python.
_BITS = 28
_LOW = (1 << _BITS) - 1


def pack(at_ms: int, index: int) -> int:
    return (at_ms << _BITS) | index


def unpack(entry: int) -> tuple[int, int]:
    """(time in ms, record number)."""
    return entry >> _BITS, entry & _LOW


class TimeOrder:
    """Record numbers in ascending order of (time in ms, number)."""

    __slots__ = ("entries",)

    def __init__(self, entries: Iterable[int] = ()) -> None:
        self.entries = sorted(entries)

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, entry: int) -> None:
        insort(self.entries, entry)

    def discard(self, entry: int) -> bool:
        at = bisect_left(self.entries, entry)
        found = at < len(self.entries) and self.entries[at] == entry
        if found:
            del self.entries[at]
        return found

    def span(self, start_ms: int | None, end_ms: int | None) -> tuple[int, int]:
        """Positions [low, high) of the entries from start to end, both inclusive."""
        low = 0 if start_ms is None else bisect_left(self.entries, max(start_ms, 0) << _BITS)
        if end_ms is None:
            return low, len(self.entries)
        high = bisect_right(self.entries, ((end_ms + 1) << _BITS) - 1) if end_ms >= 0 else 0
        return low, max(low, high)

    def page(self, low: int, high: int, skip: int, size: int, *, newest: bool = True) -> list[int]:
        """Record numbers of one page of the positions [low, high)."""
        if newest:
            top = high - skip
            chunk = self.entries[max(low, top - size) : max(low, top)][::-1]
        else:
            chunk = self.entries[min(high, low + skip) : min(high, low + skip + size)]
        return [entry & _LOW for entry in chunk]

    def numbers(self) -> Iterator[int]:
        # Of a copy: whoever reads it may pause while the world changes.
        return (entry & _LOW for entry in self.entries[:])
