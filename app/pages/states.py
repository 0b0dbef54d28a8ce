"""Is everything in order with a website? One word, one shape, and sentences that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.pages.rows import AnyRow

UNFINISHED = ("queued", "running", "paused")


@dataclass(frozen=True, slots=True)
class State:
    """`tone` is good, busy, waiting, warn or bad; each has a shape of its own besides its colour."""

    tone: str
    word: str
    sentence: str


NO_WEBSITE = State("waiting", "no website", "No website is connected yet.")

_BY_STATUS = {
    "waiting": State(
        "waiting",
        "waits for its first import",
        "The plugin is installed there and its hooks are stored. Nothing is imported until "
        "somebody triggers the first import.",
    ),
    "paused": State(
        "warn",
        "paused",
        "The connection is paused: hooks are stored, and applied when it is resumed.",
    ),
    "disconnected": State(
        "bad",
        "disconnected",
        "This website was disconnected here. What was imported is kept; nothing new arrives "
        "until it is connected again.",
    ),
    "uninstalled": State(
        "bad",
        "uninstalled",
        "The plugin was uninstalled in Crisp. What was imported is kept; installing it again "
        "goes on where it stopped.",
    ),
}


def state_of(website: AnyRow, runs: Sequence[AnyRow]) -> State:
    """`runs`: unfinished ones first, then the newest finished ones."""
    if website.status in _BY_STATUS:
        return _BY_STATUS[website.status]
    if website.attention:
        return State("bad", "needs attention", str(website.attention))
    return _of_runs(runs)


def _of_runs(runs: Sequence[AnyRow]) -> State:
    if not runs:
        return State(
            "waiting", "not imported yet", "Connected. The first full sync has not run yet."
        )
    newest = runs[0]
    if newest.state == "paused":
        return State("warn", "sync paused", "A sync is paused and goes on where it stopped.")
    if newest.state in UNFINISHED:
        return State("busy", "syncing", "A sync is running; pages fill as it goes.")
    if newest.state == "failed":
        return State("bad", "sync failed", "The last sync failed. What it had read before is kept.")
    if newest.state == "partial":
        return State(
            "warn",
            "in sync, with doubts",
            "The last sync finished; what failed or could not be confirmed is listed with it.",
        )
    if newest.state == "cancelled":
        return State(
            "waiting", "cancelled", "The last sync was cancelled; what it had read is kept."
        )
    return State("good", "in sync", "Connected, and the last sync finished without a failure.")
