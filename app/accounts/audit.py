"""The audit log: every change by a person or a token, in the transaction that makes it (SPEC P4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor
from app.accounts.tables import audit_log
from app.db.base import new_id
from app.logs import current_request_id


async def audit(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    *,
    website_id: str | None = None,
    subject: tuple[str, str] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note that `actor` did `action` (`contact.merged`: noun, dot, past participle) to `subject` (kind, id).

    `before` and `after`: what changed, field by field, and nothing secret.
    """
    kind, subject_id = subject or (None, None)
    await connection.execute(
        insert(audit_log).values(
            id=new_id(),
            at=clock.now(),
            website_id=website_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            subject_kind=kind,
            subject_id=subject_id,
            before=None if before is None else dict(before),
            after=None if after is None else dict(after),
            request_id=current_request_id(),
        )
    )
