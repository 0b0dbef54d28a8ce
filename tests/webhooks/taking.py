"""Sending signed hooks to the whole app and looking into its inbox."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select

from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from app.webhooks.receive import PATH
from app.webhooks.tables import hook_refusals, inbox_events

SECRET = "0123456789abcdef0123456789abcdef"
WEBSITE = "42286ab3-b29a-4fde-8538-da0ae501d825"
TIMESTAMP = "1506985696700"
MEGABYTE = 1024 * 1024
# Where Crisp reaches us is no loopback name.
PUBLIC = "https://crispsync.example.com"


def sign(body: bytes, timestamp: str = TIMESTAMP, secret: str = SECRET) -> str:
    """As crisp/REFERENCE.md 7.3 has it, written apart from the code under test."""
    mac = hmac.new(secret.encode(), b"[" + timestamp.encode() + b";" + body + b"]", hashlib.sha256)
    return mac.hexdigest()


def headers_for(body: bytes, timestamp: str = TIMESTAMP, secret: str = SECRET) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-Crisp-Hook-Origin": "plugin/rtm 38b411d9377a6a00 production",
        "X-Crisp-Request-Timestamp": timestamp,
        "X-Crisp-Signature": sign(body, timestamp, secret),
        "X-Delivery-Attempt-Limit": "3",
        "X-Delivery-Attempt-Count": "1",
    }


def hook_body(number: int = 1, event: str = "message:send", **more: Any) -> bytes:
    hook = {
        "website_id": WEBSITE,
        "event": event,
        "data": {"website_id": WEBSITE, "fingerprint": number},
        "timestamp": 1506985696616,
    }
    return json.dumps(hook | more).encode()


@dataclass(frozen=True, slots=True)
class Taking:
    app: FastAPI
    web: httpx.AsyncClient

    @property
    def db(self) -> Database:
        db: Database = self.app.state.db
        return db

    async def send(
        self, body: bytes, headers: Mapping[str, str | bytes] | None = None, **changed: str | bytes
    ) -> httpx.Response:
        """Signed as Crisp does, unless `headers` says otherwise; `changed` as X_Crisp_Signature=…"""
        sent: dict[str, str | bytes] = dict(headers_for(body) if headers is None else headers)
        sent |= {name.replace("_", "-"): value for name, value in changed.items()}
        pairs = [(k.encode(), v if isinstance(v, bytes) else v.encode()) for k, v in sent.items()]
        return await self.web.post(PATH, content=body, headers=pairs)

    async def rows(self) -> list[Any]:
        async with self.db.read() as connection:
            query = select(inbox_events).order_by(inbox_events.c.id)
            return list((await connection.execute(query)).all())

    async def row(self) -> Any:
        rows = await self.rows()
        assert len(rows) == 1
        return rows[0]

    async def refusals(self) -> dict[str, int]:
        await self.app.state.hook_receiver._refusals.flush()
        async with self.db.read() as connection:
            rows = await connection.execute(select(hook_refusals))
            return {row.cause: row.refused for row in rows}


@asynccontextmanager
async def taking_hooks(url: str, secret: str | None = SECRET) -> AsyncIterator[Taking]:
    settings = Settings(
        database_url=url, crisp_signing_secret=SecretStr(secret) if secret else None
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=PUBLIC) as web,
    ):
        yield Taking(app, web)


def pour(address: str, announced: bool) -> int:
    """Send 50 MB whatever is answered meanwhile; the status that came, 0 for none."""
    url = httpx.URL(address)
    size = 50 * MEGABYTE
    kind = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    head = f"POST {PATH} HTTP/1.1\r\nHost: crispsync\r\n{kind}\r\n\r\n".encode()
    block = b"x" * 65_536
    part = block if announced else b"10000\r\n" + block + b"\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=60) as caller:
        with suppress(OSError):  # it hangs up once it has answered
            caller.sendall(head)
            for _ in range(size // len(block)):
                caller.sendall(part)
        with suppress(OSError):
            return int(caller.recv(65_536).split(b" ", 2)[1])
    return 0
