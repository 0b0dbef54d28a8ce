"""A changed mapping moves what Crisp wrote and leaves what people wrote."""

import pytest
from sqlalchemy import select, update

from app.contacts.remap import change_mapping
from app.contacts.tables import contacts
from app.errors import Refused
from tests.pulling import sandbox_and_crispsync


async def test_a_change_of_mapping_is_applied_to_what_is_stored(
    database_url: str,
) -> None:  # SPEC D1
    async with sandbox_and_crispsync(database_url, people=60, conversations=0) as crisp:
        await crisp.run("full")
        crisp.world.counters.reset()
        before = {row.id: row for row in await crisp.rows(select(contacts))}
        async with crisp.db.write() as connection:
            changed = await change_mapping(
                connection,
                crisp.website_id,
                {"person.geolocation.city": "attributes.town", "person.phone": None},
            )
        after = {row.id: row for row in await crisp.rows(select(contacts))}
        moved = {k for k, row in before.items() if row.attributes.get("city") or row.phone}
        assert changed == len(moved) > 0
        for contact_id, row in after.items():
            assert row.attributes.get("town") == before[contact_id].attributes.get("city")
            assert "city" not in row.attributes
            assert row.phone is None
        assert crisp.world.counters.as_dict()["total"] == 0


async def test_what_a_person_wrote_survives_a_change_of_mapping(
    database_url: str,
) -> None:  # SPEC D7
    async with sandbox_and_crispsync(database_url, people=60, conversations=0) as crisp:
        await crisp.run("full")
        chosen = next(row for row in await crisp.rows(select(contacts)) if row.phone)
        async with crisp.db.write() as connection:
            await connection.execute(
                update(contacts).where(contacts.c.id == chosen.id).values(phone="+49 30 1234")
            )
            await change_mapping(connection, crisp.website_id, {"person.phone": None})
        (row,) = await crisp.rows(select(contacts.c.phone).where(contacts.c.id == chosen.id))
        assert row.phone == "+49 30 1234"


@pytest.mark.parametrize(
    "overrides", [{"email": None}, {"person.phone": "shoe_size"}, {"notepad": "email"}]
)
async def test_a_mapping_that_cannot_be_is_refused(
    sqlite_url: str, overrides: dict[str, str | None]
) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=60, conversations=0) as crisp:
        with pytest.raises(Refused):
            async with crisp.db.write() as connection:
                await change_mapping(connection, crisp.website_id, overrides)
