"""Which conditions hold, and what is to be told of them: once, again after a while, and when they end.

One alert is open for each cause and website. It is told when it is seen a second time, so that a restart
is no news; what comes and goes within minutes stays one alert, and what came back within a day needs an
hour of quiet before it counts as resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.alerts.message import EVIDENCE_AT_MOST, What, about
from app.alerts.tables import IS_OPEN, alert_messages, alert_targets, alerts
from app.db.base import StoredRow, new_id
from app.db.session import Database
from app.db.upsert import db_now_ms, lock_key
from app.doctor.findings import Finding
from app.doctor.look import examine
from app.settings import Settings
from app.websites.tables import websites

SETTLE = 300
SETTLE_AFTER_RETURN = 3600
RETURN_WITHIN = timedelta(days=1)
KEPT = timedelta(days=90)
NOT_TOLD = frozenset({"not_https", "database_behind"})
"""How it was set up, and what an older process sees while a newer one starts: not for the night."""

Conditions = Mapping[tuple[str, str | None], str]


async def look(db: Database, settings: Settings) -> None:
    """Compare what is wrong with what was told. Raises DatabaseAway."""
    findings = await examine(db, settings)
    if any(one.cause == "database_behind" for one in findings):
        return  # nothing else was looked at
    found = conditions(findings)
    await db.transact(lambda connection: note(connection, settings, found, clock.now()))


def conditions(findings: Iterable[Finding]) -> Conditions:
    """The evidence by cause and website, of what is to be told."""
    found: dict[tuple[str, str | None], str] = {}
    for one in findings:
        if one.is_fault and one.cause not in NOT_TOLD:
            key = (one.cause, one.website_id)
            found[key] = f"{found[key]} {one.evidence}" if key in found else one.evidence
    return {key: evidence[:EVIDENCE_AT_MOST] for key, evidence in found.items()}


async def note(
    connection: AsyncConnection, settings: Settings, found: Conditions, moment: datetime
) -> None:
    """`found` holds at `moment`, and nothing else does."""
    await lock_key(connection, "alerts")
    rows = await connection.execute(select(alerts).where(IS_OPEN))
    known = {(row.cause, row.website_id): row for row in rows}
    for key, evidence in found.items():
        if key in known:
            await _still(connection, settings, known[key], evidence, moment)
        else:
            await _open(connection, key, evidence, moment)
    for key, row in known.items():
        if key not in found:
            await _quiet(connection, settings, row, moment)
    await _forget_old(connection, moment - KEPT)


async def _quiet(
    connection: AsyncConnection, settings: Settings, row: StoredRow, moment: datetime
) -> None:
    if row.told_at is None:  # nobody knows of it
        await connection.execute(delete(alerts).where(alerts.c.id == row.id))
    elif row.seen_at <= moment - timedelta(seconds=row.settle_seconds):
        await _set(connection, row.id, resolved_at=moment)
        await _tell(connection, settings, row._asdict() | {"resolved_at": moment}, "resolved")


async def _open(
    connection: AsyncConnection, key: tuple[str, str | None], evidence: str, moment: datetime
) -> None:
    cause, website_id = key
    condition = f"{cause} {website_id or ''}"
    returns = await connection.scalar(
        select(alerts.c.id)
        .where(alerts.c.condition == condition, alerts.c.resolved_at > moment - RETURN_WITHIN)
        .limit(1)
    )
    alert = {
        "id": new_id(),
        "condition": condition,
        "website_id": website_id,
        "cause": cause,
        "evidence": evidence,
        "opened_at": moment,
        "seen_at": moment,
        "told_at": None,
        "resolved_at": None,
        "settle_seconds": SETTLE_AFTER_RETURN if returns else SETTLE,
    }
    await connection.execute(insert(alerts).values(**alert))


async def _still(
    connection: AsyncConnection,
    settings: Settings,
    row: StoredRow,
    evidence: str,
    moment: datetime,
) -> None:
    what: What | None = None
    if row.told_at is None:
        what = "opened"
    elif row.told_at <= moment - timedelta(hours=settings.alert_remind_hours):
        what = "reminded"
    told_at = moment if what else row.told_at
    await _set(connection, row.id, evidence=evidence, seen_at=moment, told_at=told_at)
    if what:
        await _tell(connection, settings, row._asdict() | {"evidence": evidence}, what)


async def _set(connection: AsyncConnection, alert_id: str, **values: Any) -> None:
    await connection.execute(update(alerts).where(alerts.c.id == alert_id).values(**values))


async def _tell(
    connection: AsyncConnection, settings: Settings, alert: dict[str, Any], what: What
) -> None:
    website_id = alert["website_id"]
    name = await connection.scalar(select(websites.c.name).where(websites.c.id == website_id))
    payload = about(alert, what, name, settings.public_url)
    t = alert_targets.c
    whose = t.website_id.is_(None)
    if website_id is not None:
        whose |= t.website_id == website_id
    for target_id in (
        await connection.execute(select(t.id).where(t.disabled.is_(None), whose).order_by(t.id))
    ).scalars():
        await queue(connection, target_id, payload, website_id, alert["id"])


async def queue(
    connection: AsyncConnection,
    target_id: str,
    payload: Any,
    website_id: str | None,
    alert_id: str | None,
    due_in_ms: int = 0,
) -> str:
    """A message to be sent; of no alert: a test. Its id."""
    message_id = new_id()
    await connection.execute(
        insert(alert_messages).values(
            id=message_id,
            alert_id=alert_id,
            target_id=target_id,
            website_id=website_id,
            is_test=alert_id is None,
            payload=payload,
            state="waiting",
            attempts=0,
            due_ms=db_now_ms(connection) + due_in_ms,
            created_at=clock.now(),
        )
    )
    return message_id


async def _forget_old(connection: AsyncConnection, before: datetime) -> None:
    await connection.execute(delete(alerts).where(alerts.c.resolved_at < before))
    await connection.execute(
        delete(alert_messages).where(
            alert_messages.c.alert_id.is_(None), alert_messages.c.created_at < before
        )
    )


async def count_open(connection: AsyncConnection) -> int:
    query = select(func.count()).select_from(alerts).where(IS_OPEN)
    return int(await connection.scalar(query) or 0)
