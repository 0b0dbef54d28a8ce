"""`crispsync erase` and `crispsync person`."""

from __future__ import annotations

from pathlib import Path

from app.accounts.actors import COMMAND
from app.commands.database import with_database
from app.db.session import Database
from app.errors import Refused
from app.privacy.erase import Erasure, erase_address, erase_contact
from app.privacy.hand_out import as_json, hand_out
from app.privacy.sweep import sweep
from app.settings import Settings


def erase(contact_id: str | None, email: str | None) -> str:
    if (contact_id is None) == (email is None):
        raise Refused("Say whom: crispsync erase CONTACT_ID, or crispsync erase --email ADDRESS.")

    async def work(db: Database, settings: Settings) -> list[Erasure]:
        if contact_id is not None:
            done = [await erase_contact(db, COMMAND, contact_id)]
        else:
            done = await erase_address(db, COMMAND, email or "")
        await sweep(db, settings.uploads_folder)
        return done

    return "\n".join(_in_words(erasure) for erasure in with_database(work))


def hand_out_person(contact_id: str, out: str | None) -> str:
    """The document, or nothing when it went into the file. Raises Refused when it cannot be written."""

    async def work(db: Database, _settings: Settings) -> bytes:
        return as_json(await hand_out(db, COMMAND, contact_id))

    told = with_database(work)
    if out is None:
        return told.decode() + "\n"
    try:
        Path(out).write_bytes(told + b"\n")
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}.") from None
    return ""


def _in_words(done: Erasure) -> str:
    told = (
        f"Erased in {done.website_id}: {_count(done.contacts, 'contact')}, "
        f"{_count(done.conversations, 'conversation')}, {_count(done.messages, 'message')}."
    )
    if done.shared_addresses:
        told += (
            f" {_count(done.shared_addresses, 'address', 'addresses')} stay: "
            "other contacts have them too."
        )
    return told


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
