"""Merging two contacts or two companies field by field, and taking it back (SPEC D6, M4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.companies.tables import companies
from app.contacts.addresses import mark_primary
from app.contacts.tables import contacts
from app.db.base import StoredRow
from app.db.upsert import Row, update_rows
from app.edits import journal
from app.edits.chosen import differing, give_back, take, value_of, written
from app.edits.journal import Kind
from app.edits.regroup import regroup
from app.edits.shared_segments import share_segments, unshare_segments
from app.errors import NotFound, Refused
from app.normal import fold_for_search
from app.sources import source
from app.websites.rules import lock_website

COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    "contact": ("name", "email", "phone", "avatar"),
    "company": ("name", "domain"),
}
_TABLES: Mapping[Kind, Table] = {"contact": contacts, "company": companies}


@dataclass(frozen=True, slots=True)
class Unmerged:
    """`restored`: fields that the winner has again as before; `kept`: changed by others since, so they stay."""

    kind: Kind
    winner_id: str
    loser_id: str
    restored: list[str]
    kept: list[str]


async def merge_contacts(
    connection: AsyncConnection,
    website_id: str,
    loser_id: str,
    winner_id: str,
    chosen: Collection[str] | None,
    actor: Actor,
) -> str:
    """The winner answers to the people ids and addresses of both and has their companies and segments.

    `chosen`: the fields it takes from the loser (app/edits/chosen.py); None for those it lacks. What
    Crisp says of the loser later is written to the loser, hidden. The merge's id, for `unmerge`.
    """
    return await _merge(connection, website_id, "contact", (loser_id, winner_id), chosen, actor)


async def merge_companies(
    connection: AsyncConnection,
    website_id: str,
    loser_id: str,
    winner_id: str,
    chosen: Collection[str] | None,
    actor: Actor,
) -> str:
    """The winner has the members, names, domains and conversations of both; else as `merge_contacts`."""
    return await _merge(connection, website_id, "company", (loser_id, winner_id), chosen, actor)


async def _merge(
    connection: AsyncConnection,
    website_id: str,
    kind: Kind,
    pair: tuple[str, str],
    chosen: Collection[str] | None,
    actor: Actor,
) -> str:
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    loser, winner = [await require_row(connection, website_id, kind, one) for one in pair]
    check_pair(kind, loser, winner)
    taken = take(
        winner, loser, _chosen(kind, winner, loser, chosen), COLUMNS[kind], _sources(winner)
    )
    merge_id = await journal.write_merge(connection, website_id, kind, pair, taken, actor.name)
    family = journal.members_of(loser.id, await journal.open_merges(connection, website_id, kind))
    values = {name: entry["after"] for name, entry in taken.items()}
    by_person = dict.fromkeys(taken, source("manual", clock.now(), actor.name))
    await _write(connection, kind, winner, values, by_person)
    if kind == "contact":
        await share_segments(connection, winner, loser, merge_id)
    await regroup(connection, website_id, kind, family, counted=loser.id, counts=winner.id)
    if "email" in values:
        await mark_primary(connection, website_id, winner.id)
    await audit(
        connection,
        actor,
        f"{kind}.merged",
        website_id=website_id,
        subject=(kind, winner.id),
        before={name: entry["before"] for name, entry in taken.items()},
        after={**values, "merged": loser.id, "merge": merge_id},
    )
    return merge_id


async def unmerge(
    connection: AsyncConnection, website_id: str, merge_id: str, actor: Actor
) -> Unmerged:
    """Both are again what they were, each with what belongs to it by itself, also what came since.

    Merges may be taken back in any order. Raises NotFound.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    merge = await journal.require_merge(connection, website_id, merge_id)
    kind: Kind = merge.kind
    opened = await journal.open_merges(connection, website_id, kind)
    winner = await require_row(connection, website_id, kind, merge.winner_id)
    loser = await require_row(connection, website_id, kind, merge.loser_id)
    later = [
        (one.id, one.fields)
        for one in opened
        if one.winner_id == winner.id and one.number > merge.number
    ]
    back = give_back(winner, merge.fields, later)
    for key, fields in back.later.items():
        await journal.keep_fields(connection, website_id, key, fields)
    await journal.close_merge(connection, website_id, merge_id, actor.name)
    values = {name: entry["before"] for name, entry in back.restored.items()}
    sources = {name: entry["source"] for name, entry in back.restored.items()}
    await _write(connection, kind, winner, values, sources)
    if kind == "contact":
        await unshare_segments(connection, winner, merge_id)
    family = journal.members_of(loser.id, opened)
    counted: str = loser.merged_into or winner.id
    await regroup(connection, website_id, kind, family, counted=counted, counts=loser.id)
    if "email" in values:
        await mark_primary(connection, website_id, winner.id)
    undone = Unmerged(kind, winner.id, loser.id, sorted(values), back.kept)
    await audit(
        connection,
        actor,
        f"{kind}.unmerged",
        website_id=website_id,
        subject=(kind, winner.id),
        before={"merged": loser.id, "merge": merge_id},
        after={**values, "kept": back.kept},
    )
    return undone


async def require_row(
    connection: AsyncConnection, website_id: str, kind: Kind, row_id: str
) -> StoredRow:
    """Raises NotFound."""
    table = _TABLES[kind]
    row = (
        await connection.execute(
            select(table).where(table.c.website_id == website_id, table.c.id == row_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no such {kind} in this website.")
    return row


def check_pair(kind: Kind, loser: StoredRow, winner: StoredRow) -> None:
    """Raises Refused where the two cannot be merged."""
    if loser.id == winner.id:
        raise Refused(f"A {kind} cannot be merged with itself.")
    for row in (loser, winner):
        if row.merged_into is not None:
            raise Refused(f"This {kind} was merged into another one already; take that back first.")
    if winner.deleted_at is not None:
        raise Refused(f"The {kind} that stays is deleted; restore it first, or keep the other one.")
    if kind == "company" and loser.deleted_at is not None:
        raise Refused("This company is deleted; restore it first.")
    if kind == "contact" and loser.hidden_at is not None:
        raise Refused("This contact is deleted; restore it first.")


def lacking(kind: Kind, winner: StoredRow, loser: StoredRow) -> list[str]:
    """The fields that the winner does not have and the loser has."""
    return [n for n in differing(winner, loser, COLUMNS[kind]) if value_of(winner, n) is None]


def _chosen(
    kind: Kind, winner: StoredRow, loser: StoredRow, chosen: Collection[str] | None
) -> Collection[str]:
    return lacking(kind, winner, loser) if chosen is None else chosen


def _sources(row: StoredRow) -> dict[str, Any]:
    return getattr(row, "field_sources", {})


async def _write(
    connection: AsyncConnection,
    kind: Kind,
    row: StoredRow,
    values: Mapping[str, Any],
    sources: Mapping[str, Any],
) -> None:
    """`sources`: by field who wrote it now, None where nobody but Crisp did."""
    if not values:
        return
    columns: Row = {
        "website_id": row.website_id,
        "id": row.id,
        "updated_at": clock.now(),
        **written(row, values),
    }
    of = {name: columns.get(name, getattr(row, name)) for name in COLUMNS[kind]}
    if kind == "company":
        columns["search"] = fold_for_search(of["name"], of["domain"])
    else:
        company = columns["attributes"].get("company_name")
        columns["search"] = fold_for_search(of["name"], of["email"], of["phone"], company)
        told = {**row.field_sources, **sources}
        columns["field_sources"] = {name: entry for name, entry in told.items() if entry}
    await update_rows(connection, _TABLES[kind], [columns], key=("website_id", "id"))
