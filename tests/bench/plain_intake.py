"""A yardstick: the hook route as one would write it in FastAPI, with a commit for each hook.

    uvicorn tests.bench.plain_intake:app      with DATABASE_URL and CRISP_SIGNING_SECRET

It checks the signature, reads the JSON, inserts one row into the same table, commits and answers.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.session import normal_url
from app.webhooks.tables import inbox_events

URL = normal_url(os.environ["DATABASE_URL"])
SECRET = os.environ["CRISP_SIGNING_SECRET"].encode()
IS_SQLITE = URL.get_backend_name() == "sqlite"

app = FastAPI()
engine = create_async_engine(
    URL, pool_size=10, max_overflow=10, connect_args={"timeout": 30} if IS_SQLITE else {}
)
insert: Any = sqlite.insert if IS_SQLITE else postgresql.insert


@event.listens_for(engine.sync_engine, "connect")
def _prepare(connection: Any, _record: object) -> None:
    if IS_SQLITE:
        connection.execute("PRAGMA journal_mode=WAL")


@app.post("/webhooks/crisp")
async def take(request: Request) -> dict[str, str]:
    body = await request.body()
    timestamp = request.headers["x-crisp-request-timestamp"]
    right = hmac.new(SECRET, b"[" + timestamp.encode() + b";" + body + b"]", hashlib.sha256)
    if not hmac.compare_digest(right.hexdigest(), request.headers["x-crisp-signature"]):
        raise HTTPException(403)
    hook = json.loads(body)
    statement = insert(inbox_events).values(
        id=hashlib.sha256(body).hexdigest(),
        website_id=hook["website_id"],
        event=hook["event"],
        state="new",
        attempts=0,
        deliveries=1,
        received_at=datetime.now(UTC),
        body=body,
        emitted_ms=hook["timestamp"],
        first_attempt=int(request.headers["x-delivery-attempt-count"]),
    )
    async with engine.begin() as connection:
        await connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))
    return {"status": "stored"}
