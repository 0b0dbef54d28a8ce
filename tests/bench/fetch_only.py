"""Yardstick: asks for a list of answers, eight at once on one httpx client, and parses each.

    python fetch_only.py REQUESTS        one path a line, behind CRISP_API_URL

Nothing is kept and nothing is written: what a pull costs beyond this is the pull's own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

AT_ONCE = 8


async def fetch(client: httpx.AsyncClient, paths: Iterator[str]) -> int:
    """What the others have not taken yet, in order; how many rows came."""
    rows = 0
    for path in paths:
        answer = await client.get(path)
        answer.raise_for_status()
        data = answer.json()["data"]
        rows += len(data) if isinstance(data, list) else 1
    return rows


async def main(paths: list[str]) -> None:
    async with httpx.AsyncClient(
        base_url=os.environ["CRISP_API_URL"],
        auth=(os.environ["CRISP_IDENTIFIER"], os.environ["CRISP_KEY"]),
        headers={"X-Crisp-Tier": "plugin"},
        timeout=30,
    ) as client:
        queue = iter(paths)
        rows = await asyncio.gather(*(fetch(client, queue) for _ in range(AT_ONCE)))
    sys.stdout.write(f"{len(paths)} requests, {sum(rows)} rows\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text().splitlines()))
