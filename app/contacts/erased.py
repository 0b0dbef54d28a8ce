"""Who was erased, and stays out: keyed hashes, from which nobody can read a person (SPEC P6).

The key of the hashes is made once and kept sealed in the database: a new SECRET_KEY seals it anew, and
the list stays good.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.outside import SealedKey, outside_file, read_outside
from app.contacts.tables import erased_identities
from app.db.in_turn import Query
from app.db.upsert import lock_key, upsert
from app.logs import current_request_id
from app.normal import normal_address
from app.settings import Settings, get_settings
from app.vault.keys import Keyring, load_keyring
from app.vault.seal import PLUGIN, Unreadable, unseal
from app.vault.store import find_sealed, open_row, store_secrets

Kind = Literal["person", "session", "address"]
Identity: TypeAlias = tuple[Kind, str]
"""A people id, a session id, or an address in its normal form."""

HASH_KEY = "erasure_key"
CHUNK = 5_000
MOST_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Hasher:
    """One website's: the same address has another hash in another website."""

    website_id: str
    key: bytes

    def __call__(self, identity: Identity) -> str:
        kind, value = identity
        text = f"{self.website_id}\x1f{kind}\x1f{value}"
        return hmac.new(self.key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


async def find_hasher(
    connection: AsyncConnection, website_id: str, anybody: bool | None = None
) -> Hasher | None:
    """None when nobody of this website was erased: that costs one lookup, unless it was asked before.

    Raises Unreadable when the list is there and its key is not: whoever was erased must not come back.
    """
    if anybody is None:
        anybody = bool(await connection.scalar(*was_anybody_erased(website_id)))
    if not anybody:
        return None
    key = await _find_key(connection, keyring_of(connection))
    if key is None:
        raise Unreadable("The key of the list of erased people is missing; restore it.")
    return Hasher(website_id, key)


_ANYBODY = select(exists().where(erased_identities.c.website_id == bindparam("website")))


def was_anybody_erased(website_id: str) -> Query:
    return Query(_ANYBODY, {"website": website_id})


async def make_hasher(connection: AsyncConnection, website_id: str) -> Hasher:
    """With the key made when nobody was ever erased. Raises Unreadable, or Refused without SECRET_KEY."""
    await lock_key(connection, HASH_KEY)
    keyring = keyring_of(connection)
    key = await _find_key(connection, keyring)
    if key is None:
        # A database restored from before the first erasure, or a new one beside an old list.
        outside = await asyncio.to_thread(read_outside, outside_file(settings_of(connection)))
        key = open_outside(keyring, outside.keys) or secrets.token_bytes(32)
        await store_secrets(connection, keyring, PLUGIN, {HASH_KEY: key.hex()})
    return Hasher(website_id, key)


def settings_of(connection: AsyncConnection) -> Settings:
    """With SQLite some files lie beside the database's: the one this connection is open on."""
    url = connection.engine.url.render_as_string(hide_password=False)
    return get_settings().model_copy(update={"database_url": url})


def keyring_of(connection: AsyncConnection) -> Keyring:
    return load_keyring(settings_of(connection))


def open_outside(keyring: Keyring, keys: Sequence[SealedKey]) -> bytes | None:
    """The key that the list outside the database was made with; None when it names none.

    Raises Unreadable when no SECRET_KEY given here opens it.
    """
    if not keys:
        return None
    for key in reversed(keys):
        with contextlib.suppress(Unreadable):
            opened = unseal(keyring, key.key_id, PLUGIN, HASH_KEY, key.sealed)
            return bytes.fromhex(opened)
    raise Unreadable(
        "The list of erased people outside the database was sealed with a SECRET_KEY that is not here: "
        "add that key to SECRET_KEY, since without it they would come back."
    )


def name_of_key(key: bytes) -> str:
    return hmac.new(key, b"the name of this key", hashlib.sha256).hexdigest()[:16]


async def _find_key(connection: AsyncConnection, keyring: Keyring) -> bytes | None:
    row = (await find_sealed(connection, PLUGIN)).get(HASH_KEY)
    return None if row is None else bytes.fromhex(open_row(keyring, row))


async def find_sealed_key(connection: AsyncConnection) -> tuple[bytes, SealedKey] | None:
    """The key and how it is sealed in the database; None when nobody was ever erased. Raises Unreadable."""
    row = (await find_sealed(connection, PLUGIN)).get(HASH_KEY)
    if row is None:
        return None
    key = bytes.fromhex(open_row(keyring_of(connection), row))
    return key, SealedKey(name_of_key(key), row.key_id, row.sealed)


async def erased_of(
    connection: AsyncConnection, hasher: Hasher, identities: Iterable[Identity]
) -> set[Identity]:
    """Which of these were erased."""
    by_digest = {hasher(identity): identity for identity in set(identities)}
    found: set[Identity] = set()
    digests = sorted(by_digest)
    for start in range(0, len(digests), CHUNK):
        rows = await connection.execute(
            select(erased_identities.c.digest).where(
                erased_identities.c.website_id == hasher.website_id,
                erased_identities.c.digest.in_(digests[start : start + CHUNK]),
            )
        )
        found.update(by_digest[row.digest] for row in rows)
    return found


async def find_erased(
    connection: AsyncConnection, website_id: str, addresses: Iterable[str]
) -> set[str]:
    """Which of these addresses, in normal form, are of erased people."""
    hasher = await find_hasher(connection, website_id)
    if hasher is None:
        return set()
    found = await erased_of(connection, hasher, (("address", address) for address in addresses))
    return {address for _, address in found}


async def list_erased(
    connection: AsyncConnection, hasher: Hasher, identities: Iterable[Identity]
) -> None:
    """Put them on the list. What raw hooks say of them is still to be swept."""
    moment = clock.now()
    rows = [
        {
            "website_id": hasher.website_id,
            "digest": digest,
            "erased_at": moment,
            "swept_at": None,
            "request_id": current_request_id(),
        }
        for digest in sorted({hasher(identity) for identity in identities})
    ]
    key = ("website_id", "digest")
    await upsert(connection, erased_identities, rows, key=key, update=("swept_at", "request_id"))


def identities_in(value: Any, depth: int = 0) -> Iterator[Identity]:
    """What may name a person in JSON, whatever stands where: whole texts that are ids or addresses."""
    if isinstance(value, str):
        yield from identities_of_text(value)
    elif depth < MOST_DEPTH and isinstance(value, Mapping):
        for name, inner in value.items():
            yield from identities_of_text(str(name))
            yield from identities_in(inner, depth + 1)
    elif depth < MOST_DEPTH and isinstance(value, list | tuple):
        for inner in value:
            yield from identities_in(inner, depth + 1)


_LONGEST_ID = 200


def identities_of_text(text: str) -> Iterator[Identity]:
    if "@" in text:
        address = normal_address(text)
        if address is not None:
            yield ("address", address)
    elif 0 < len(text) <= _LONGEST_ID and " " not in text:
        yield ("session", text)
        yield ("person", text)


def without(value: Any, erased: set[Identity], depth: int = 0) -> Any:
    """The same JSON; texts that name an erased person are None, and names that do are gone."""
    if isinstance(value, str):
        return None if any(one in erased for one in identities_of_text(value)) else value
    if depth >= MOST_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {
            name: without(inner, erased, depth + 1)
            for name, inner in value.items()
            if without(str(name), erased) is not None
        }
    if isinstance(value, list | tuple):
        return [without(inner, erased, depth + 1) for inner in value]
    return value
