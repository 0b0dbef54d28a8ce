"""Making and changing a contact by hand (SPEC M8, D7); what its fields are is in contact_form.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.db.base import new_id
from app.edits.companies import require_live
from app.edits.contact_form import ATTRIBUTE, label_of, texts_of
from app.edits.contact_rows import follows, load_subject, nobody, ways_of
from app.edits.contact_words import Told, edit_of
from app.edits.memberships import Joining
from app.edits.three_way import Change, Invalid, decide, tidy
from app.ingest import ingest_edits
from app.websites.rules import lock_website

AS_IN_CRISP = "as in Crisp"


async def make_contact(
    connection: AsyncConnection,
    website_id: str,
    texts: Mapping[str, str],
    actor: Actor,
    joins: Sequence[Joining] = (),
) -> str:
    """Its id. Conversations that wait for one of its addresses are its own at once (SPEC M5).

    Raises Invalid, Taken, Refused for the address of somebody who was erased; then nothing is written.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    subject = nobody(new_id())
    ways = await ways_of(connection, website_id)
    filled = {field: text for field, raw in texts.items() if (text := tidy(raw))}
    written = _of_the_form(filled, texts_of(subject, ways))
    if not {"name", "emails", "phone"} & set(written):
        raise Invalid({"name": "A contact needs a name, an e-mail address or a phone number."})
    told = Told(written, joins)
    edit = await edit_of(connection, website_id, subject, told, ways, actor)
    await ingest_edits(connection, website_id, [edit])
    await audit(
        connection, actor, "contact.created", website_id=website_id,
        subject=("contact", edit.contact_id), after={**written, **_joined(joins)},
    )  # fmt: skip
    return edit.contact_id


async def edit_contact(
    connection: AsyncConnection,
    website_id: str,
    contact_id: str,
    told: Mapping[str, Change],
    actor: Actor,
    joins: Sequence[Joining] = (),
    follow: Collection[str] = (),
) -> list[str]:
    """The fields that changed. `follow`: those that take Crisp's word again.

    Raises NotFound, Clashing, and what `make_contact` does; then nothing is written.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    subject = await load_subject(connection, website_id, contact_id)
    require_live(subject.row, "contact")
    ways = await ways_of(connection, website_id)
    now = texts_of(subject, ways)
    crisp = {field: value for field, value in follows(subject).items() if field in follow}
    back = {f: Change(AS_IN_CRISP, told[f].was if f in told else None) for f in crisp}
    wanted = {**told, **back}
    changed = decide(now, wanted, {field: label_of(field) for field in wanted})
    written = _of_the_form(changed, now)
    if not written and not joins:
        return []
    new = Told({f: text for f, text in written.items() if f not in crisp}, joins, crisp)
    edit = await edit_of(connection, website_id, subject, new, ways, actor)
    await ingest_edits(connection, website_id, [edit])
    await audit(
        connection, actor, "contact.edited", website_id=website_id,
        subject=("contact", contact_id),
        before={field: now.get(field, "") for field in written},
        after={**written, **_joined(joins)},
    )  # fmt: skip
    return [*sorted(written), *(["companies"] if joins else [])]


def _of_the_form(texts: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Without what no contact has, and what went meanwhile, as a membership that somebody took away."""
    return {f: text for f, text in texts.items() if f in now or f.startswith(ATTRIBUTE)}


def _joined(joins: Sequence[Joining]) -> dict[str, Any]:
    return {"joined": [join.named for join in joins]} if joins else {}
