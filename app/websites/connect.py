"""Connecting a website: verified with Crisp first, saved whole or not at all (SPEC C2, C3, C8)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sqlalchemy import delete, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import SYSTEM, Actor
from app.accounts.audit import audit
from app.accounts.sessions import end_frame_sessions
from app.crisp import quota
from app.crisp.budget import Purpose
from app.crisp.client import Answer, CrispClient
from app.crisp.errors import AuthRejected, Gone, NotSubscribed
from app.db.base import metadata
from app.db.session import Database
from app.db.upsert import insert_for
from app.errors import Refused
from app.websites.rules import lock_website, require_website
from app.websites.tables import websites

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WHERE_THE_ID_IS = "in Crisp, under Settings, Website settings (Setup instructions), and looks like 8c842203-7ed8-4e29-a608-7cf78a7d2fcc"

CLOCK_DOUBT_MS = 1_000
"""Crisp's time is known to about a second; a hook's is exact, and must not seem older than an answer."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What Crisp says of a website that has the plugin."""

    website_id: str
    name: str
    domain: str | None
    told_ms: int = 0
    """Crisp's time of the answer: what was told before it of the installation is older."""


def require_website_id(text: str) -> str:
    """The id in lower case. Raises Refused with where to find it."""
    candidate = text.strip().lower()
    if not is_website_id(candidate):
        raise Refused(f"“{text[:60]}” is not a website id: it stands {WHERE_THE_ID_IS}.")
    return candidate


def is_website_id(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


async def verify(client: CrispClient, website_id: str, plugin_id: str | None) -> Installed:
    """Ask Crisp whether the plugin is installed there. Raises Refused or a CrispError, saves nothing.

    Source: crisp/REFERENCE.md section 2, point 5.
    """
    answer = await require_installed(client, website_id, plugin_id or await own_plugin_id(client))
    found = await describe(client, website_id)
    return replace(found, told_ms=answer.asked_ms - CLOCK_DOUBT_MS)


async def require_installed(client: CrispClient, website_id: str, plugin_id: str) -> Answer:
    """Crisp's answer about the installation. Raises Refused with where to install it."""
    try:
        answer = await client.get(
            f"plugins/subscription/{website_id}/{plugin_id}", purpose="interactive"
        )
    except (NotSubscribed, Gone):
        raise _not_installed(website_id, plugin_id) from None
    if not isinstance(answer.data, dict) or answer.data.get("active") is not True:
        raise _not_installed(website_id, plugin_id)
    return answer


async def own_plugin_id(client: CrispClient) -> str:
    answer = await client.get("plugin/connect/account", purpose="interactive")
    return str(answer.data.get("plugin_id", "")) if isinstance(answer.data, dict) else ""


def _not_installed(website_id: str, plugin_id: str) -> Refused:
    return Refused(
        f"The plugin is not installed on website {website_id}: open "
        f"https://app.crisp.chat/initiate/plugin/{plugin_id}/ , install it there, then connect again."
    )


async def describe(
    client: CrispClient, website_id: str, purpose: Purpose = "interactive"
) -> Installed:
    """Its name and domain, as far as Crisp tells them."""
    try:
        answer = await client.get(f"website/{website_id}", website_id=website_id, purpose=purpose)
    except (
        AuthRejected,
        Gone,
    ):  # no scope is known for this route; the name is not worth failing for
        return Installed(website_id, website_id, None)
    data = answer.data if isinstance(answer.data, dict) else {}
    name, domain = data.get("name"), data.get("domain")
    return Installed(
        website_id,
        name if isinstance(name, str) and name else website_id,
        domain if isinstance(domain, str) and domain else None,
    )


async def save_connected(db: Database, found: Installed, actor: Actor = SYSTEM) -> None:
    """Keep the website as connected. A new installation gets a new generation; settings stay."""

    async def work(connection: AsyncConnection) -> None:
        await lock_website(connection, found.website_id)
        before = await connection.scalar(
            select(websites.c.status).where(websites.c.id == found.website_id)
        )
        insert = insert_for(connection, websites).values(
            id=found.website_id,
            name=found.name,
            domain=found.domain,
            status="connected",
            connected_at=clock.now(),
            generation=1,
            import_people=True,
            import_conversations=True,
            import_notes=True,
            import_custom_data=False,
            mapping={},
            time_zone="UTC",
        )
        await connection.execute(insert.on_conflict_do_nothing(index_elements=["id"]))
        await connection.execute(
            update(websites)
            .where(websites.c.id == found.website_id, websites.c.status != "connected")
            .values(
                status="connected",
                connected_at=clock.now(),
                generation=websites.c.generation + 1,
            )
        )
        await connection.execute(
            update(websites)
            .where(websites.c.id == found.website_id)
            .values(name=found.name, domain=found.domain, attention=None)
        )
        if before == "connected":
            return
        # A hook that comes late and tells an earlier end must not undo this (FAILURES case 51).
        await connection.execute(
            update(websites)
            .where(
                websites.c.id == found.website_id,
                websites.c.installation_told_ms < found.told_ms,
            )
            .values(installation_told_ms=found.told_ms)
        )
        await audit(
            connection,
            actor,
            "website.connected",
            website_id=found.website_id,
            subject=("website", found.website_id),
            before={"status": before},
            after={"status": "connected", "name": found.name},
        )

    await db.transact(work)


async def disconnect(db: Database, website_id: str, *, actor: Actor = SYSTEM) -> None:
    """Stop everything for this website and keep its data. Raises NotFound."""

    async def work(connection: AsyncConnection) -> None:
        await lock_website(connection, website_id)
        website = await require_website(connection, website_id)
        await audit(
            connection,
            actor,
            "website.disconnected",
            website_id=website_id,
            subject=("website", website_id),
            before={"status": website.status},
            after={"status": "disconnected"},
        )
        await connection.execute(
            update(websites)
            .where(websites.c.id == website_id)
            .values(status="disconnected", generation=websites.c.generation + 1)
        )
        await end_frame_sessions(connection, website_id)

    await db.transact(work)


async def forget_website(
    db: Database,
    website_id: str,
    *,
    actor: Actor = SYSTEM,
    last: Callable[[AsyncConnection], Awaitable[None]] | None = None,
) -> None:
    """Stop everything, with all its rows; whoever erases calls app/privacy/website.py. Raises NotFound.

    `last` is the last step, in the same transaction.
    """

    async def work(connection: AsyncConnection) -> None:
        await lock_website(connection, website_id)
        website = await require_website(connection, website_id)
        await _erase(connection, website_id)
        # Under no website: what is kept of it names it, and nothing of what it held.
        await audit(
            connection,
            actor,
            "website.erased",
            subject=("website", website_id),
            before={"status": website.status},
        )
        if last is not None:
            await last(connection)

    await db.transact(work)


async def _erase(connection: AsyncConnection, website_id: str) -> None:
    await quota.forget_website(connection, website_id)
    for table in reversed(metadata.sorted_tables):
        # The hashes of erased people stay: connected again, it must not bring them back (SPEC P6).
        if "website_id" in table.c and table.name != "erased_identities":
            await connection.execute(delete(table).where(table.c.website_id == website_id))
    await connection.execute(delete(websites).where(websites.c.id == website_id))


async def mark_uninstalled(
    connection: AsyncConnection, website_id: str, generation: int | None = None
) -> None:
    """Crisp says the plugin is gone from there: stop, and keep the data (SPEC C4).

    Not when it was installed again since `generation` was read (FAILURES case 51).
    """
    same = websites.c.generation == generation if generation is not None else true()
    await connection.execute(
        update(websites)
        .where(websites.c.id == website_id, same)
        .values(
            status="uninstalled",
            uninstalled_at=clock.now(),
            attention="The plugin was uninstalled in Crisp; the data is kept and no longer updated.",
        )
    )
    await end_frame_sessions(connection, website_id)
