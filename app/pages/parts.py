"""What the pages ask of the rest of the program; tests put simple stand-ins in their place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from fastapi import Request

from app.accounts.actors import Actor
from app.db.session import Database
from app.sync import runs
from app.sync.refresh_now import Kind
from app.webhooks.wanted import hook_url


class QuotaNow(Protocol):
    """Requests to Crisp today; paused_until is set while nobody may ask."""

    @property
    def used(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def paused_until(self) -> datetime | None: ...
    @property
    def reason(self) -> str | None: ...


class PreviewOf(Protocol):
    """What a backfill would cost; with at_least there are more conversations than counted."""

    @property
    def conversations(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def days(self) -> float: ...
    @property
    def at_least(self) -> bool: ...


class RequestRun(Protocol):
    async def __call__(
        self,
        db: Database,
        website_id: str,
        kind: Literal["full", "incremental", "backfill"],
        *,
        started_by: str,
        actor: Actor | None = None,
        window_from: datetime | None = None,
        window_to: datetime | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Uploads:
    """Where uploaded files are kept, the biggest that is taken, and how to wake who imports them."""

    folder: Path
    most_mb: int


Ask = Callable[[Database, str, str, Literal["pause", "cancel"], Actor], Awaitable[None]]
Resume = Callable[[Database, str, str, Actor], Awaitable[None]]
Preview = Callable[[str, datetime, datetime], Awaitable[PreviewOf]]
RefreshNow = Callable[[Actor, str, Kind, str], Awaitable[None]]
Ring = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SyncCalls:
    request_run: RequestRun
    ask: Ask
    resume: Resume


def sync_calls() -> SyncCalls:
    return SyncCalls(runs.request_run, runs.ask, runs.resume)


def ring_of(request: Request) -> Ring:
    ring: Ring = request.app.state.ring
    return ring


def preview_of(request: Request) -> Preview:
    preview: Preview = request.app.state.preview
    return preview


def refresh_of(request: Request) -> RefreshNow:
    """Ask Crisp for one contact or conversation: (actor, website id, kind, id)."""
    refresh: RefreshNow = request.app.state.refresh
    return refresh


async def quota_now(request: Request) -> QuotaNow | None:
    """None where the program was not told of a quota: the pages then leave the figure out."""
    ask: Callable[[], Awaitable[QuotaNow]] | None = getattr(request.app.state, "quota", None)
    return await ask() if ask else None


def hook_url_of(request: Request) -> str:
    """Where Crisp is to send its hooks; the address of this request where the program was told none."""
    return hook_url(getattr(request.app.state, "public_url", None) or str(request.base_url))


def ring_for_hooks(request: Request) -> None:
    """Wake whoever applies hooks; without a bell they look by themselves within seconds."""
    ring: Callable[[], None] | None = getattr(request.app.state, "hook_bell", None)
    if ring is not None:
        ring()


def uploads_of(request: Request) -> Uploads:
    uploads: Uploads = request.app.state.uploads
    return uploads


def ring_for_imports(request: Request) -> None:
    """Wake whoever works off imports; without a bell they look by themselves every second."""
    ring: Callable[[], None] | None = getattr(request.app.state, "import_bell", None)
    if ring is not None:
        ring()
