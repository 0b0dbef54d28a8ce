"""One batch, one transaction: what can be kept is kept, what cannot is named, and nothing half."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.session import open_database
from app.ingest import ingest
from app.records import Batch
from app.websites.rules import rules_of
from tests.ingesting import Site, connected, payload, person, said, talk


def deep() -> Any:
    value: Any = 1
    for _ in range(400):
        value = [value]
    return value


async def test_case_053_what_the_database_refuses_is_named_and_the_rest_kept(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        outcome = await site.take(
            person("good"), person("bad", odd=deep()),
            talk("good"), talk("bad", odd=deep()),
            said("good", 1), said("good", 2, odd=deep()), said("bad", 3),
            replace(said("good", 4), fingerprint=2**70),
        )  # fmt: skip
        assert {(r.kind, r.external_id) for r in outcome.rejected} == {
            ("contact", "bad"), ("conversation", "bad"), ("message", "good/2"),
            ("message", "bad/3"), ("message", f"good/{2**70}"),
        }  # fmt: skip
        assert (outcome.contacts, outcome.conversations, outcome.messages) == (1, 1, 1)
        assert (await site.conversation("good")).message_count == 1
        assert len(await site.rows(select(contacts.c.id))) == 1


async def test_the_reason_does_not_quote_what_people_wrote(database_url: str) -> None:
    """SPEC P7."""
    async with connected(database_url) as site:
        outcome = await site.take(person("p", notepad="my card is 4471", odd=deep()))
        assert outcome.rejected[0].reason.startswith("the database refuses it (")
        assert "4471" not in outcome.rejected[0].reason


async def test_case_057_nul_that_nobody_replaced_stops_only_its_record(
    migrated_postgres_url: str,
) -> None:
    """The reader of JSON replaces it; should another way in forget to, PostgreSQL refuses it alone."""
    async with connected(migrated_postgres_url) as site:
        outcome = await site.take(person("p", person={"nickname": "A\0nn"}), person("q"))
        assert [r.external_id for r in outcome.rejected] == ["p"]
        assert (await site.contact("q")).id


async def test_a_batch_is_all_or_nothing_until_its_transaction_ends(database_url: str) -> None:
    async with connected(database_url) as site:

        async def write_and_stumble(connection: Any) -> None:
            rules = await rules_of(connection, site.id)
            batch = Batch(site.id, contacts=[person("p")], conversations=[talk("s")])
            await ingest(connection, rules, batch)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await site.db.transact(write_and_stumble)
        assert await site.rows(select(contacts)) == []
        assert await site.rows(select(conversations)) == []


async def test_two_writers_of_one_website_do_not_overlap(database_url: str) -> None:
    """Each merges with what the other wrote: no field is lost, whoever comes first."""
    async with connected(database_url) as site:
        await site.take(person("p"), talk("s"))
        other = open_database(database_url)
        try:
            both = (site, Site(other))
            await asyncio.gather(
                *(
                    both[n % 2].take(
                        person("p", at=n, person={f"only{n}": n}),
                        talk("s", at=n, meta={f"only{n}": n}),
                        said("s", n),
                    )
                    for n in range(1, 13)
                )
            )
        finally:
            await other.close()
        row = await site.conversation("s")
        assert row.message_count == 12
        assert row.raw["meta"]["only12"] == 12
        assert (await site.contact("p")).crisp_raw["person"]["only12"] == 12
        assert len(await site.rows(select(messages.c.fingerprint))) == 12


async def test_the_documented_answers_of_crisp_end_in_rows(database_url: str) -> None:
    """People, conversations and messages of tests/payloads, in one batch."""
    people = payload("rest_people_profiles_list")["data"]
    talks = payload("rest_conversations_list_206")["data"]
    thread = payload("rest_messages_206")["data"]
    async with connected(database_url) as site:
        outcome = await site.take(
            *(person(**p) for p in people), *(talk(**t) for t in talks),
            *(said(**m) for m in thread if m["session_id"] == talks[0]["session_id"]),
        )  # fmt: skip
        assert outcome.rejected == []
        assert (outcome.contacts, outcome.conversations) == (len(people), len(talks))
        assert await site.owner(talks[0]["session_id"]) == talks[0]["people_id"]
