"""`crispsync connect`, `disconnect`, `websites`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.accounts.actors import COMMAND
from app.commands.database import with_database
from app.commands.output import as_document, as_table
from app.db.session import Database
from app.privacy.website import erase_website
from app.settings import Settings
from app.sync.access import opened_client
from app.websites import connect as connecting
from app.websites.credential import read_credential
from app.websites.tables import websites


def connect(text: str) -> str:
    website_id = connecting.require_website_id(text)

    async def work(db: Database, settings: Settings) -> str:
        plugin_id = (await read_credential(db, settings)).plugin_id
        async with opened_client(db, settings) as client:
            found = await connecting.verify(client, website_id, plugin_id)
        await connecting.save_connected(db, found, COMMAND)
        return (
            f"Connected {found.name} ({website_id}). "
            f"Next: crispsync sync --full --website {website_id} --wait"
        )

    return with_database(work)


def disconnect(text: str, *, erase: bool) -> str:
    website_id = connecting.require_website_id(text)

    async def work(db: Database, settings: Settings) -> str:
        if erase:
            await erase_website(db, settings.uploads_folder, website_id, COMMAND)
        else:
            await connecting.disconnect(db, website_id, actor=COMMAND)
        return f"Disconnected {website_id}; its data is {'erased' if erase else 'kept'}."

    return with_database(work)


def describe(*, as_json: bool) -> str:
    async def work(db: Database, _settings: Settings) -> list[dict[str, Any]]:
        async with db.read() as connection:
            rows = await connection.execute(
                select(
                    websites.c.id,
                    websites.c.name,
                    websites.c.domain,
                    websites.c.status,
                    websites.c.connected_at,
                ).order_by(websites.c.name, websites.c.id)
            )
            return [dict(row) for row in rows.mappings()]

    found = with_database(work)
    if as_json:
        return as_document(found)
    if not found:
        return "No website is connected yet: crispsync connect WEBSITE_ID"
    return as_table(found)
