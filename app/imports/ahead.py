"""Making the next chunk while the database writes the one before: each waits for the other otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def one_ahead(items: AsyncGenerator[T, None]) -> AsyncIterator[AsyncIterator[T]]:
    """The same items; each is begun when the one before it is handed out, none is None."""

    async def following() -> T | None:
        return await anext(items, None)

    making = asyncio.create_task(following())

    async def each() -> AsyncIterator[T]:
        nonlocal making
        while (item := await making) is not None:
            making = asyncio.create_task(following())
            yield item

    try:
        yield each()
    finally:
        # A thread cannot be called back: whoever reads the file is done with it before it is forgotten.
        await asyncio.wait({making})
        if not making.cancelled():
            making.exception()  # looked at: whatever ended the work above is told instead
        await items.aclose()
