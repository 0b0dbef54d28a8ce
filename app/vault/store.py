"""Keeping sealed values, reading them, and sealing them anew with the current key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import AnySelect, StoredRow
from app.db.session import Database
from app.db.upsert import insert_for
from app.errors import DatabaseAway, Refused
from app.settings import Settings
from app.vault.keys import Keyring, load_keyring
from app.vault.seal import Unreadable, seal, unseal
from app.vault.tables import sealed_secrets

log = structlog.get_logger(__name__)

CHUNK = 200


async def store_secrets(
    connection: AsyncConnection, keyring: Keyring, owner: str, values: Mapping[str, str]
) -> None:
    """Seal `values` by field; what else the owner has stays."""
    for field, value in sorted(values.items()):
        row = {
            "key_id": keyring.current.id,
            "sealed": seal(keyring.current, owner, field, value),
            "stored_at": clock.now(),
        }
        statement = insert_for(connection, sealed_secrets).values(
            website_id=owner, field=field, **row
        )
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["website_id", "field"], set_=row)
        )


async def forget_secrets(connection: AsyncConnection, owner: str, fields: Iterable[str]) -> None:
    await connection.execute(
        delete(sealed_secrets).where(
            sealed_secrets.c.website_id == owner, sealed_secrets.c.field.in_(list(fields))
        )
    )


async def find_sealed(connection: AsyncConnection, owner: str) -> dict[str, StoredRow]:
    """Rows by field, still sealed."""
    rows = await connection.execute(
        select(sealed_secrets).where(sealed_secrets.c.website_id == owner)
    )
    return {row.field: row for row in rows}


def open_row(keyring: Keyring, row: StoredRow) -> str:
    """Raises Unreadable."""
    return unseal(keyring, row.key_id, row.website_id, row.field, row.sealed)


async def find_unreadable(
    connection: AsyncConnection, keyring: Keyring | None
) -> list[tuple[str, str]]:
    """(owner, field) of what no key here opens; the check at start and in the doctor (FAILURES case 87)."""
    return unreadable_of((await connection.execute(sealed_query())).all(), keyring)


def sealed_query() -> AnySelect:
    return select(sealed_secrets).order_by(*_ORDER)


def unreadable_of(rows: Iterable[StoredRow], keyring: Keyring | None) -> list[tuple[str, str]]:
    """The same of the rows of `sealed_query`."""
    return [(row.website_id, row.field) for row in rows if not _opens(keyring, row)]


def _opens(keyring: Keyring | None, row: StoredRow) -> bool:
    if keyring is None:
        return False
    try:
        open_row(keyring, row)
    except Unreadable:
        return False
    return True


_ORDER = (sealed_secrets.c.website_id, sealed_secrets.c.field)


@dataclass(frozen=True, slots=True)
class Rotated:
    """`unreadable`: (owner, field) of what no key here opens; it stays as it is."""

    sealed: int
    unreadable: tuple[tuple[str, str], ...]


async def rotate(db: Database, keyring: Keyring) -> Rotated:
    """Seal with the current key all that another one sealed. Cut off, it goes on when run again."""
    sealed, after = 0, ("", "")
    unreadable: list[tuple[str, str]] = []
    while True:
        async with db.read() as connection:
            rows = await _older(connection, keyring.current.id, after)
        if not rows:
            return Rotated(sealed, tuple(unreadable))
        after = (rows[-1].website_id, rows[-1].field)
        good = [row for row in rows if _opens(keyring, row)]
        unreadable += [(row.website_id, row.field) for row in rows if row not in good]

        async def work(connection: AsyncConnection, good: list[StoredRow] = good) -> int:
            return sum([await _reseal(connection, keyring, row) for row in good])

        sealed += await db.transact(work)


async def _older(
    connection: AsyncConnection, current: str, after: tuple[str, str]
) -> list[StoredRow]:
    rows = await connection.execute(
        select(sealed_secrets)
        .where(sealed_secrets.c.key_id != current, tuple_(*_ORDER) > tuple_(*after))
        .order_by(*_ORDER)
        .limit(CHUNK)
    )
    return list(rows)


async def _reseal(connection: AsyncConnection, keyring: Keyring, row: StoredRow) -> int:
    """Not when somebody stored a new value meanwhile."""
    anew = seal(keyring.current, row.website_id, row.field, open_row(keyring, row))
    done = await connection.execute(
        update(sealed_secrets)
        .where(
            sealed_secrets.c.website_id == row.website_id,
            sealed_secrets.c.field == row.field,
            sealed_secrets.c.sealed == row.sealed,
        )
        .values(key_id=keyring.current.id, sealed=anew)
    )
    return done.rowcount


async def check_at_start(db: Database, settings: Settings) -> None:
    """Warn of what does not open, and go on: only what needs it stands still (FAILURES case 87)."""
    try:
        keyring = load_keyring(settings)
    except Refused:
        keyring = None
    try:
        async with db.read() as connection:
            unreadable = await find_unreadable(connection, keyring)
    except (DatabaseAway, SQLAlchemyError) as error:
        log.warning("secrets.not_checked", error=type(error).__name__)
        return
    for owner, field in unreadable:
        log.warning("secrets.unreadable", website_id=owner, kind=field)
