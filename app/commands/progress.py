"""A run's progress on a terminal as a bar, elsewhere as plain lines."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

LINE_EVERY = 5.0  # seconds


class RunProgress:
    """Call it with anything that has `counts`: people, conversations and threads, done and in all."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None
        self._last_line = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=label, unit="", dynamic_ncols=True, leave=False)

    def __call__(self, run: Any) -> None:
        done, total = measure(run.counts)
        if self._bar is not None:
            self._bar.total = max(total, done)
            self._bar.n = done
            self._bar.set_postfix_str(f"{run.counts.get('messages_done', 0):,} messages")
        elif time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            click.echo(f"{self._label}: {in_words(run.counts)}", err=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def measure(counts: dict[str, int]) -> tuple[int, int]:
    """(done, total) over people, conversations and their threads."""
    kinds = ("people", "conversations", "threads")
    done = sum(counts.get(f"{kind}_done", 0) for kind in kinds)
    return done, sum(counts.get(f"{kind}_total", 0) for kind in kinds)


def in_words(counts: dict[str, int]) -> str:
    parts = [
        f"{counts.get('people_done', 0):,} people",
        f"{counts.get('conversations_done', 0):,} conversations",
        f"{counts.get('messages_done', 0):,} messages",
    ]
    if "drifted" in counts:
        parts.append(f"{counts['drifted']:,} differed, {counts['repaired']:,} of them repaired")
    if counts.get("removed"):
        parts.append(f"{counts['removed']:,} removed")
    if counts.get("failed"):
        parts.append(f"{counts['failed']:,} failed")
    return ", ".join(parts)
