"""Which website is shown when none was asked for."""

from datetime import timedelta

from sqlalchemy import insert, select

from app.pages.queries_frame import all_websites
from app.websites.tables import websites
from tests.ingesting import connected


async def test_a_website_that_waits_comes_after_those_that_are_read(database_url: str) -> None:
    async with connected(database_url) as site:
        (known,) = await site.rows(select(websites))
        earlier = known.connected_at - timedelta(days=1)
        row = known._asdict() | {"id": "0", "status": "waiting", "connected_at": earlier}
        await site.execute(insert(websites).values(row))
        async with site.db.read() as connection:
            found = await all_websites(connection)
        assert [website.id for website in found] == [site.id, "0"]
