"""Yardstick: the import as a plain script. Asks for everything, eight at once, and writes each answer.

    python plain_script.py               the environment variables are crispsync's, and WEBSITE_ID

People, conversations and messages become rows of three tables with the fields one wants and the raw
JSON; each answer is upserted and committed as it comes. No matching, no companies, no resuming, no
budget, nothing about what changes while it reads.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import JSON, BigInteger, Column, DateTime, MetaData, Table, Text, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

AT_ONCE = 8
WEBSITE = f"website/{os.environ.get('WEBSITE_ID')}"
Row = dict[str, Any]

metadata = MetaData()
contacts = Table(
    "contacts",
    metadata,
    Column("people_id", Text, primary_key=True),
    Column("email", Text, index=True),
    Column("name", Text),
    Column("phone", Text),
    Column("company", Text),
    Column("updated_at", DateTime(timezone=True)),
    Column("raw", JSON, nullable=False),
)
conversations = Table(
    "conversations",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("people_id", Text, index=True),
    Column("email", Text, index=True),
    Column("state", Text),
    Column("subject", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True), index=True),
    Column("raw", JSON, nullable=False),
)
messages = Table(
    "messages",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("fingerprint", BigInteger, primary_key=True),
    Column("sender", Text),
    Column("type", Text),
    Column("body", Text),
    Column("sent_at", DateTime(timezone=True)),
    Column("raw", JSON, nullable=False),
)


class Import:
    def __init__(self, client: httpx.AsyncClient, engine: AsyncEngine) -> None:
        self.client = client
        self.engine = engine
        self.slots = asyncio.Semaphore(AT_ONCE)
        # SQLite has one writer; PostgreSQL takes them all at once.
        self.writers = asyncio.Semaphore(1 if engine.dialect.name == "sqlite" else AT_ONCE)
        self.kept = 0

    async def get(self, path: str, **params: Any) -> tuple[list[Row], bool]:
        async with self.slots:
            answer = await self.client.get(f"{WEBSITE}/{path}", params=params)
        answer.raise_for_status()
        return answer.json()["data"], answer.status_code == 206

    async def pages(self, path: str, **params: Any) -> AsyncIterator[list[Row]]:
        number, more = 1, True
        while more:
            rows, more = await self.get(f"{path}/{number}", per_page=50, **params)
            yield rows
            number += 1

    async def save(self, table: Table, rows: list[Row]) -> None:
        if not rows:
            return
        dialect = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(table)
        keys = list(table.primary_key.columns)
        upsert = insert.on_conflict_do_update(
            index_elements=keys,
            set_={column.name: insert.excluded[column.name] for column in table.columns},
        )
        async with self.writers, self.engine.begin() as connection:
            await connection.execute(upsert, rows)
        self.kept += len(rows)

    async def people(self) -> None:
        async for page in self.pages("people/profiles"):
            await self.save(contacts, [contact_row(profile) for profile in page])

    async def conversations(self) -> None:
        async with asyncio.TaskGroup() as threads:
            async for page in self.pages("conversations", include_empty=1, order_date_updated=1):
                await self.save(conversations, [conversation_row(item) for item in page])
                for item in page:
                    threads.create_task(self.thread(item["session_id"]))

    async def thread(self, session_id: str) -> None:
        params: dict[str, int] = {}
        more = True
        while more:
            rows, more = await self.get(f"conversation/{session_id}/messages", **params)
            await self.save(messages, [message_row(session_id, item) for item in rows])
            if rows:
                params = {"timestamp_before": min(item["timestamp"] for item in rows)}


def contact_row(profile: Row) -> Row:
    person, company = profile.get("person") or {}, profile.get("company") or {}
    return {
        "people_id": profile["people_id"],
        "email": text(profile.get("email")),
        "name": text(person.get("nickname")),
        "phone": text(person.get("phone")),
        "company": text(company.get("name")),
        "updated_at": moment(profile.get("updated_at")),
        "raw": profile,
    }


def conversation_row(item: Row) -> Row:
    meta = item.get("meta") or {}
    return {
        "session_id": item["session_id"],
        "people_id": text(item.get("people_id")),
        "email": text(meta.get("email")),
        "state": text(item.get("state")),
        "subject": text(meta.get("subject")),
        "created_at": moment(item.get("created_at")),
        "updated_at": moment(item.get("updated_at")),
        "raw": item,
    }


def message_row(session_id: str, item: Row) -> Row:
    content = item.get("content")
    return {
        "session_id": session_id,
        "fingerprint": item["fingerprint"],
        "sender": text(item.get("from")),
        "type": text(item.get("type")),
        "body": text(content if isinstance(content, str) else None),
        "sent_at": moment(item.get("timestamp")),
        "raw": item,
    }


def text(value: Any) -> str | None:
    """Neither database keeps half a surrogate pair, PostgreSQL no NUL either."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def moment(ms: Any) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if isinstance(ms, int) else None


def open_engine() -> AsyncEngine:
    url = make_url(os.environ["DATABASE_URL"])
    if not url.drivername.startswith("sqlite"):
        return create_async_engine(url.set(drivername="postgresql+psycopg"), pool_size=AT_ONCE)
    engine = create_async_engine(url)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


async def main() -> None:
    engine = open_engine()
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    async with httpx.AsyncClient(
        base_url=os.environ["CRISP_API_URL"],
        auth=(os.environ["CRISP_IDENTIFIER"], os.environ["CRISP_KEY"]),
        headers={"X-Crisp-Tier": "plugin"},
        timeout=30,
    ) as client:
        work = Import(client, engine)
        await asyncio.gather(work.people(), work.conversations())
    await engine.dispose()
    sys.stdout.write(f"{work.kept} rows\n")


if __name__ == "__main__":
    asyncio.run(main())
