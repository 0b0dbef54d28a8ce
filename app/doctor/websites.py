"""What is wrong with one website, as far as it stands in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import AnySelect, StoredRow
from app.db.together import ask_together
from app.doctor.findings import Finding
from app.sync.tables import sync_runs
from app.webhooks.hook_figures import COUNTED_EVERYWHERE, dead_query, last_of, last_query
from app.webhooks.silence import silence_of, usual_query
from app.webhooks.tables import IS_KEPT, inbox_events
from app.websites.tables import websites

NEVER_AFTER = timedelta(hours=24)
"""A website that sent no hook at all for so long after its connection is worth a word."""
UNKNOWN_SHOWN = 20


async def look_at_website(connection: AsyncConnection, row: StoredRow) -> list[Finding]:
    found = []
    if row.status != "connected":
        found.append(Finding(row.status, f"{row.name} is {row.status}.", row.id))
    if row.attention and row.status == "connected":
        found.append(Finding(_cause_of(row.attention), row.attention, row.id))
    if not row.import_conversations:
        found.append(Finding("conversations_off", f"In the settings of {row.name}.", row.id))
    if not row.import_people:
        found.append(Finding("people_off", f"In the settings of {row.name}.", row.id))
    (newest,), (usual,), runs, audits, (letters,) = await ask_together(
        connection,
        last_query(row.id),
        usual_query(row.id),
        _last_run(row.id),
        _last_audit(row.id),
        dead_query(row.id),
    )
    if row.status in {"connected", "waiting"}:
        found += await _hooks(connection, row, last_of(newest), usual)
    if row.status == "connected":
        found += [finding for run in runs for finding in _of_run(row, run)]
        found += [finding for audit in audits for finding in _of_audit(row, audit)]
    dead = min(letters.dead, COUNTED_EVERYWHERE)
    if dead:
        found.append(Finding("dead_letters", f"{dead:,} of {row.name} or of nobody.", row.id))
    return found


def _cause_of(attention: str) -> str:
    """The website's note is the sentence that Crisp's answer led to (app/crisp/errors.py)."""
    if "lacks a scope" in attention:
        return "scope_missing"
    return "credential_rejected" if "credential" in attention else "run_failed"


async def _hooks(
    connection: AsyncConnection, row: StoredRow, last: datetime | None, usual: StoredRow
) -> list[Finding]:
    silence = await silence_of(connection, row.id, last, usual)
    if silence is not None:
        told = (
            f"{row.name} is silent since {silence.since:%Y-%m-%d %H:%M} UTC, unlike on other days."
        )
        return [Finding("hooks_not_arriving", told, row.id)]
    if row.connected_at > clock.now() - NEVER_AFTER:
        return []
    if last is None:
        told = f"None of {row.name} since it was connected ({row.connected_at:%Y-%m-%d})."
        return [Finding("hooks_not_arriving", told, row.id)]
    return []


def _last_run(website_id: str) -> AnySelect:
    return (
        select(sync_runs.c.kind, sync_runs.c.state, sync_runs.c.error)
        .where(sync_runs.c.website_id == website_id)
        .order_by(sync_runs.c.created_at.desc())
        .limit(1)
    )


def _of_run(row: StoredRow, run: StoredRow) -> list[Finding]:
    if run.state != "failed" or row.attention:
        return []
    return [
        Finding("run_failed", f"{run.kind} of {row.name}: {run.error or 'no reason kept'}", row.id)
    ]


def _last_audit(website_id: str) -> AnySelect:
    r = sync_runs.c
    return (
        select(r.counts)
        .where(r.website_id == website_id, r.kind == "audit", r.state.in_(("done", "partial")))
        .order_by(r.created_at.desc())
        .limit(1)
    )


def _of_audit(row: StoredRow, audit: StoredRow) -> list[Finding]:
    counts: dict[str, int] = audit.counts or {}
    drifted = counts.get("drifted", 0)
    if not drifted:
        return []
    told = f"{drifted:,} differed in {row.name}, {counts.get('repaired', 0):,} were repaired."
    return [Finding("drift_found", told, row.id)]


def unknown_query() -> AnySelect:
    """Websites that are not known here, with how many `hooks` are parked for them."""
    return (
        select(inbox_events.c.website_id, func.count().label("hooks"))
        .where(IS_KEPT, inbox_events.c.state == "parked", inbox_events.c.website_id.is_not(None))
        .where(inbox_events.c.website_id.not_in(select(websites.c.id)))
        .group_by(inbox_events.c.website_id)
        .order_by(inbox_events.c.website_id)
        .limit(UNKNOWN_SHOWN)
    )


def unknown_websites(rows: Sequence[StoredRow]) -> list[Finding]:
    return [Finding("website_unknown", f"{row.hooks:,} wait for {row.website_id}.") for row in rows]
