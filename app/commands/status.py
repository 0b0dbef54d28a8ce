"""`crispsync status`: is everything in order, in one look."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.commands.database import with_database
from app.commands.output import as_document
from app.commands.progress import in_words
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.db.session import Database
from app.privacy.tables import purges
from app.settings import Settings
from app.sync.tables import sync_runs
from app.sync.usage import read_quota
from app.webhooks import hook_figures
from app.webhooks.silence import silent_since
from app.webhooks.wanted import hook_url
from app.websites.tables import websites


def describe(*, as_json: bool) -> str:
    found = with_database(_read)
    return as_document(found) if as_json else _in_words(found)


async def _read(db: Database, settings: Settings) -> dict[str, Any]:
    quota = await read_quota(db, settings)
    async with db.read() as connection:
        rows = (await connection.execute(select(websites).order_by(websites.c.name))).all()
        found = [await _website(connection, row) for row in rows]
        hooks = await _hooks(connection)
        purged = await connection.execute(
            select(purges.c.kind, purges.c.at, purges.c.dropped).order_by(purges.c.kind)
        )
        dropped = [dict(row) for row in purged.mappings()]
    return {
        "websites": found,
        "purges": dropped,
        "hooks": {"url": hook_url(settings.public_url), **hooks},
        "quota": {
            "used": quota.used,
            "limit": quota.limit,
            "paused_until": quota.paused_until,
            "reason": quota.reason,
        },
    }


async def _hooks(connection: AsyncConnection) -> dict[str, Any]:
    refused = await hook_figures.refusals(connection)
    return {
        "last_received_at": await hook_figures.last_received_of_all(connection),
        **asdict(await hook_figures.backlog_of_all(connection)),
        "refused": sum(row.refused for row in refused),
        "last_refused_at": refused[0].last_at if refused else None,
    }


async def _website(connection: AsyncConnection, row: Any) -> dict[str, Any]:
    runs = await connection.execute(
        select(
            sync_runs.c.id,
            sync_runs.c.kind,
            sync_runs.c.state,
            sync_runs.c.counts,
            sync_runs.c.requests,
            sync_runs.c.error,
            sync_runs.c.finished_at,
        )
        .where(sync_runs.c.website_id == row.id)
        .order_by(sync_runs.c.created_at.desc())
        .limit(3)
    )
    silence = await silent_since(connection, row.id)
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "attention": row.attention,
        "contacts": await _count(connection, contacts, row.id),
        "conversations": await _count(connection, conversations, row.id),
        "unmatched": await _count(
            connection, conversations, row.id, conversations.c.contact_id.is_(None)
        ),
        "messages_due": await _count(
            connection, conversations, row.id, conversations.c.messages_due
        ),
        "last_hook_at": await hook_figures.last_received(connection, row.id),
        "hooks_silent_since": silence.since if silence else None,
        "runs": [dict(run) for run in runs.mappings()],
    }


async def _count(connection: AsyncConnection, table: Any, website_id: str, *where: Any) -> int:
    return int(
        await connection.scalar(
            select(func.count())
            .select_from(table)
            .where(table.c.website_id == website_id, table.c.deleted_at.is_(None), *where)
        )
        or 0
    )


def _in_words(found: dict[str, Any]) -> str:
    quota = found["quota"]
    lines = [f"Quota today: {quota['used']:,} of {quota['limit']:,} requests used."]
    if quota["paused_until"]:
        lines.append(f"Nobody asks Crisp before {quota['paused_until']}: {quota['reason']}")
    lines.append(_hooks_in_words(found["hooks"]))
    lines += [
        f"Kept long enough, {purge['kind']}: {purge['dropped']:,} dropped at {_minute(purge['at'])}."
        for purge in found["purges"]
    ]
    if not found["websites"]:
        lines.append("No website is connected yet: crispsync connect WEBSITE_ID")
    for website in found["websites"]:
        lines.append(
            f"{website['name']} ({website['id']}): {website['status']}; "
            f"{website['contacts']:,} contacts, {website['conversations']:,} conversations, "
            f"{website['unmatched']:,} of them unmatched."
        )
        if website["attention"]:
            lines.append(f"  needs attention: {website['attention']}")
        if website["hooks_silent_since"]:
            lines.append(
                f"  hooks are silent since {_minute(website['hooks_silent_since'])}, unlike on other "
                "days: see whether the plugin's hook address in Crisp's Marketplace is right."
            )
        lines += [
            f"  {run['kind']}: {run['state']}, {in_words(run['counts'])}. {run['error'] or ''}".rstrip()
            for run in website["runs"]
        ]
    return "\n".join(lines)


def _hooks_in_words(hooks: dict[str, Any]) -> str:
    parts = [f"last {_minute(hooks['last_received_at'])}"]
    if not hooks["last_received_at"]:
        parts = [f"none has arrived yet; Crisp is to send them to {hooks['url']}"]
    if hooks["waiting"]:
        since = hooks["oldest_waiting_at"]
        parts.append(
            _counted(hooks["waiting"], "waiting") + (f" since {_minute(since)}" if since else "")
        )
    parts += [_counted(hooks[name], name) for name in ("parked", "dead") if hooks[name]]
    if hooks["refused"]:
        parts.append(f"{hooks['refused']:,} refused, last {_minute(hooks['last_refused_at'])}")
    return f"Hooks: {'; '.join(parts)}."


def _counted(number: int, what: str) -> str:
    return f"{number:,}{' or more' if number >= hook_figures.COUNTED_AT_MOST else ''} {what}"


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"
