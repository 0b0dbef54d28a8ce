"""Walking the sandbox's lists the way a careful client does."""

import json
from typing import Any

import httpx

Json = dict[str, Any]


def rows_of(answer: httpx.Response) -> list[Any]:
    """The rows of a list answer; json and not orjson because of lone surrogates."""
    assert answer.status_code in (200, 206), answer.text
    body = json.loads(answer.content)
    assert body["error"] is False
    assert body["reason"] == "listed"
    rows: list[Any] = body["data"]
    return rows


async def pages(crisp: httpx.AsyncClient, path: str, **params: Any) -> list[Any]:
    """All rows of a numbered list; checks that 206 means more and 200 the end."""
    rows: list[Any] = []
    page = 1
    while True:
        answer = await crisp.get(f"{path}/{page}", params={"per_page": 50, **params})
        rows += rows_of(answer)
        if answer.status_code == 200:
            return rows
        page += 1


async def walk_back(crisp: httpx.AsyncClient, path: str) -> list[Json]:
    """All messages from the latest batch back; min + 1, so that equal times are not lost."""
    found: dict[int, Json] = {}
    params: dict[str, int] = {}
    while True:
        answer = await crisp.get(path, params=params)
        batch = rows_of(answer)
        assert len(batch) <= 40
        found.update({m["fingerprint"]: m for m in batch})
        if answer.status_code == 200:
            return sorted(found.values(), key=lambda m: m["timestamp"])
        params = {"timestamp_before": min(m["timestamp"] for m in batch) + 1}


async def walk_forward(crisp: httpx.AsyncClient, path: str) -> list[Json]:
    found: dict[int, Json] = {}
    after = 0
    while True:
        answer = await crisp.get(path, params={"timestamp_after": after})
        batch = rows_of(answer)
        found.update({m["fingerprint"]: m for m in batch})
        if answer.status_code == 200:
            return sorted(found.values(), key=lambda m: m["timestamp"])
        after = max(m["timestamp"] for m in batch) - 1
