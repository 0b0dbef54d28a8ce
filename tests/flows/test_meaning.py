"""What odd values of Crisp mean once they are stored: pulled from the sandbox, the same on both databases."""

from typing import Any

import pytest
from sqlalchemy import select

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.sandbox.conversation_changes import begin_conversation, bind_person, set_field
from app.sandbox.message_changes import send_message
from app.sandbox.people_changes import change_person, new_person, remove_person
from app.sync.tables import sync_failures
from tests.ingesting import MINUTE
from tests.pulling import Crispsync, sandbox_and_crispsync

NUL = "\u2400"  # how NUL is shown


async def person_row(crisp: Crispsync, people_id: str) -> Any:
    query = select(contacts).where(contacts.c.crisp_people_id == people_id)
    return (await crisp.rows(query))[0]


async def conversation_row(crisp: Crispsync, i: int) -> Any:
    session_id = crisp.world.main.session_id(i)
    query = select(conversations).where(conversations.c.session_id == session_id)
    return (await crisp.rows(query))[0]


async def message_rows(crisp: Crispsync, i: int) -> dict[int, Any]:
    own_id = (await conversation_row(crisp, i)).id
    rows = await crisp.rows(select(messages).where(messages.c.conversation_id == own_id))
    return {row.fingerprint: row for row in rows}


async def test_case_057_nul_in_keys_and_values(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        world, site = crisp.world, crisp.world.main
        person = {"nickname": "A\0nn", "ke\0y": ["\0"]}
        change_person(world, site, 0, email="a\0@a.example", person=person, segments=["v\0ip"])
        set_field(world, site, 1, "subject", "Re\0fund")
        set_field(world, site, 1, "data", {"pl\0an": "p\0ro"})
        sent = send_message(world, site, 1, {"te\0xt": "x\0"}, type="hologram")
        send_message(world, site, 1, "Hel\0lo \ud83d", fingerprint=5)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        row = await person_row(crisp, site.people_id(0))
        assert (row.name, row.segments) == (f"A{NUL}nn", [f"v{NUL}ip"])
        assert row.crisp_raw["person"][f"ke{NUL}y"] == [NUL]
        found = await conversation_row(crisp, 1)
        assert found.subject == f"Re{NUL}fund"
        assert found.metadata["data"] == {f"pl{NUL}an": f"p{NUL}ro"}
        rows = await message_rows(crisp, 1)
        assert rows[5].body == f"Hel{NUL}lo \ufffd"
        assert rows[sent.as_dict()["data"]["fingerprint"]].content == {f"te{NUL}xt": f"x{NUL}"}


async def test_case_058_eight_kilobytes_in_every_text(database_url: str) -> None:
    long = "".join(chr(0x20000 + n * 7919 % 40_000) for n in range(2_000))
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        world, site = crisp.world, crisp.world.main
        job = {"name": long, "domain": f"{long}.example", "title": long}
        change_person(
            world, site, 0, email=f"{long}@a.example", segments=[long],
            person={"nickname": long, "phone": long, "employment": job}, company={"name": long},
        )  # fmt: skip
        for field in ("subject", "nickname", "email", "origin", "topic", "phone"):
            set_field(world, site, 1, field, long)
        send_message(world, site, 1, long, type=long, origin=long, user={"nickname": long})
        assert await crisp.run("full") == "done"
        row = await conversation_row(crisp, 1)
        assert row.subject == long[:500]
        assert row.raw["meta"]["subject"] == long
        assert (await person_row(crisp, site.people_id(0))).name == long[:500]


async def test_case_059_a_message_of_two_megabytes(database_url: str) -> None:
    long = "words of many kinds " * 104_858
    async with sandbox_and_crispsync(database_url, people=0, conversations=1) as crisp:
        send_message(crisp.world, crisp.world.main, 0, long, fingerprint=5)
        assert await crisp.run("full") == "done"
        assert (await message_rows(crisp, 0))[5].body == long


async def test_case_060_numbers_up_to_64_bits_and_beyond(database_url: str) -> None:
    good = [150_698_569_649_423, -333, 0, 2**31, 2**63 - 1, -(2**63)]
    async with sandbox_and_crispsync(database_url, people=0, conversations=1) as crisp:
        i, _ = begin_conversation(crisp.world, crisp.world.main, content=None)
        for fingerprint in (*good, 2**63, -(2**63) - 1, 1.5, "7"):
            send_message(crisp.world, crisp.world.main, i, "Hi", fingerprint=fingerprint)
        assert await crisp.run("full") == "partial"
        assert sorted(await message_rows(crisp, i)) == sorted(good)
        failed = await crisp.rows(select(sync_failures))
        assert len(failed) == 4
        assert {row.reason for row in failed} == {"its fingerprint is no 64-bit number"}


@pytest.mark.parametrize(
    "absurd", [0, -1, 1_641_206_011, 1_506_985_696_616_000, 2**62, "2024-02-30", None, True, [], 1e300]
)  # fmt: skip
async def test_case_061_absurd_times(sqlite_url: str, absurd: Any) -> None:
    """Not shown as a time, kept as it came, and older than any real news."""
    async with sandbox_and_crispsync(sqlite_url, people=2, conversations=2) as crisp:
        world, site = crisp.world, crisp.world.main
        change_person(world, site, 0, active={"last": absurd})
        set_field(world, site, 0, "created_at", absurd)
        set_field(world, site, 0, "waiting_since", absurd)
        assert await crisp.run("full") == "done"
        row = await person_row(crisp, site.people_id(0))
        assert row.last_active_at is None
        assert row.crisp_raw["active"]["last"] == absurd
        found = await conversation_row(crisp, 0)
        assert found.crisp_created_at is None
        assert found.raw["created_at"] == absurd


async def test_case_061_news_without_a_time_never_overwrites(database_url: str) -> None:
    from tests.ingesting import connected, said, talk

    async with connected(database_url) as site:
        await site.take(talk("s", at=1, state="resolved"), said("s", 1, "told", at=1))
        await site.take(talk("s", seen=9, state="pending", updated_at="yesterday"))
        await site.take(said("s", 1, "guessed", seen=9, timestamp=-1))
        assert (await site.conversation("s")).status == "resolved"
        assert (await site.message("s", 1)).body == "told"


async def test_case_062_addresses_in_other_clothes_find_the_same_person(database_url: str) -> None:
    """SPEC M2."""
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        world, site = crisp.world, crisp.world.main
        people = {
            name: site.people_id(new_person(world, site, email=address, company=None)[0])
            for name, address in {
                "ann": "Ann@Bücher.example",
                "tagged": "ann+news@bücher.example",
                "cyrillic": "аnn@bücher.example",
                "dotted": "\u0130nn@bücher.example",
            }.items()
        }
        wanted = {
            "  aNN@xn--bcher-kva.example ": people["ann"],
            "ANN+NEWS@BÜCHER.example": people["tagged"],
            "аnn@bücher.example": people["cyrillic"],
            "\u0130NN@bücher.example": people["dotted"],
            "a.nn@bücher.example": None,
            "inn@bücher.example": None,
        }
        begun = {
            address: begin_conversation(world, site, meta={"email": address}, people_id=None)[0]
            for address in wanted
        }
        await crisp.run("full")
        ids = {row.id: row.crisp_people_id for row in await crisp.rows(select(contacts))}
        found = {
            address: ids.get((await conversation_row(crisp, i)).contact_id)
            for address, i in begun.items()
        }
        assert found == wanted


async def test_case_063_one_address_of_two_and_many_of_one(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        world, site = crisp.world, crisp.world.main
        for _ in range(2):
            new_person(world, site, email="team@a.example")
        new_person(world, site, email="")
        shared, _ = begin_conversation(world, site, meta={"email": "Team@A.example"}, people_id="")
        nobody, _ = begin_conversation(world, site, meta={"email": ""}, people_id="")
        assert await crisp.run("full") == "done"
        assert len(await crisp.rows(select(contacts.c.id))) == 3
        assert (await conversation_row(crisp, shared)).unmatched_reason == "ambiguous_email"
        assert (await conversation_row(crisp, nobody)).unmatched_reason == "no_identity"


async def test_case_064_people_merged_in_crisp(database_url: str) -> None:
    """One is removed and its conversations are bound to the other; the pull follows without a word."""
    async with sandbox_and_crispsync(database_url, people=100, conversations=20) as crisp:
        world, site = crisp.world, crisp.world.main
        gone, kept = site.people_id(1), site.people_id(2)
        bind_person(world, site, 3, gone)
        assert await crisp.run("full") == "done"
        remove_person(world, site, 1)
        for i in (3, *(i for i in range(20) if site.people_id_in(i) == gone)):
            bind_person(world, site, i, kept)
        world.clock.advance(20 * MINUTE)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        row = await person_row(crisp, gone)
        assert row.deleted_at is not None
        found = await conversation_row(crisp, 3)
        assert found.contact_id == (await person_row(crisp, kept)).id


async def test_case_065_an_address_changes_in_crisp(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=10, conversations=30) as crisp:
        world, site = crisp.world, crisp.world.main
        i, _ = begin_conversation(
            world, site, meta={"email": "ann@new.example"}, people_id=None
        )  # fmt: skip
        assert await crisp.run("full") == "done"
        assert (await conversation_row(crisp, i)).contact_id is None
        for p in range(10):
            change_person(world, site, p, email=f"{'ann' if p == 4 else p}@new.example")
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        row = await conversation_row(crisp, i)
        assert row.contact_id == (await person_row(crisp, site.people_id(4))).id
        assert row.match_rule == "email"


async def test_case_066_a_company_is_renamed_in_crisp(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        world, site = crisp.world, crisp.world.main
        p, _ = new_person(world, site, company={"name": "Acme", "domain": "acme.example"})
        i, _ = begin_conversation(world, site, people_id=site.people_id(p))
        assert await crisp.run("full") == "done"
        before = await crisp._company_keys()
        change_person(world, site, p, company={"name": "Acme Rockets"})
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        assert await crisp._company_keys() == before, "the same company under a new name"
        assert (await conversation_row(crisp, i)).contact_id is not None


async def test_case_067_the_address_of_a_removed_person_returns(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=60, conversations=10) as crisp:
        world, site = crisp.world, crisp.world.main
        p, _ = new_person(world, site, email="ann@back.example", notepad="secret")
        i, _ = begin_conversation(world, site, people_id=site.people_id(p))
        assert await crisp.run("full") == "done"
        remove_person(world, site, p)
        again, _ = new_person(world, site, email="ann@back.example")
        world.clock.advance(20 * MINUTE)
        assert await crisp.run("full") == "done"
        old = await person_row(crisp, site.people_id(p))
        new = await person_row(crisp, site.people_id(again))
        assert old.deleted_at is not None
        assert (new.deleted_at, new.id != old.id) == (None, True)
        assert "secret" not in str(new.crisp_raw)
        assert (await conversation_row(crisp, i)).contact_id != old.id
