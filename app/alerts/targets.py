"""Who is told: e-mail addresses and web hooks, entered by admins, each for one website or for all."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.alerts.tables import alert_messages, alert_targets
from app.db.base import StoredRow, new_id
from app.errors import NotFound, Refused
from app.normal import normal_address
from app.settings import Settings
from app.vault.keys import load_keyring
from app.vault.seal import PLUGIN, Unreadable
from app.vault.store import find_sealed, forget_secrets, open_row, store_secrets

MOST = 50


async def add_email(
    connection: AsyncConnection, actor: Actor, address: str, website_id: str | None
) -> str:
    """The new target's id. Raises Refused, Forbidden."""
    typed = address.strip()
    if normal_address(typed) is None or not typed.isprintable():
        raise Refused("That is no e-mail address. Nothing was saved.")
    return await _add(connection, actor, "email", typed[:320], website_id)


async def add_hook(
    connection: AsyncConnection,
    actor: Actor,
    settings: Settings,
    url: str,
    website_id: str | None,
) -> tuple[str, str]:
    """(id, signing secret, which is shown once). `url` was checked (app/alerts/hook.py)."""
    target_id = await _add(connection, actor, "hook", shown(url), website_id)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    values = {_field(target_id, "url"): url, _field(target_id, "secret"): secret}
    await store_secrets(connection, load_keyring(settings), website_id or PLUGIN, values)
    return target_id, secret


async def _add(
    connection: AsyncConnection, actor: Actor, kind: str, address: str, website_id: str | None
) -> str:
    actor.require(Role.ADMIN)
    count = await connection.scalar(select(func.count()).select_from(alert_targets))
    if (count or 0) >= MOST:
        raise Refused(f"There are {MOST} already; remove one first.")
    target_id = new_id()
    await connection.execute(
        insert(alert_targets).values(
            id=target_id,
            website_id=website_id,
            kind=kind,
            address=address,
            created_at=clock.now(),
            created_by=actor.name,
        )
    )
    after = {"kind": kind, "address": address}
    await _note(connection, actor, "alert_target.added", website_id, target_id, after=after)
    return target_id


async def remove_target(connection: AsyncConnection, actor: Actor, target_id: str) -> None:
    """With what still waits for it. Raises NotFound, Forbidden."""
    actor.require(Role.ADMIN)
    target = await require_target(connection, target_id)
    fields = [_field(target_id, "url"), _field(target_id, "secret")]
    await forget_secrets(connection, target.website_id or PLUGIN, fields)
    await connection.execute(delete(alert_messages).where(alert_messages.c.target_id == target_id))
    await connection.execute(delete(alert_targets).where(alert_targets.c.id == target_id))
    before = {"kind": target.kind, "address": target.address}
    await _note(
        connection, actor, "alert_target.removed", target.website_id, target_id, before=before
    )


async def enable_target(connection: AsyncConnection, actor: Actor, target_id: str) -> None:
    """Send there again. Raises NotFound, Forbidden."""
    actor.require(Role.ADMIN)
    target = await require_target(connection, target_id)
    await disable_target(connection, target_id, None)
    before = {"disabled": target.disabled}
    await _note(
        connection, actor, "alert_target.enabled", target.website_id, target_id, before=before
    )


async def disable_target(connection: AsyncConnection, target_id: str, reason: str | None) -> None:
    await connection.execute(
        update(alert_targets).where(alert_targets.c.id == target_id).values(disabled=reason)
    )


async def note_test(connection: AsyncConnection, actor: Actor, target: StoredRow) -> None:
    actor.require(Role.ADMIN)
    await _note(connection, actor, "alert_target.tested", target.website_id, target.id)


async def _note(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    website_id: str | None,
    target_id: str,
    before: dict[str, str | None] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    await audit(
        connection,
        actor,
        action,
        website_id=website_id,
        subject=("alert_target", target_id),
        before=before,
        after=after,
    )


async def require_target(connection: AsyncConnection, target_id: str) -> StoredRow:
    row = (
        await connection.execute(select(alert_targets).where(alert_targets.c.id == target_id))
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such target of alerts (any more).")
    return row


async def list_targets(connection: AsyncConnection) -> Sequence[StoredRow]:
    rows = await connection.execute(
        select(alert_targets).order_by(alert_targets.c.created_at, alert_targets.c.id)
    )
    return rows.all()


async def open_hook(
    connection: AsyncConnection, settings: Settings, target: StoredRow
) -> tuple[str, str]:
    """(address, secret). Raises Unreadable."""
    rows = await find_sealed(connection, target.website_id or PLUGIN)
    keyring = load_keyring(settings)
    try:
        url, secret = (
            open_row(keyring, rows[_field(target.id, part)]) for part in ("url", "secret")
        )
    except KeyError:
        raise Unreadable("Its address and secret are not stored any more.") from None
    return url, secret


def shown(url: str) -> str:
    """Such addresses often hold a secret in their path."""
    return f"https://{urlsplit(url).netloc}/…" if url.startswith("https") else f"{url[:200]}"


def _field(target_id: str, part: str) -> str:
    return f"alert.{target_id}.{part}"
