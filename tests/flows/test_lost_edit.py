"""An edit whose hook was lost, of a message that a hook had edited a moment before.

A page counts as of MESSAGE_SETTLE_MS before it was asked for, so that a cached one does not undo a
hook (FAILURES case 49). One that was read within that time after the first edit loses against it
although it has the second; so the thread stays due, and the next run reads it again.
"""

from __future__ import annotations

from sqlalchemy import insert, update

from app import clock
from app.records import MESSAGE_SETTLE_MS
from app.sandbox.hook_collector import SignedHook, collected_hooks
from app.sandbox.message_changes import edit_message, send_message
from app.webhooks.apply import apply_waiting
from app.webhooks.hooks import read_hook
from app.webhooks.tables import inbox_events
from app.websites.tables import websites
from tests.pulling import Crispsync, sandbox_and_crispsync


async def apply(crisp: Crispsync, hook: SignedHook) -> None:
    stamp = hook.headers["X-Crisp-Request-Timestamp"].encode()
    found = read_hook(hook.body, stamp, b"1", clock.now())
    row = {
        "id": found.id, "website_id": found.website_id, "event": found.event, "state": "new",
        "attempts": 0, "deliveries": 1, "received_at": clock.now(), "body": found.body,
        "emitted_ms": found.emitted_ms, "first_attempt": 1,
    }  # fmt: skip
    async with crisp.db.write() as connection:
        await connection.execute(update(websites).values(activated_at=clock.now()))
        await connection.execute(insert(inbox_events).values(row))
    await apply_waiting(crisp.db)


async def lose_an_edit(database_url: str, *, read_after_ms: int) -> None:
    async with sandbox_and_crispsync(
        database_url, people=3, conversations=3, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        made = send_message(world, world.main, 0, "First")
        assert await crisp.run("full") == "done"
        with collected_hooks(world) as hooks:
            world.clock.advance(1_000)
            edit_message(world, world.main, 0, made.data["fingerprint"], "Second")
            (told,) = hooks.take()
            await apply(crisp, told)
            world.clock.advance(1_000)
            edit_message(
                world, world.main, 0, made.data["fingerprint"], "Third"
            )  # its hook is lost
        world.clock.advance(read_after_ms)
        assert await crisp.run("incremental") == "done"
        world.clock.advance(10 * MESSAGE_SETTLE_MS)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_048_a_lost_edit_is_found_once_the_first_has_settled(database_url: str) -> None:
    await lose_an_edit(database_url, read_after_ms=2 * MESSAGE_SETTLE_MS)


async def test_case_048_a_lost_edit_is_found_although_the_first_is_fresh(database_url: str) -> None:
    await lose_an_edit(database_url, read_after_ms=MESSAGE_SETTLE_MS // 4)
