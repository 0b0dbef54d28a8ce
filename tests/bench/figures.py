"""Saying a figure beside its target, and judging it where noise cannot decide."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SEEDS = int(os.environ.get("BENCH_SEEDS", "20"))
LONG = os.environ.get("BENCH_LONG", "") not in {"", "0"}

TOO_NOISY = 1.3
"""Rounds whose ratios lie further apart than this (largest to smallest) tell less than they seem to."""


def tell(line: str) -> None:
    sys.stdout.write(f"\n{line}" if not line.startswith("  ") else line)
    sys.stdout.write("\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as much one took as the other, round by round. `disturbed`: others were at work."""

    rounds: tuple[float, ...]
    disturbed: bool = False

    @property
    def middle(self) -> float:
        return median(self.rounds)

    @property
    def noise(self) -> str:
        if self.disturbed:
            return "; the machine was busy"
        return "; noisy" if max(self.rounds) > TOO_NOISY * min(self.rounds) else ""

    def __str__(self) -> str:
        each = " ".join(f"{ratio:.2f}" for ratio in self.rounds)
        return f"{self.middle:.2f} (rounds {each})"


def ratio_of(
    measured: Sequence[float], yardstick: Sequence[float], *, disturbed: bool = False
) -> Ratio:
    """Of rounds in turns: each beside the yardstick of its own round."""
    return Ratio(tuple(a / b for a, b in zip(measured, yardstick, strict=True)), disturbed)


def verdict(value: float, target: float) -> str:
    return f"target ≤ {target:g}: {'met' if value <= target else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A ratio and its target.

    It is broken when even the best round is above the target by more than `slack`, and the machine
    was not busy with something else.
    """

    what: str
    ratio: Ratio
    target: float
    slack: float = 1.25
    enforced: bool = True

    @property
    def broken(self) -> bool:
        judged = self.enforced and not self.ratio.disturbed
        return judged and min(self.ratio.rounds) > self.target * self.slack

    def __str__(self) -> str:
        return f"{self.what}: {self.ratio}; {verdict(self.ratio.middle, self.target)}{self.ratio.noise}"


def judge(*claims: Claim) -> None:
    """Tell all of them, then fail for those that are broken."""
    for claim in claims:
        tell(f"  {claim}")
    broken = [str(claim) for claim in claims if claim.broken]
    assert not broken, "; ".join(broken)
