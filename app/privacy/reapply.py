"""After a backup was restored: erasing again what was erased since, before anybody sees or reads it.

The list outside the database (app/contacts/outside.py) is compared with the database's own at every start.
Of whom it knows more, nothing but hashes is left: the restored rows are hashed and compared (FAILURES case 89).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import SYSTEM
from app.contacts.erased import (
    HASH_KEY,
    Hasher,
    find_sealed_key,
    keyring_of,
    name_of_key,
    open_outside,
)
from app.contacts.outside import Outside, outside_file, read_outside
from app.contacts.tables import erased_identities
from app.db.session import Database
from app.db.upsert import lock_key, upsert
from app.errors import CrispsyncError, NotFound, Refused
from app.privacy.erase import erase_rows
from app.privacy.left import find_contacts, find_rest, take_addresses
from app.privacy.outside import AnothersList, keep_all, refuse_of_another
from app.privacy.person import find_person
from app.privacy.sweep import sweep
from app.privacy.uploads import refuse_live_import
from app.privacy.website import erase_again
from app.settings import Settings
from app.vault.seal import PLUGIN
from app.vault.store import store_secrets
from app.websites.rules import lock_website
from app.websites.tables import websites

log = structlog.get_logger(__name__)

Missing = Mapping[str, Mapping[str, datetime]]
"""By website: hashes that the database does not know, and when they were listed."""


@dataclass(slots=True)
class Reapplied:
    """`known` identities are on the list outside; the rest counts what this run had to erase again."""

    known: int = 0
    identities: int = 0
    contacts: int = 0
    conversations: int = 0
    websites: int = 0


async def reapply(db: Database, settings: Settings) -> Reapplied:
    """Erase again what the list outside knows and the database does not; nothing to do costs two reads.

    Raises NotKept, Refused (another database's list), Conflict while an import is at work, and
    Unreadable when the key of the list cannot be opened and somebody would come back without it.
    """
    path = outside_file(settings)
    outside = await asyncio.to_thread(read_outside, path)
    done = Reapplied(known=len(outside.people))
    if outside.torn:
        log.warning("erasures.torn_lines", count=outside.torn)
    done.websites = await _erase_websites(db, settings, outside)
    async with db.read() as connection:
        missing = await _missing(connection, outside)
    if missing:
        await db.transact(partial(_apply, outside=outside, settings=settings, done=done))
        await sweep(db, settings.uploads_folder)
    if missing or done.websites:
        log.warning("erasures.applied_again", count=done.contacts, websites=done.websites)
    await _keep_outside(db)
    return done


async def _keep_outside(db: Database) -> None:
    """Not being able to is no reason not to start: an erasure would be refused, and doctor tells."""
    try:
        await keep_all(db)
    except AnothersList:
        raise
    except CrispsyncError as error:
        log.warning("erasures.not_kept_outside", error=type(error).__name__)


async def _erase_websites(db: Database, settings: Settings, outside: Outside) -> int:
    """Those that were erased after the connection that the database knows; later ones are new."""
    async with db.read() as connection:
        rows = await connection.execute(select(websites.c.id, websites.c.connected_at))
        back = sorted(
            row.id
            for row in rows
            if row.id in outside.websites and row.connected_at <= outside.websites[row.id]
        )
    for website_id in back:
        with contextlib.suppress(NotFound):  # another process was quicker
            await erase_again(db, settings.uploads_folder, website_id)
    return len(back)


async def _missing(connection: AsyncConnection, outside: Outside) -> Missing:
    if not outside.people:
        return {}
    i = erased_identities.c
    rows = await connection.execute(select(i.website_id, i.digest))
    known = {(row.website_id, row.digest) for row in rows}
    found: dict[str, dict[str, datetime]] = {}
    for (website_id, digest), moment in outside.people.items():
        if (website_id, digest) not in known:
            found.setdefault(website_id, {})[digest] = moment
    return found


async def _apply(
    connection: AsyncConnection, outside: Outside, settings: Settings, done: Reapplied
) -> None:
    """All of it, or nothing: a database that lists them and still has their rows is never committed."""
    await lock_key(connection, HASH_KEY)
    missing = await _missing(connection, outside)
    if not missing:
        return
    key = await _agree_on_key(connection, outside, settings)
    done.identities = done.contacts = done.conversations = 0
    for website_id in sorted(missing):
        await lock_website(connection, website_id)
        await refuse_live_import(connection, website_id)
        digests = missing[website_id]
        done.identities += len(digests)
        await _list(connection, website_id, digests)
        await _erase_left(connection, Hasher(website_id, key), digests.keys(), done)


async def _agree_on_key(connection: AsyncConnection, outside: Outside, settings: Settings) -> bytes:
    """The database's, else the list's, which it then keeps. Raises Unreadable, Refused."""
    path = outside_file(settings)
    stored = await find_sealed_key(connection)
    key = stored[0] if stored else open_outside(keyring_of(connection), outside.keys)
    if key is None:
        raise Refused(
            f"The list of erased people, {path}, lacks the line with its key: take a whole copy of it."
        )
    refuse_of_another(path, outside, name_of_key(key))
    if stored is None:
        await store_secrets(connection, keyring_of(connection), PLUGIN, {HASH_KEY: key.hex()})
    return key


async def _list(
    connection: AsyncConnection, website_id: str, digests: Mapping[str, datetime]
) -> None:
    rows = [
        {
            "website_id": website_id,
            "digest": digest,
            "erased_at": digests[digest],
            "swept_at": None,
            "request_id": None,
        }
        for digest in sorted(digests)
    ]
    await upsert(
        connection, erased_identities, rows, key=("website_id", "digest"), update=("swept_at",)
    )


async def _erase_left(
    connection: AsyncConnection, hasher: Hasher, digests: Iterable[str], done: Reapplied
) -> None:
    wanted = frozenset(digests)
    for contact_id in await find_contacts(connection, hasher, wanted):
        try:
            person = await find_person(connection, contact_id)
        except NotFound:  # went with another of the same person
            continue
        erasure = await erase_rows(connection, SYSTEM, person)
        done.contacts += erasure.contacts
        done.conversations += erasure.conversations
    await take_addresses(connection, hasher, wanted)
    for person in await find_rest(connection, hasher, wanted):
        done.conversations += (await erase_rows(connection, SYSTEM, person)).conversations
