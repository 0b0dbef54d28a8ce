"""How many rows each choice of a filter would show, all from one grouped statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NOBODY = "-"
"""Stands in a URL for rows without a value: nobody assigned, no origin, no address."""


@dataclass(frozen=True, slots=True)
class Facets:
    """`total` is what the chosen filters show; `counts[name][value]` what one other choice would."""

    total: int
    counts: Mapping[str, Mapping[str, int]]

    def of(self, name: str, *values: str) -> int:
        return sum(self.counts[name].get(value, 0) for value in values)

    def all(self, name: str) -> int:
        return sum(self.counts[name].values())

    def by_size(self, name: str) -> list[tuple[str, int]]:
        return sorted(self.counts[name].items(), key=lambda pair: (-pair[1], pair[0]))


def count_facets(
    names: Sequence[str],
    groups: Iterable[tuple[tuple[str, ...], int]],
    chosen: Mapping[str, frozenset[str]],
) -> Facets:
    """Each dimension is counted under the other dimensions' choices, so no chip leads to a surprise."""
    total = 0
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for values, size in groups:
        misses = [
            name
            for name, value in zip(names, values, strict=True)
            if name in chosen and value not in chosen[name]
        ]
        if not misses:
            total += size
        for name, value in zip(names, values, strict=True):
            if not misses or misses == [name]:
                counts[name][value] += size
    return Facets(total, counts)
