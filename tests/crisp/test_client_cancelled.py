"""A request that is cancelled, wherever it stands, costs no connection."""

import asyncio
import contextlib

from tests.pulling import sandbox_and_crispsync


async def test_case_078_a_cancelled_request_leaves_its_connection_usable(sqlite_url: str) -> None:
    """There is one connection; each request is cancelled a moment later than the one before."""
    async with sandbox_and_crispsync(
        sqlite_url, people=60, conversations=0, concurrency=1
    ) as crisp:
        path = f"website/{crisp.website_id}/people/profiles/1"
        completed = 0
        for turns in range(120):
            request = asyncio.create_task(crisp.client.get(path))
            for _ in range(turns % 60):
                await asyncio.sleep(0)
            request.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await request
                completed += 1
            async with asyncio.timeout(60):
                assert len((await crisp.client.get(path)).data) == 20
        assert completed < 120, "some were cut off on their way"
