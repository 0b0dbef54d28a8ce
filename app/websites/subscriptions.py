"""Crisp's list of the websites that have the plugin, compared with what is known here (SPEC C4).

Hooks tell of installations too, but one can be lost. Source: crisp/REFERENCE.md section 2, point 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.crisp.client import Answer, CrispClient
from app.crisp.errors import AuthRejected, Circular, Gone, NotSubscribed
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings
from app.vault.keys import Keyring, load_keyring
from app.vault.seal import Unreadable
from app.vault.store import find_sealed, open_row, store_secrets
from app.websites.connect import CLOCK_DOUBT_MS, describe, is_website_id, own_plugin_id
from app.websites.installation import note_installation
from app.websites.tables import websites

log = structlog.get_logger(__name__)

TOKEN = "subscription_token"  # noqa: S105  # the name of the field, not a token
MOST_PAGES = 1_000
_LISTED = {"filter_configured": 0, "include_plan": 0}
_INSTALLED = ("waiting", "connected", "paused")


@dataclass(frozen=True, slots=True)
class Compared:
    """`appeared` are new here or installed again, `gone` were installed and are not any more."""

    installed: int
    appeared: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


async def compare(
    db: Database, settings: Settings, client: CrispClient, plugin_id: str | None
) -> Compared:
    """Make known what is installed, mark what is not any more. Raises what `CrispClient.get` raises.

    Absence from the list is no proof (FAILURES case 38): each that is missing is asked for by itself.
    """
    tokens, asked_ms = await _list_subscribed(client)
    async with db.read() as connection:
        rows = await connection.execute(select(websites.c.id, websites.c.name, websites.c.status))
        known = {row.id: row for row in rows}
    appeared = [
        website_id
        for website_id in sorted(tokens)
        if website_id not in known or known[website_id].status == "uninstalled"
    ]
    for website_id in appeared:
        await _note(db, website_id, asked_ms - CLOCK_DOUBT_MS, installed=True)
    await _keep_tokens(db, settings, tokens)
    gone = []
    for website_id, row in sorted(known.items()):
        if row.status in _INSTALLED and website_id not in tokens:
            plugin_id = plugin_id or await own_plugin_id(client)
            if (gone_ms := await _gone_since(client, website_id, plugin_id)) is not None:
                await _note(db, website_id, gone_ms, installed=False)
                gone.append(website_id)
    nameless = [w for w in tokens if w not in known or known[w].name == w]
    for website_id in sorted(nameless):
        await _name(db, client, website_id)
    return Compared(len(tokens), tuple(appeared), tuple(gone))


async def _list_subscribed(client: CrispClient) -> tuple[dict[str, str | None], int]:
    """Website id to its token, and as of when (Crisp's clock, epoch ms)."""
    tokens: dict[str, str | None] = {}
    asked_ms: int | None = None
    for number in range(1, MOST_PAGES + 1):
        answer = await _page(client, number)
        if answer is None or not isinstance(answer.data, list) or not answer.data:
            return tokens, asked_ms if asked_ms is not None else client.clock.now_ms()
        asked_ms = answer.asked_ms if asked_ms is None else min(asked_ms, answer.asked_ms)
        before = len(tokens)
        for item in answer.data:
            website_id = item.get("website_id") if isinstance(item, dict) else None
            if isinstance(website_id, str) and is_website_id(website_id):
                token = item.get("token")
                tokens[website_id] = token if isinstance(token, str) and token else None
        if len(tokens) == before:
            raise Circular("Crisp's list of websites does not come to an end.")
    raise Circular("Crisp's list of websites does not come to an end.")


async def _page(client: CrispClient, number: int) -> Answer | None:
    try:
        path = f"plugin/connect/websites/all/{number}"
        return await client.get(path, _LISTED, purpose="hooks")
    except Gone:
        if number == 1:
            raise
        return None


async def _gone_since(client: CrispClient, website_id: str, plugin_id: str) -> int | None:
    """As of when (epoch ms) Crisp says that it is not installed there; None when it is."""
    path = f"plugins/subscription/{website_id}/{plugin_id}"
    try:
        answer = await client.get(path, website_id=website_id, purpose="hooks")
    except (NotSubscribed, Gone):
        return client.clock.now_ms() - CLOCK_DOUBT_MS
    active = isinstance(answer.data, dict) and answer.data.get("active") is True
    return None if active else answer.asked_ms - CLOCK_DOUBT_MS


async def _note(db: Database, website_id: str, told_ms: int, *, installed: bool) -> None:
    await db.transact(lambda c: note_installation(c, website_id, told_ms, installed))


async def _name(db: Database, client: CrispClient, website_id: str) -> None:
    """One that arrived by itself has its id for a name; a person's own choice stays."""
    try:
        found = await describe(client, website_id, purpose="hooks")
    except (AuthRejected, NotSubscribed):
        return

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            update(websites)
            .where(websites.c.id == website_id, websites.c.name == website_id)
            .values(name=found.name, domain=found.domain)
        )

    await db.transact(work)


async def _keep_tokens(db: Database, settings: Settings, tokens: dict[str, str | None]) -> None:
    try:
        keyring = load_keyring(settings)
    except Refused:  # the doctor tells; without a key no token is kept, and the frame asks for each
        return
    for website_id, token in sorted(tokens.items()):
        if token is not None and await read_token(db, keyring, website_id) != token:
            await keep_token(db, keyring, website_id, token)


async def keep_token(db: Database, keyring: Keyring, website_id: str, token: str) -> None:
    await db.transact(lambda c: store_secrets(c, keyring, website_id, {TOKEN: token}))


async def read_token(db: Database, keyring: Keyring, website_id: str) -> str | None:
    """As Crisp last told it; None when it is not known, or does not open."""
    async with db.read() as connection:
        row = (await find_sealed(connection, website_id)).get(TOKEN)
    try:
        return open_row(keyring, row) if row is not None else None
    except Unreadable:
        return None


async def ask_token(client: CrispClient, website_id: str, plugin_id: str) -> str | None:
    """One request: the token as it is now; None when the plugin is not installed there."""
    path = f"plugins/subscription/{website_id}/{plugin_id}/settings"
    try:
        answer = await client.get(path, website_id=website_id, purpose="interactive")
    except (NotSubscribed, Gone):
        return None
    token = answer.data.get("token") if isinstance(answer.data, dict) else None
    return token if isinstance(token, str) and token else None
