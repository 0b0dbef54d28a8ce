"""One chunk is made while the one before is used, and nothing of it is left over when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from app.imports.ahead import one_ahead


async def numbers(made: list[int], fails_at: int = 100) -> AsyncGenerator[int, None]:
    for number in range(5):
        if number == fails_at:
            raise OSError("the file is gone")
        made.append(number)
        yield number


async def test_the_next_is_made_meanwhile() -> None:
    made: list[int] = []
    used = []
    async with one_ahead(numbers(made)) as items:
        async for item in items:
            used.append(item)
            while item < 4 and item + 1 not in made:
                await asyncio.sleep(0)
            assert made[-1] <= item + 1, "never more than one"
    assert used == made == [0, 1, 2, 3, 4]


async def use(items: AsyncGenerator[int, None], fails: str = "") -> list[int]:
    used: list[int] = []
    async with one_ahead(items) as each:
        async for item in each:
            used.append(item)
            await asyncio.sleep(0)
            if fails:
                raise ValueError(fails)
    return used


async def test_what_fails_ahead_is_told_after_what_was_made_before_it() -> None:
    made: list[int] = []
    with pytest.raises(OSError, match="the file is gone"):
        await use(numbers(made, fails_at=2))
    assert made == [0, 1]


async def test_who_uses_them_fails_and_what_is_made_ahead_is_done_with() -> None:
    ended = []

    async def slow() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(0)
            yield 2
        finally:
            ended.append(True)

    with pytest.raises(ValueError, match="no more"):
        await use(slow(), "no more")
    assert ended == [True]


async def test_both_fail_and_the_first_counts() -> None:
    with pytest.raises(ValueError, match="refused"):
        await use(numbers([], fails_at=1), "refused")
