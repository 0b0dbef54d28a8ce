"""What an answer of Crisp says that the stored rows do not: asked before it is written (SPEC S8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.drift import contact_drift
from app.conversations.drift import conversation_drift, message_drift
from app.db.base import AnySelect, StoredRow
from app.db.upsert import upsert
from app.matching.keep_out import keep_out
from app.records import Batch
from app.sync.tables import audit_findings, sync_runs
from app.websites.rules import WebsiteRules

What = Literal["missing", "changed", "removed"]
Path = Literal["hook", "incremental", "full"]
Found = dict[tuple[str, str], tuple[What, int]]
"""(kind, Crisp's id) to what is wrong and the time of the news that was missed, Crisp's epoch ms."""

WHAT_IN_WORDS: Mapping[What, str] = {
    "missing": "missing here",
    "changed": "different here",
    "removed": "removed in Crisp",
}
PATHS_IN_WORDS: Mapping[Path, str] = {
    "hook": "web hook",
    "incremental": "incremental sync",
    "full": "full sync",
}

LAG_MS = 2 * 60_000
"""What is younger may still be on its way, by a hook or through Crisp's search."""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Until when each path has read, Crisp's epoch ms: who must have seen a piece of news."""

    full_ms: int = 0
    conversations_ms: int = 0
    people_ms: int = 0

    def missed_by(self, kind: str, what: What, news_ms: int) -> Path:
        """The last of the paths that should have brought it.

        Edits and removals of messages, and removals of all else, are told by hooks alone.
        """
        if what == "removed" or (kind == "message" and what == "changed"):
            return "hook"
        if news_ms <= self.full_ms:
            return "full"
        read_ms = self.people_ms if kind == "contact" else self.conversations_ms
        return "incremental" if news_ms <= read_ms else "hook"


@dataclass(slots=True)
class Auditor:
    """Compares what one audit reads with what is stored, and keeps what it found."""

    rules: WebsiteRules
    run_id: str
    watermarks: Watermarks = field(default_factory=Watermarks)

    async def compare(self, connection: AsyncConnection, batch: Batch) -> Found:
        website_id = batch.website_id
        # Whoever was erased is not missing, and leaves no trace here either (SPEC P6).
        batch, _ = await keep_out(connection, batch)
        found: Found = {}
        if batch.contacts:
            overrides = self.rules.mapping
            differing = await contact_drift(connection, website_id, overrides, batch.contacts)
            found |= _of("contact", differing)
        if batch.conversations:
            differing = await conversation_drift(connection, website_id, batch.conversations)
            found |= _of("conversation", differing)
        if batch.messages:
            kept = [m for m in batch.messages if self.rules.import_notes or m.type != "note"]
            found |= _of("message", await message_drift(connection, website_id, kept))
        return found

    async def keep(self, connection: AsyncConnection, before: Found, batch: Batch) -> None:
        """After `batch` was written: what still differs is not repaired."""
        if not before:
            return
        after = await self.compare(connection, batch)
        await self._write(
            connection, {key: (*told, key not in after) for key, told in before.items()}
        )

    async def keep_removed(
        self, connection: AsyncConnection, kind: str, external_ids: Mapping[str, int]
    ) -> None:
        """Live here until now, and a GET of the record itself said that it is gone (SPEC S9)."""
        gone: dict[tuple[str, str], tuple[What, int, bool]] = {
            (kind, external_id): ("removed", ms, True) for external_id, ms in external_ids.items()
        }
        await self._write(connection, gone)

    async def _write(
        self, connection: AsyncConnection, found: Mapping[tuple[str, str], tuple[What, int, bool]]
    ) -> None:
        rows = [
            {
                "website_id": self.rules.id,
                "run_id": self.run_id,
                "kind": kind,
                "external_id": external_id,
                "what": what,
                "missed_by": self.watermarks.missed_by(kind, what, news_ms),
                "repaired": repaired,
                "found_at": clock.now(),
            }
            for (kind, external_id), (what, news_ms, repaired) in sorted(found.items())
        ]
        key = ("website_id", "run_id", "kind", "external_id")
        await upsert(connection, audit_findings, rows, key=key, update=("repaired",))


def _of(kind: str, differing: Mapping[str, tuple[What, int]]) -> Found:
    return {(kind, external_id): told for external_id, told in differing.items()}


async def find_watermarks(
    connection: AsyncConnection, website_id: str, website: StoredRow
) -> Watermarks:
    full = await connection.scalar(
        select(func.max(sync_runs.c.started_at)).where(
            sync_runs.c.website_id == website_id,
            sync_runs.c.kind == "full",
            sync_runs.c.state.in_(("done", "partial")),
        )
    )
    people_ms = website.people_read_to_ms or 0
    if website.people_reread_at is not None:
        people_ms = max(people_ms, clock.to_ms(website.people_reread_at))
    return Watermarks(
        full_ms=clock.to_ms(full) - LAG_MS if full is not None else 0,
        conversations_ms=website.conversations_read_to_ms or 0,
        people_ms=people_ms,
    )


def findings_query(website_id: str, run_id: str) -> AnySelect:
    """What an audit found to differ from Crisp."""
    f = audit_findings.c
    return select(f.kind, f.external_id, f.what, f.missed_by, f.repaired, f.found_at).where(
        f.website_id == website_id, f.run_id == run_id
    )


async def count_findings(
    connection: AsyncConnection, website_id: str, run_id: str
) -> dict[str, int]:
    """`drifted` and `repaired`, as a run's counts name them."""
    f = audit_findings.c
    rows: Any = await connection.execute(
        select(f.repaired, func.count().label("n"))
        .where(f.website_id == website_id, f.run_id == run_id)
        .group_by(f.repaired)
    )
    by = {bool(row.repaired): int(row.n) for row in rows}
    return {"drifted": sum(by.values()), "repaired": by.get(True, 0)}
