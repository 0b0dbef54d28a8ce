"""Writing erasures down outside the database too, as the last step before they are committed (FAILURES case 89)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.erased import Hasher, Identity, find_sealed_key, settings_of
from app.contacts.outside import (
    Outside,
    SealedKey,
    add_outside,
    key_line,
    outside_file,
    person_line,
    read_outside,
    website_line,
)
from app.contacts.tables import erased_identities
from app.db.session import Database
from app.errors import Refused

Listed = tuple[str, str, datetime]
"""Website id, hash, and when."""


async def keep_people(
    connection: AsyncConnection, hasher: Hasher, identities: Iterable[Identity]
) -> None:
    """Raises NotKept, and Refused when the file is another database's; then nothing may be committed."""
    moment = clock.now()
    listed = [(hasher.website_id, digest, moment) for digest in sorted(map(hasher, identities))]
    await keep_listed(connection, listed)


async def keep_website(connection: AsyncConnection, website_id: str) -> None:
    """Raises NotKept."""
    path = outside_file(settings_of(connection))
    await asyncio.to_thread(add_outside, path, [website_line(website_id, clock.now())])


async def keep_listed(connection: AsyncConnection, listed: Iterable[Listed]) -> None:
    """What the file does not have yet, with the key as it is sealed now. Raises NotKept, Refused, Unreadable."""
    found = await find_sealed_key(connection)
    if found is None:
        return
    path = outside_file(settings_of(connection))
    await asyncio.to_thread(partial(_add, path, found[1], list(listed)))


def _add(path: Path, key: SealedKey, listed: list[Listed]) -> None:
    outside = read_outside(path)
    refuse_of_another(path, outside, key.name)
    lines = [] if key in outside.keys else [key_line(key)]
    lines += [person_line(*one) for one in listed if one[:2] not in outside.people]
    add_outside(path, lines)


class AnothersList(Refused):
    """The file was made with another key than this database's: nobody's erasures may be mixed up."""

    http_status = 503


def refuse_of_another(path: Path, outside: Outside, name: str) -> None:
    """Raises AnothersList when its hashes were made with another key than this database's."""
    if any(key.name != name for key in outside.keys):
        raise AnothersList(
            f"The list of erased people, {path}, belongs to another database: give each its own with "
            "ERASED_FILE, or name the one that was kept with this database."
        )


async def keep_all(db: Database) -> None:
    """Whatever the database lists and the file does not: of older versions, or of a file that was away.

    Raises NotKept, Refused, Unreadable.
    """
    i = erased_identities.c
    async with db.read() as connection:
        rows = await connection.execute(select(i.website_id, i.digest, i.erased_at))
        await keep_listed(connection, [(row.website_id, row.digest, row.erased_at) for row in rows])
