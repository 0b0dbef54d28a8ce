"""Seeded chance without state: the same keys always give the same throws.

Everything the world says about record *i* is computed from (seed, i) on demand, so a throw has to
cost well under a microsecond; ``random.Random(seed)`` costs ten.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MASK = (1 << 64) - 1
_NODE = 1 << 48
_STEP = 0x5DEECE66D1CB | 1
_STEP_BACK = pow(_STEP, -1, _NODE)


def mix(x: int) -> int:
    """Spread a number over 64 bits (the finisher of splitmix64)."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def key_of(*parts: int | str) -> int:
    """One 64-bit key from several numbers or words."""
    key = 0
    for part in parts:
        number = int.from_bytes(part.encode(), "big") & MASK if isinstance(part, str) else part
        key = mix(key ^ (number & MASK))
    return key


class Dice:
    """A row of throws from one key."""

    __slots__ = ("state",)

    def __init__(self, key: int) -> None:
        self.state = mix(key)

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & MASK
        return (self.state >> 33) % n

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def percent(self, p: float) -> bool:
        return self.below(1_000_000) < p * 10_000


def uuid_of(key: int, index: int) -> str:
    """The UUID of record ``index``; its last 12 digits can be turned back into the index."""
    h = f"{mix(key ^ index):016x}"
    node = (index * _STEP + key) % _NODE
    return f"{h[:8]}-{h[8:12]}-4{h[12:15]}-a{h[13:16]}-{node:012x}"


def index_of(key: int, uuid: str, limit: int) -> int | None:
    """Which of ``limit`` records has this UUID, without a table of them all."""
    try:
        node = int(uuid[-12:], 16)
    except ValueError:
        return None
    index = ((node - key) * _STEP_BACK) % _NODE
    return index if index < limit and uuid_of(key, index) == uuid else None
