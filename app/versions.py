"""Single fields with a version each, so that the order in which news arrives does not matter.

A row has one rank, that of the newest whole record written to it; `exceptions` hold the rank of
each field that is newer (a hook told it alone) or older (that record left it out) than the row.
A field that nobody ever told has the rank NEVER. Ranks compare as (as of, observed), epoch ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Rank = tuple[int, int]
NEVER: Rank = (0, 0)

Exceptions = dict[str, Any]
"""Field name to [as of, observed], or to 0 for NEVER: as short as JSON can have it."""


@dataclass(slots=True)
class Registers:
    """Values by field name, and how new each is. What was told as empty is there as None."""

    values: dict[str, Any]
    rank: Rank
    exceptions: Exceptions

    def rank_of(self, name: str) -> Rank:
        stored = self.exceptions.get(name)
        if stored is not None:
            return (stored[0], stored[1]) if stored else NEVER
        return self.rank if name in self.values else NEVER

    def tell(self, told: Mapping[str, Any], rank: Rank, *, whole: bool) -> None:
        """Let in what is newer, field by field. A `whole` record makes its rank the row's.

        Of two values with the same rank the same one wins in every order.
        """
        won = {name: value for name, value in told.items() if self._loses(name, value, rank)}
        if whole and rank > self.rank:
            left_out = {name: self.rank_of(name) for name in self.values if name not in won}
            self.rank = rank
            for name, older in left_out.items():
                self._set_rank(name, older)
        self.values.update(won)
        for name in won:
            self._set_rank(name, rank)

    def _loses(self, name: str, value: Any, rank: Rank) -> bool:
        stored = self.rank_of(name)
        if rank != stored:
            return rank > stored
        return str(value) > str(self.values.get(name))

    def _set_rank(self, name: str, rank: Rank) -> None:
        if rank == self.rank:
            self.exceptions.pop(name, None)
        else:
            self.exceptions[name] = [*rank] if rank != NEVER else 0


def packed(registers: Registers, always: Iterable[str], dropped: Iterable[str]) -> Exceptions:
    """The exceptions to store with a row.

    `always` are fields that the row has a column for, told or not; `dropped` those told as empty
    whose place in the row goes away with them.
    """
    exceptions = dict(registers.exceptions)
    if registers.rank != NEVER:
        exceptions |= {name: 0 for name in always if name not in registers.values}
    for name in dropped:
        exceptions.setdefault(name, [*registers.rank])
    return exceptions
