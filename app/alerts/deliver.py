"""Sending what waits: claimed in the database, tried again later and later, and given up after a day."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor
from app.alerts import hook, mail
from app.alerts.message import as_mail, trial
from app.alerts.tables import IS_WAITING, alert_messages, alert_targets
from app.alerts.targets import disable_target, note_test, open_hook, require_target
from app.alerts.watch import queue
from app.db.base import StoredRow
from app.db.session import Database
from app.db.upsert import db_now_ms
from app.errors import CrispsyncError, Refused
from app.settings import Settings
from app.websites.tables import websites

log = structlog.get_logger(__name__)

WAITS = (10, 60, 300, 1800, 7200, 18_000, 36_000, 36_000)
"""Seconds until each further try."""
HELD_MS = 60_000
"""Longer than a try takes: a message held for longer was a killed process'."""


async def send_due(db: Database, settings: Settings) -> int:
    """Everything that is due, one after another. How many were tried. Raises DatabaseAway."""
    tried = 0
    while (message := await _claim(db)) is not None:
        await _try(db, settings, message)
        tried += 1
    return tried


async def send_test(db: Database, settings: Settings, actor: Actor, target_id: str) -> str | None:
    """What came of it: None, or why it did not arrive. Raises NotFound, Forbidden."""

    async def work(connection: AsyncConnection) -> StoredRow:
        target = await require_target(connection, target_id)
        await note_test(connection, actor, target)
        name = await connection.scalar(
            select(websites.c.name).where(websites.c.id == target.website_id)
        )
        payload = trial(target.website_id, name, settings.public_url)
        message_id = await queue(connection, target_id, payload, target.website_id, None, HELD_MS)
        return await _message(connection, message_id)

    return await _try(db, settings, await db.transact(work))


async def _message(connection: AsyncConnection, message_id: str) -> StoredRow:
    m = alert_messages.c
    return (await connection.execute(select(alert_messages).where(m.id == message_id))).one()


async def _claim(db: Database) -> StoredRow | None:
    m = alert_messages.c
    async with db.read() as connection:
        due = m.due_ms <= db_now_ms(connection)
        if await connection.scalar(select(m.id).where(IS_WAITING, due).limit(1)) is None:
            return None

    async def work(connection: AsyncConnection) -> StoredRow | None:
        due = m.due_ms <= db_now_ms(connection)
        first = (
            select(m.id)
            .where(IS_WAITING, due)
            .order_by(m.due_ms)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        message_id = await connection.scalar(first)
        if message_id is None:
            return None
        held = {"attempts": m.attempts + 1, "due_ms": db_now_ms(connection) + HELD_MS}
        await connection.execute(update(alert_messages).where(m.id == message_id).values(**held))
        return await _message(connection, message_id)

    return await db.transact(work)


async def _try(db: Database, settings: Settings, message: StoredRow) -> str | None:
    """No transaction is open while it is sent. Why it did not arrive."""
    error: CrispsyncError | None = None
    try:
        async with db.read() as connection:
            t = alert_targets.c
            query = select(alert_targets).where(t.id == message.target_id)
            target = (await connection.execute(query)).one_or_none()
            if target is None:
                return "It was removed meanwhile."
            secrets = ("", "")
            if target.kind == "hook":
                secrets = await open_hook(connection, settings, target)
        await _send(settings, target, message, secrets)
    except CrispsyncError as found:
        error = found
    await db.transact(lambda connection: _ended(connection, message, error))
    if error is not None:
        log.warning("alert.not_told", kind=type(error).__name__, count=message.attempts)
    return None if error is None else error.message


async def _send(
    settings: Settings, target: StoredRow, message: StoredRow, secrets: tuple[str, str]
) -> None:
    if target.kind == "hook":
        url, secret = secrets
        allowed = settings.alerts_to_private
        await hook.send(url, secret, message.id, message.payload, private=allowed)
        return
    try:
        written = as_mail(message.payload, message.id, mail.sender(settings), target.address)
    except ValueError:
        raise Refused("The address cannot be written into an e-mail.") from None
    await mail.send(settings, written)


async def _ended(
    connection: AsyncConnection, message: StoredRow, error: CrispsyncError | None
) -> None:
    m = alert_messages.c
    values: dict[str, Any] = {"state": "done", "done_at": clock.now(), "error": None}
    if error is not None:
        over = message.is_test or isinstance(error, hook.Gone) or message.attempts > len(WAITS)
        values = {"error": error.message}
        if over:
            values |= {"state": "failed", "done_at": clock.now()}
        else:
            wait = WAITS[message.attempts - 1] * 1000
            values["due_ms"] = db_now_ms(connection) + wait
    await connection.execute(
        update(alert_messages)
        # Not when another process took it over meanwhile.
        .where(m.id == message.id, m.attempts == message.attempts, IS_WAITING)
        .values(**values)
    )
    if isinstance(error, hook.Gone):
        await disable_target(connection, message.target_id, error.message)
