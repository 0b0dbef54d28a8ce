"""The guard of tests/fixtures/told.py, and the notes it guards."""

from typing import Any

import pytest
from sqlalchemy import select, update

from app.contacts.tables import contacts
from app.db.changes import change_batches, keys_in, note_changes
from tests.fixtures.told import kind_written
from tests.ingesting import WEBSITE, Site, connected, person, said, talk


async def noted(site: Site) -> list[tuple[str, list[Any]]]:
    rows = await site.rows(select(change_batches).order_by(change_batches.c.number))
    return [(row.kind, keys_in(row.kind, row.ids)) for row in rows]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE contacts SET name=? WHERE contacts.id = ?", "contact"),
        ("UPDATE contacts SET seen_ms=?, observed_ms=? WHERE contacts.id = ?", None),
        ("INSERT INTO contact_emails (website_id) VALUES (?)", "contact"),
        ("UPDATE conversations SET contact_id=found.c, match_rule=(f(1, 2)) FROM (x) WHERE 1", "link"),
        ("UPDATE conversations SET message_count=(SELECT count(*) AS n FROM messages WHERE messages.website_id = ?) WHERE 1", "conversation"),
        ("DELETE FROM messages WHERE messages.website_id = ? AND x", "message"),
        ("DELETE FROM messages WHERE messages.website_id = %(website_id_1)s::VARCHAR", None),
        ("UPDATE websites SET name=?", None),
        ("SELECT 1 FROM contacts", None),
    ],
)  # fmt: skip
def test_what_a_statement_writes(statement: str, kind: str | None) -> None:
    assert kind_written(statement) == kind


async def test_each_kind_is_told_once_for_a_transaction(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", email="ann@acme.example", company={"name": "Acme"}),
            talk("t1", people_id="ann"), said("t1", 1), said("t1", 2),
        )  # fmt: skip
        ann, talk1 = (await site.contact("ann")).id, (await site.conversation("t1")).id
        told = await noted(site)
        assert [kind for kind, _ in told] == [
            "company", "contact", "membership", "conversation", "link", "message",
        ]  # fmt: skip
        by_kind = dict(told)
        assert by_kind["contact"] == [ann]
        assert by_kind["conversation"] == [talk1]
        assert by_kind["link"] == [talk1]
        assert by_kind["message"] == [(talk1, 1), (talk1, 2)]


async def test_what_is_read_again_tells_nothing(database_url: str) -> None:
    async with connected(database_url) as site:
        news = (person("ann", email="ann@acme.example"), talk("t1", people_id="ann"), said("t1", 1))
        await site.take(*news)
        before = await noted(site)
        await site.take(*news)
        await site.take(said("t1", 1, seen=5))
        assert await noted(site) == before
        await site.take(said("t1", 1, "Hello again", seen=6))
        ((kind, keys),) = (await noted(site))[len(before) :]
        assert (kind, [key[1] for key in keys]) == ("message", [1])


async def test_what_is_rolled_back_is_not_told(database_url: str) -> None:
    async with connected(database_url) as site:
        async with site.db.engine.connect() as connection:
            note_changes(connection, "contact", WEBSITE, ["never"])
            await connection.rollback()
        async with site.db.write() as connection:
            note_changes(connection, "contact", WEBSITE, ["a"])
            within = await connection.begin_nested()
            note_changes(connection, "contact", WEBSITE, ["b"])
            note_changes(connection, "link", WEBSITE, ["l"])
            await within.rollback()
            async with connection.begin_nested():
                note_changes(connection, "contact", WEBSITE, ["c"])
        assert await noted(site) == [("contact", ["a", "c"])]


async def test_who_forgets_is_told_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann"))
        monkeypatch.setitem(globals(), "__name__", "app.contacts.somewhere")
        with pytest.raises(AssertionError, match="Nobody told the change feed"):
            async with site.db.write() as connection:
                await connection.execute(update(contacts).values(name="Ann"))
        async with site.db.write() as connection:
            await connection.execute(update(contacts).values(name="Ann"))
            note_changes(connection, "contact", WEBSITE, [])
