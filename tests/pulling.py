"""For tests that pull: a sandbox in this process, crispsync on a database, and the truth to compare with.

async with sandbox_and_crispsync(database_url, people=60, conversations=120) as crisp:
    assert await crisp.run("full") == "done"
    await crisp.assert_equals_truth()
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations, messages
from app.crisp.budget import Budget
from app.crisp.client import Credential, CrispClient
from app.crisp.payloads import clean
from app.crisp.skew import CrispClock
from app.db.session import Database, open_database
from app.sandbox import truth
from app.sandbox.serve import serve
from app.sandbox.world import World
from app.sync.execute import execute
from app.sync.leases import Claim, claim
from app.sync.runs import request_run
from app.sync.tables import sync_failures, sync_runs
from app.websites.connect import save_connected, verify

Row = dict[str, Any]


@dataclass(slots=True)
class Crispsync:
    """One world, one database, one client; `run` does what a worker does."""

    world: World
    db: Database
    client: CrispClient
    url: str
    website_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.website_id = self.world.website_id

    async def connect(self, website_id: str | None = None) -> None:
        chosen = website_id or self.website_id
        await save_connected(self.db, await verify(self.client, chosen, self.world.plugin_id))

    async def claim(self, kind: Any, **asked: Any) -> Claim:
        run_id = await request_run(self.db, self.website_id, kind, started_by="test", **asked)
        held = await claim(self.db, "test", 10, run_id)
        assert held is not None, "the run is somebody else's"
        return held

    async def run(self, kind: Any, **asked: Any) -> str:
        state = await execute(self.db, self.client, await self.claim(kind, **asked))
        if state == "partial":  # pytest shows it when the test fails
            print((await self.last_run()).error, await self.rows(select(sync_failures)))  # noqa: T201
        return state

    async def last_run(self) -> Any:
        async with self.db.read() as connection:
            rows = await connection.execute(
                select(sync_runs)
                .where(sync_runs.c.website_id == self.website_id)
                .order_by(sync_runs.c.created_at.desc())
                .limit(1)
            )
            return rows.one()

    async def rows(self, query: Any) -> list[Any]:
        async with self.db.read() as connection:
            return list((await connection.execute(query)).all())

    async def assert_equals_truth(self, *, companies_too: bool = True) -> None:
        """Every person, conversation and message, row by row; nothing sampled."""
        assert_same("people", await self._stored_people(), self._true_people())
        assert_same(
            "conversations",
            await self._stored_conversations(companies_too),
            self._true_conversations(companies_too),
        )
        assert_same("messages", await self._stored_messages(), self._true_messages())

    def _true_people(self) -> dict[Any, Row]:
        return {
            row["people_id"]: {
                "email": _shown(row["email"]),
                "name": _shown(row["name"]),
                "company": row["company_key"],
            }
            for row in truth.people(self.world, self.world.sites[self.website_id], removed=False)
        }

    async def _stored_people(self) -> dict[Any, Row]:
        keys = await self._company_keys()
        links = await self.rows(
            select(contact_companies.c.contact_id, contact_companies.c.company_id).where(
                contact_companies.c.website_id == self.website_id,
                contact_companies.c.until.is_(None),
            )
        )
        company_of = {link.contact_id: keys[link.company_id] for link in links}
        stored = await self.rows(
            select(contacts).where(
                contacts.c.website_id == self.website_id, contacts.c.deleted_at.is_(None)
            )
        )
        return {
            row.crisp_people_id: {
                "email": row.email,
                "name": row.name,
                "company": company_of.get(row.id),
            }
            for row in stored
        }

    async def _company_keys(self) -> dict[str, str]:
        """Our company id to the key by which the truth names it."""
        rows = await self.rows(
            select(company_aliases).where(company_aliases.c.website_id == self.website_id)
        )
        found = await self.rows(select(companies).where(companies.c.website_id == self.website_id))
        names = {row.company_id: f"name:{row.value}" for row in rows if row.kind == "name"}
        domains = {row.company_id: f"domain:{row.value}" for row in rows if row.kind == "domain"}
        return {row.id: (names | domains)[row.id] for row in found}

    def _true_conversations(self, companies_too: bool) -> dict[Any, Row]:
        return {
            row["session_id"]: {
                "status": row["state"],
                "subject": _shown(row["subject"]),
                "assigned_to": row["assigned_name"],
                "updated_ms": row["updated_at"],
                "owner": row["owner"],
                "rule": row["rule"],
                "reason": {row["reason"], row["reason_unseen"]},
                "verified": bool(row["match_verified"]),
                "message_count": row["messages"],
                "companies": sorted(row["company_keys"]) if companies_too else None,
            }
            for row in truth.conversations(
                self.world, self.world.sites[self.website_id], removed=False
            )
        }

    async def _stored_conversations(self, companies_too: bool) -> dict[Any, Row]:
        keys = await self._company_keys()
        of: dict[str, list[str]] = {}
        for link in await self.rows(
            select(conversation_companies).where(
                conversation_companies.c.website_id == self.website_id
            )
        ):
            of.setdefault(link.conversation_id, []).append(keys[link.company_id])
        owners = {
            row.id: row.crisp_people_id
            for row in await self.rows(
                select(contacts.c.id, contacts.c.crisp_people_id).where(
                    contacts.c.website_id == self.website_id
                )
            )
        }
        stored = await self.rows(
            select(conversations).where(
                conversations.c.website_id == self.website_id, conversations.c.deleted_at.is_(None)
            )
        )
        return {
            row.session_id: {
                "status": row.status,
                "subject": row.subject,
                "assigned_to": row.assigned_to,
                "updated_ms": row.version_ms,
                "owner": owners[row.contact_id] if row.contact_id else None,
                "rule": row.match_rule,
                "reason": row.unmatched_reason,
                "verified": row.match_verified,
                "message_count": row.message_count,
                "companies": sorted(of.get(row.id, [])) if companies_too else None,
            }
            for row in stored
        }

    def _true_messages(self) -> dict[Any, Row]:
        return {
            (row["session_id"], row["fingerprint"]): {
                "direction": row["direction"],
                "type": row["type"],
                "content": "" if row["content"] is None else clean(row["content"]),
                "sent_ms": row["timestamp"],
                "edited": row["edited"],
                "automated": row["automated"],
            }
            for row in truth.messages(self.world, self.world.sites[self.website_id], removed=False)
        }

    async def _stored_messages(self) -> dict[Any, Row]:
        stored = await self.rows(
            select(messages, conversations.c.session_id)
            .join_from(
                messages,
                conversations,
                (conversations.c.website_id == messages.c.website_id)
                & (conversations.c.id == messages.c.conversation_id),
            )
            .where(
                messages.c.website_id == self.website_id,
                messages.c.deleted_at.is_(None),
                conversations.c.deleted_at.is_(None),
            )
        )
        return {
            (row.session_id, row.fingerprint): {
                "direction": row.direction,
                "type": row.type,
                "content": row.body if row.content is None else row.content,
                "sent_ms": round(row.sent_at.timestamp() * 1000) if row.sent_at else None,
                "edited": row.edited_at is not None,
                "automated": row.automated,
            }
            for row in stored
        }


def _shown(text: Any) -> Any:
    """As stored: outer space off, nothing instead of an empty text, what no database keeps replaced."""
    return (clean(text).strip()[:500] or None) if isinstance(text, str) else None


def assert_same(what: str, stored: dict[Any, Row], true: dict[Any, Row]) -> None:
    """Fails with the first differences, field by field."""
    problems = [f"{key} is missing" for key in true.keys() - stored.keys()]
    problems += [f"{key} is too many" for key in stored.keys() - true.keys()]
    for key in true.keys() & stored.keys():
        for name, wanted in true[key].items():
            found = stored[key][name]
            if found != wanted and not (isinstance(wanted, set) and found in wanted):
                problems.append(f"{key} {name}: stored {found!r:.300}, true {wanted!r:.300}")
    assert not problems, f"{len(problems)} differences in {what}:\n" + "\n".join(
        sorted(map(str, problems))[:12]
    )


@asynccontextmanager
async def sandbox_and_crispsync(
    database_url: str,
    *,
    people: int = 60,
    conversations: int = 120,
    seed: int = 1,
    daily_quota: int = 1_000_000,
    concurrency: int = 8,
    connect: bool = True,
    **options: Any,
) -> AsyncIterator[Crispsync]:
    """A website of the sandbox, connected; `options` are World's."""
    world = World(seed, people, conversations, **options)
    async with (
        serve(world) as url,
        opened(world, url, database_url, daily_quota, concurrency) as crisp,
    ):
        if connect:
            await crisp.connect()
        yield crisp


class _StandingClock(CrispClock):
    """Of a world that stands still: a slow machine's own time would tell that minutes have passed."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def at(self, machine_ms: int) -> int:
        return self._world.clock.now()


@asynccontextmanager
async def opened(
    world: World, url: str, database_url: str, daily_quota: int = 1_000_000, concurrency: int = 8
) -> AsyncIterator[Crispsync]:
    """One more crispsync process, as it were, on the same sandbox and database."""
    db = open_database(database_url)
    budget = Budget(db, world.identifier, daily_quota)
    client = CrispClient(url, Credential(world.identifier, world.key), budget, concurrency)
    if world.clock.frozen:
        client.clock = _StandingClock(world)
    try:
        yield Crispsync(world, db, client, url)
    finally:
        await client.close()
        await db.close()
