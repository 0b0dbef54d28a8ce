"""The story of a first import, compared row by row with what the sandbox knows to be true."""

from tests.pulling import sandbox_and_crispsync


async def test_full_pull_equals_the_truth(database_url: str) -> None:  # SPEC S1, D2, D3, M1, M2
    async with sandbox_and_crispsync(database_url, people=150, conversations=400) as crisp:
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_second_full_pull_asks_for_no_messages(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url) as crisp:
        await crisp.run("full")
        crisp.world.counters.reset()
        assert await crisp.run("full") == "done"
        asked = crisp.world.counters.as_dict()["by_route"]
        assert not [route for route in asked if route.endswith("/messages")]
        await crisp.assert_equals_truth()
