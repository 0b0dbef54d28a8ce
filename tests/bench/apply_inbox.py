"""Applies all that waits in the inbox of DATABASE_URL, as the loop in a worker does.

`plain` as argument: the yardstick instead, the same hooks as one would apply them first: one
transaction for each, with one INSERT … ON CONFLICT of its message. It matches, counts, folds and
marks nothing. Prints one JSON line: hooks, seconds, and this process's own seconds of processor time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from sqlalchemy import select

from app.clock import from_ms
from app.conversations.tables import messages
from app.db.base import StoredRow
from app.db.session import Database, open_database
from app.db.upsert import insert_for
from app.garbage import search_rarely
from app.records import conversation_id
from app.webhooks.apply import apply_waiting
from app.webhooks.tables import inbox_events

WANTED = ("body", "content", "version_ms", "observed_ms")


async def apply_plainly(db: Database) -> int:
    async with db.read() as connection:
        rows = (await connection.execute(select(inbox_events))).all()
    for row in rows:
        await _upsert(db, row)
    return len(rows)


async def _upsert(db: Database, row: StoredRow) -> None:
    data = json.loads(row.body)["data"]
    values = {
        "website_id": data["website_id"],
        "conversation_id": conversation_id(data["website_id"], data["session_id"]),
        "fingerprint": data["fingerprint"],
        "direction": "inbound" if data["from"] == "user" else "outbound",
        "type": data["type"],
        "body": data["content"],
        "content": None,
        "automated": False,
        "sender_id": data["user"]["user_id"],
        "sender_name": data["user"]["nickname"],
        "sent_at": from_ms(data["timestamp"]),
        "raw": data,
        "version_ms": data["timestamp"],
        "observed_ms": row.emitted_ms,
        "complete": True,
    }
    async with db.write() as connection:
        statement = insert_for(connection, messages).values(values)
        changed = {name: statement.excluded[name] for name in WANTED}
        key = ["website_id", "conversation_id", "fingerprint"]
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=key,
                set_=changed,
                where=statement.excluded.version_ms > messages.c.version_ms,
            )
        )


async def main() -> None:
    search_rarely()
    db = open_database(os.environ["DATABASE_URL"])
    async with db.read() as connection:  # connecting is no part of the work
        await connection.execute(select(1))
    work = apply_plainly if sys.argv[1:] == ["plain"] else apply_waiting
    began, used = time.perf_counter(), time.process_time()
    hooks = await work(db)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    await db.close()
    sys.stdout.write(json.dumps({"hooks": hooks, "seconds": seconds, "cpu": cpu}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
