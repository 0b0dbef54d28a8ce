"""Looking again and again whether there is something to do, in every process that works."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from app.errors import CrispsyncError

log = structlog.get_logger(__name__)


async def look_again(
    look: Callable[[], Awaitable[object]], name: str, every: float, stopping: asyncio.Event
) -> None:
    """`look`, then wait `every` seconds, until `stopping` is set; it outlives whatever one look brings.

    What hinders it is logged as `name`.waits, what nobody expected as `name`.stumbled.
    """
    waits, stumbled = f"{name}.waits", f"{name}.stumbled"
    while not stopping.is_set():
        try:
            await look()
        except CrispsyncError as error:
            log.warning(waits, error=type(error).__name__)
        except Exception:
            log.exception(stumbled)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every):
                await stopping.wait()
