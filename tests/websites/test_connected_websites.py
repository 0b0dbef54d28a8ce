"""Connecting, disconnecting and erasing websites, with the sandbox as Crisp."""

import pytest
from sqlalchemy import func, select

from app.crisp.errors import AuthRejected
from app.errors import NotFound, Refused
from app.sandbox.installs import reinstall, uninstall
from app.tables import metadata
from app.websites.connect import disconnect, forget_website, require_website_id, verify
from app.websites.tables import websites
from tests.pulling import sandbox_and_crispsync


@pytest.mark.parametrize(
    "text", ["", "acme", "8c842203-7ed8-4e29-a608", "8c842203-7ed8-4e29-a608-7cf78a7d2fcg",
             "8c8422037ed84e29a6087cf78a7d2fcc", "../8c842203-7ed8-4e29-a608-7cf78a7d2fcc"]
)  # fmt: skip
def test_what_is_no_website_id_is_refused_with_where_it_stands(text: str) -> None:  # SPEC C2
    with pytest.raises(Refused, match="Settings, Website settings"):
        require_website_id(text)


def test_a_website_id_is_read_whatever_its_case() -> None:  # SPEC C2
    assert require_website_id(" 8C842203-7ED8-4E29-A608-7CF78A7D2FCC\n") == (
        "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
    )


# SPEC C3
async def test_a_website_without_the_plugin_is_not_saved(sqlite_url: str) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=0, conversations=0, connect=False) as crisp:
        uninstall(crisp.world, crisp.world.main)
        with pytest.raises(Refused, match="not installed on website"):
            await crisp.connect()
        with pytest.raises(Refused, match="not installed on website"):
            await crisp.connect("00000000-0000-4000-8000-000000000000")
        crisp.world.faults.add("status", status=401)
        with pytest.raises(AuthRejected):
            await crisp.connect()
        assert await crisp.rows(select(websites)) == []


# SPEC C3
async def test_the_plugin_id_and_the_name_come_from_crisp(sqlite_url: str) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=0, conversations=0, connect=False) as crisp:
        found = await verify(crisp.client, crisp.website_id, None)
        assert found.name == crisp.world.main.name
        crisp.world.faults.add("status", status=403, route="/website/*")
        found = await verify(crisp.client, crisp.website_id, None)
        assert found.name == crisp.website_id, "a name is not worth failing for"


# SPEC C4, C8; FAILURES case 51
async def test_case_051_each_installation_is_a_new_generation(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2) as crisp:
        assert await crisp.run("full") == "done"
        first = (await crisp.rows(select(websites)))[0]
        await crisp.connect()
        assert (await crisp.rows(select(websites.c.generation)))[0].generation == first.generation
        await disconnect(crisp.db, crisp.website_id)
        row = (await crisp.rows(select(websites)))[0]
        assert (row.status, row.generation) == ("disconnected", first.generation + 1)
        await crisp.assert_equals_truth()
        reinstall(crisp.world, crisp.world.main)
        await crisp.connect()
        again = (await crisp.rows(select(websites)))[0]
        assert again.status == "connected"
        assert again.generation > row.generation
        assert again.conversations_read_to_ms == first.conversations_read_to_ms, "it goes on"


# SPEC C8
async def test_erasing_leaves_nothing_of_the_website(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        assert await crisp.run("full") == "done"
        await forget_website(crisp.db, crisp.website_id)
        for table in metadata.sorted_tables:
            if "website_id" in table.c:
                mine = table.c.website_id == crisp.website_id
                count = select(func.count()).select_from(table).where(mine)
                assert (await crisp.rows(count))[0][0] == 0, table.name
        assert await crisp.rows(select(websites)) == []
        with pytest.raises(NotFound):
            await disconnect(crisp.db, crisp.website_id)
