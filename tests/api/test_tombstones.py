"""What is removed comes once through the change feed, by its id; a copy by the feed alone forgets it (SPEC V7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.conversations.threads import MessageRemoval
from app.db.base import StoredRow
from app.ingest import remove_messages
from app.settings import get_settings
from app.websites.rules import rules_of
from tests.api.conftest import Api, some_rows
from tests.fixtures.program import SECRET_KEY
from tests.imports.importing import Importing
from tests.ingesting import WEBSITE, Site, ms, person, said, talk

Key = tuple[str, str, int | None]


class Mirror:
    """Which records a program holds that believes the feed, and what each look told it is gone."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.held: set[Key] = set()
        self.cursor: str | None = None

    async def look(self) -> list[tuple[Key, Any]]:
        """What was told to be gone since the last look, with what is left of it."""
        gone: list[tuple[Key, Any]] = []
        more = True
        while more:
            params = {"limit": 3, "include": "notes"}
            place = {"cursor": self.cursor} if self.cursor else {}
            told = (await self.api.get("viewer", "/changes", params=params | place)).json()
            for change in told["data"]:
                key = (change["kind"], change["id"], change["fingerprint"])
                if change["deleted"]:
                    gone.append((key, change["data"]))
                    self.held.discard(key)
                else:
                    self.held.add(key)
            self.cursor, more = told["next_cursor"], told["has_more"]
        return gone


async def stored(site: Site) -> set[Key]:
    """Every record that is there and not removed; a removed conversation's link and messages stay."""

    async def keys(kind: str, table: Any, *columns: Any) -> set[Key]:
        query = select(*columns).where(table.c.website_id == site.id)
        if "deleted_at" in table.c and kind != "link":
            query = query.where(table.c.deleted_at.is_(None))
        if "merged_into" in table.c:
            query = query.where(table.c.merged_into.is_(None))
        found: list[StoredRow] = await site.rows(query)
        return {(kind, row[0], row[1] if len(row) > 1 else None) for row in found}

    m = messages.c
    return {
        *await keys("contact", contacts, contacts.c.id),
        *await keys("company", companies, companies.c.id),
        *await keys("membership", contact_companies, contact_companies.c.id),
        *await keys("conversation", conversations, conversations.c.id),
        *await keys("link", conversations, conversations.c.id),
        *await keys("message", messages, m.conversation_id, m.fingerprint),
    }


async def assert_gone_once(mirror: Mirror, site: Site) -> dict[Key, Any]:
    """All that is not there any more, each once; nothing else; and nothing again. What is left of each."""
    before = set(mirror.held)
    gone = await mirror.look()
    expected = before - await stored(site)
    assert Counter(key for key, _ in gone) == Counter(dict.fromkeys(expected, 1))
    assert mirror.held == await stored(site)
    assert await mirror.look() == []
    return dict(gone)


async def filled(api: Api) -> Mirror:
    await some_rows(api.here, "acme")
    mirror = Mirror(api)
    assert await mirror.look() == []
    assert mirror.held == await stored(api.here)
    return mirror


async def test_a_removed_message_leaves_its_key_and_no_words(api: Api) -> None:
    mirror = await filled(api)
    own = (await api.here.conversation("t1-acme")).id

    async def remove() -> None:
        async with api.here.db.write() as connection:
            rules = await rules_of(connection, WEBSITE)
            await remove_messages(connection, rules, [MessageRemoval("t1-acme", 3, ms(20))])

    await remove()
    gone = await assert_gone_once(mirror, api.here)
    ((key, left),) = gone.items()
    assert key == ("message", own, 3)
    assert (left["body"], left["content"]) == ("", None)
    assert left["deleted_at"] is not None
    await remove()
    assert await mirror.look() == [], "what was removed before is no news"


async def test_a_removed_person_and_conversation_are_told_by_their_ids(api: Api) -> None:
    mirror = await filled(api)
    bob, talk2 = (
        (await api.here.contact("bob-acme")).id,
        (await api.here.conversation("t2-acme")).id,
    )
    await api.here.remove_person("bob-acme", 30)
    await api.here.remove_talk("t2-acme", 30)
    gone = await assert_gone_once(mirror, api.here)
    assert gone.keys() == {("contact", bob, None), ("conversation", talk2, None)}


async def test_a_deleted_and_a_merged_company_and_contact_are_told_and_come_back(api: Api) -> None:
    mirror = await filled(api)
    made = await api.ask("member", "POST", "/companies", json={"name": "Other"})
    other = made.json()["id"]
    acme = next(key for key in mirror.held if key[0] == "company")
    await mirror.look()
    assert ("company", other, None) in mirror.held

    await api.ask("member", "DELETE", f"/companies/{other}")
    assert (await assert_gone_once(mirror, api.here)).keys() == {("company", other, None)}
    await api.ask("member", "POST", f"/companies/{other}/restore")
    assert await mirror.look() == []
    assert ("company", other, None) in mirror.held

    ann, bob = [(await api.here.contact(f"{name}-acme")).id for name in ("ann", "bob")]
    undo = []
    for path, into, lost in (
        (f"/companies/{other}/merge", acme[1], ("company", other, None)),
        (f"/contacts/{bob}/merge", ann, ("contact", bob, None)),
    ):
        answer = await api.ask("member", "POST", path, json={"into": into})
        assert answer.status_code == 201, answer.text
        undo.append(answer.json()["id"])
        gone = await assert_gone_once(mirror, api.here)
        assert gone.keys() == {lost}
        assert gone[lost]["merged_into"] == into
    for merge_id in undo:
        assert (await api.ask("member", "POST", f"/merges/{merge_id}/undo")).status_code == 200
    assert await mirror.look() == []
    assert mirror.held == await stored(api.here)


async def test_a_company_that_another_one_took_over_is_gone_altogether(api: Api) -> None:
    site = api.here
    await site.take(
        person("ann", email="ann@a.example", company={"name": "Bolt"}),
        talk("t1", people_id="ann"),
    )
    mirror = Mirror(api)
    await mirror.look()
    ((_, bolt, _),) = [key for key in mirror.held if key[0] == "company"]
    await site.take(person("bob", email="bob@b.example", company={"domain": "bolt.example"}))
    await mirror.look()
    # Now it turns out that they are one.
    named = {"name": "Bolt", "domain": "bolt.example"}
    await site.take(person("cy", 5, email="cy@c.example", company=named))
    gone = await assert_gone_once(mirror, site)
    assert gone == {("company", bolt, None): None}


async def test_a_membership_that_was_taken_away_is_told_by_its_id(api: Api) -> None:
    mirror = await filled(api)
    ann = (await api.here.contact("ann-acme")).id
    shown = (await api.get("viewer", f"/contacts/{ann}")).json()
    (membership,) = shown["companies"]
    body = {"memberships": [{"id": membership["id"], "gone": True}]}
    answer = await api.ask("member", "PATCH", f"/contacts/{ann}", json=body)
    assert answer.status_code == 200, answer.text
    gone = await assert_gone_once(mirror, api.here)
    assert gone == {("membership", membership["id"], None): None}


async def test_an_undone_import_takes_its_records_out_of_every_copy(
    api: Api, tmp_path: Path
) -> None:
    mirror = await filled(api)
    site = Importing(api.here.db, WEBSITE, tmp_path / "uploads")
    # Whose the third conversation is, is told by the file.
    done = await site.run("email,name,company_name\nwho@acme.example,Who,Made Up\n")
    assert await mirror.look() == []
    assert mirror.held == await stored(api.here)
    await site.undo(done.id)
    gone = await assert_gone_once(mirror, api.here)
    assert sorted(kind for kind, _, _ in gone) == ["company", "contact", "membership"]
    assert set(gone.values()) == {None}


@pytest.fixture
def secret_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The list of erased people is kept by a key that this one seals."""
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("secret_key")
async def test_an_erased_person_is_gone_with_all_that_hung_on_them(api: Api) -> None:
    mirror = await filled(api)
    await api.here.take(said("t1-acme", 9, "And more", 9))
    await mirror.look()
    ann, own = (await api.here.contact("ann-acme")).id, (await api.here.conversation("t1-acme")).id
    answer = await api.ask("admin", "POST", f"/contacts/{ann}/erase", json={"confirm": "erase"})
    assert answer.status_code == 200, answer.text
    gone = await assert_gone_once(mirror, api.here)
    assert set(gone.values()) == {None}, "nothing is left of them"
    assert {key for key in gone if key[0] != "membership"} == {
        ("contact", ann, None),
        ("conversation", own, None),
        ("link", own, None),
        *(("message", own, fingerprint) for fingerprint in (1, 2, 3, 9)),
    }
