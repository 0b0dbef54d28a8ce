"""Yardstick: incremental reading the usual way. Pages forward, and remembers the newest date it saw.

The list of conversations is asked newest first from the date remembered, page 1, 2, 3, … to its end;
each conversation that is new or newer than what is kept has its messages read again. Rows are kept in
memory: how they are stored has no part in what is missed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

Row = dict[str, Any]
AT_ONCE = 8


@dataclass(slots=True)
class ForwardCursor:
    """`conversations` and `messages` are what it has; the next `run` goes on from `newest_ms`."""

    client: httpx.AsyncClient
    website_id: str
    newest_ms: int = 0
    conversations: dict[str, Row] = field(default_factory=dict)
    messages: dict[tuple[str, int], Row] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self) -> None:
        since = self.newest_ms
        number, more = 1, True
        async with asyncio.TaskGroup() as threads:
            while more:
                rows, more = await self._get(f"conversations/{number}", **_list_since(since))
                for row in rows:
                    known = self.conversations.get(row["session_id"])
                    if known is None or row["updated_at"] > known["updated_at"]:
                        self.conversations[row["session_id"]] = row
                        threads.create_task(self._read_thread(row["session_id"]))
                    self.newest_ms = max(self.newest_ms, row["updated_at"])
                number += 1

    async def _read_thread(self, session_id: str) -> None:
        params: dict[str, int] = {}
        more = True
        while more:
            rows, more = await self._get(f"conversation/{session_id}/messages", **params)
            for row in rows:
                self.messages[session_id, row["fingerprint"]] = row
            if rows:
                params = {"timestamp_before": min(row["timestamp"] for row in rows)}

    async def _get(self, path: str, **params: Any) -> tuple[list[Row], bool]:
        async with self._slots:
            answer = await self.client.get(f"website/{self.website_id}/{path}", params=params)
        if answer.status_code == httpx.codes.NOT_FOUND:  # removed meanwhile
            return [], False
        answer.raise_for_status()
        rows: list[Row] = answer.json()["data"]
        return rows, answer.status_code == httpx.codes.PARTIAL_CONTENT


def _list_since(since_ms: int) -> Row:
    params: Row = {"per_page": 50, "include_empty": 1, "order_date_updated": 1}
    if since_ms:
        moment = datetime.fromtimestamp(since_ms / 1000, UTC)
        params["filter_date_start"] = moment.isoformat(timespec="milliseconds")
    return params
