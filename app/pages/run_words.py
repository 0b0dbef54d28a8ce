"""A sync run in words and figures, as its card and its line show it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.pages.states import UNFINISHED
from app.pages.text import number, plural
from app.pages.times import Moments, long_span
from app.pages.wording import KINDS

STAGES = {
    "people": "Reading people",
    "conversations": "Reading the list of conversations",
    "messages": "Reading messages",
    "deletions": "Checking what was removed in Crisp",
    "finishing": "Finishing",
}
STATES = {
    "queued": ("busy", "waiting to start"),
    "running": ("busy", "running"),
    "paused": ("warn", "paused"),
    "done": ("good", "done"),
    "partial": ("warn", "done, some failed"),
    "failed": ("bad", "failed"),
    "cancelled": ("idle", "cancelled"),
}
# (stage, what is done, out of what, one of them, several of them)
_MEASURES = (
    ("people", "people_done", "people_total", "person", "people"),
    ("conversations", "conversations_done", "conversations_total", "conversation", "conversations"),
    ("messages", "threads_done", "threads_total", "thread", "threads"),
)


@dataclass(frozen=True, slots=True)
class Measure:
    """How far one stage is; `total` None while nobody knows, `about` while it is an estimate."""

    name: str
    current: bool
    done: int
    total: int | None
    about: bool

    @property
    def share(self) -> int:
        if not self.total:
            return 0
        return min(100, 100 * self.done // self.total)


@dataclass(frozen=True, slots=True)
class RunView:
    id: str
    title: str
    window: str
    state: str
    tone: str
    word: str
    stage: str
    measures: list[Measure]
    rate: str
    left: str
    result: str
    requests: int
    failed: int
    suspects: int
    error: str
    asked: str
    started_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    resume_at: datetime | None
    took: str

    @property
    def live(self) -> bool:
        return self.state in UNFINISHED


def view_run(row: Any, moments: Moments) -> RunView:
    counts = _counts(row.counts)
    stage = _stage(row.checkpoint)
    tone, word = STATES.get(row.state, ("idle", str(row.state)))
    if row.state == "partial" and not counts.get("failed"):
        word = "done, with doubts"
    if row.asked and row.state in UNFINISHED:
        word = "pausing" if row.asked == "pause" else "cancelling"
    rate, left = _pace(row, counts, stage, moments)
    return RunView(
        id=row.id,
        title=KINDS.get(row.kind, str(row.kind)),
        window=window_words(row.window_from, row.window_to, moments)
        if row.kind == "backfill"
        else "",
        state=row.state,
        tone=tone,
        word=word,
        stage=STAGES.get(stage, "") if row.state in UNFINISHED else "",
        measures=measures_of(counts, stage),
        rate=rate,
        left=left,
        result=result_words(row.state, counts),
        requests=row.requests,
        failed=counts.get("failed", 0),
        suspects=counts.get("suspects", 0),
        error=row.error or "",
        asked=row.asked or "",
        started_by=row.started_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        resume_at=row.resume_at,
        took=_took(row),
    )


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in value.items() if isinstance(v, int) and not isinstance(v, bool)}


def _stage(checkpoint: Any) -> str:
    stage = checkpoint.get("stage") if isinstance(checkpoint, Mapping) else None
    return stage if isinstance(stage, str) else ""


def measures_of(counts: Mapping[str, int], stage: str) -> list[Measure]:
    """One for each stage that has anything to show; the current one always."""
    found = []
    for name, done, total, _, several in _MEASURES:
        if done in counts or total in counts or name == stage:
            whole = counts.get(total)
            reached = counts.get(done, 0)
            about = name == "conversations" and stage == name
            # An estimate that turned out too small is no total any more.
            known = whole if whole is not None and whole >= reached else None
            found.append(Measure(several.capitalize(), name == stage, reached, known, about))
    return found


def result_words(state: str, counts: Mapping[str, int]) -> str:
    """`4,912 conversations, 38,201 messages, 3 failed`."""
    parts = []
    for key, one, several in (
        ("people_done", "person", "people"),
        ("conversations_done", "conversation", "conversations"),
        ("messages_done", "message", "messages"),
    ):
        if counts.get(key):
            parts.append(plural(counts[key], one, several))
    if "drifted" in counts:
        drifted = counts["drifted"]
        repaired = counts.get("repaired", 0)
        parts.append(
            f"{number(drifted)} differed, {number(repaired)} of them repaired"
            if drifted
            else "nothing differed"
        )
    if counts.get("removed"):
        parts.append(f"{number(counts['removed'])} removed")
    if counts.get("failed"):
        parts.append(f"{number(counts['failed'])} failed")
    if parts:
        return ", ".join(parts)
    return "Nothing was new" if state in {"done", "partial"} else "Nothing read"


def _pace(row: Any, counts: Mapping[str, int], stage: str, moments: Moments) -> tuple[str, str]:
    """Requests a minute since it began, and from the stage's own share how long the stage still takes.

    An average over the whole run: it forgets no slow hour, and it needs no memory of earlier looks.
    """
    if row.state != "running" or row.started_at is None:
        return "", ""
    seconds = (moments.now - row.started_at).total_seconds()
    done = sum(counts.get(key, 0) for _, key, _, _, _ in _MEASURES)
    if seconds < 3 or not done:
        return "", ""
    per_second = done / seconds
    rate = f"{number(round(per_second * 60))} a minute"
    remaining = sum(max(0, (m.total or 0) - m.done) for m in measures_of(counts, stage))
    current = next((m for m in measures_of(counts, stage) if m.current), None)
    if not remaining or (current and current.total is None):
        return rate, ""
    return rate, f"about {long_span(remaining / per_second)} left"


def _took(row: Any) -> str:
    if not row.finished_at or not row.started_at:
        return ""
    return long_span(max(0.0, (row.finished_at - row.started_at).total_seconds()))


def window_words(start: datetime | None, end: datetime | None, moments: Moments) -> str:
    """`1 Jan 2026 to 31 Mar 2026`, the end of a window being the midnight after its last day."""
    if end is not None:
        end -= timedelta(milliseconds=1)
    if start and end:
        return f"{moments.day_of(start)} to {moments.day_of(end)}"
    if start:
        return f"since {moments.day_of(start)}"
    return f"until {moments.day_of(end)}" if end else "everything"
