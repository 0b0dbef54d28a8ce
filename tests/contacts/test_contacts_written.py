"""What becomes of a contact when Crisp says something of it, again, later, or too late."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.contacts.segments import replace_own
from app.contacts.tables import contact_emails, contacts
from app.records import ContactRecord
from tests.ingesting import Site, connected, moment, payload, person

# Ours, not Crisp's: a row's own id, and when this machine wrote it.
OWN = {"id", "created_at", "updated_at", "crisp_people_id", "seen_ms"}


def told(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in OWN}


async def test_a_profile_becomes_a_contact_by_the_default_mapping(database_url: str) -> None:
    """SPEC D, the table at its head."""
    profile = payload("rest_people_profile_get")["data"]
    async with connected(database_url) as site:
        await site.take(person(**{**profile, "at": 0}))
        row = await site.contact(profile["people_id"])
        assert (row.email, row.name, row.phone) == (
            "valerian@crisp.chat", "Valerian Saliou", "+33600000000",
        )  # fmt: skip
        assert row.attributes == {
            "job_title": "CTO", "company_name": "Crisp", "country": "FR", "city": "Nantes",
        }  # fmt: skip
        assert row.segments == ["customer"]
        assert round(row.last_active_at.timestamp() * 1000) == profile["active"]["last"]
        assert row.signed_up_at.isoformat() == "2022-01-02T07:03:31+00:00"
        assert row.source == "crisp"
        assert await site.addresses(profile["people_id"]) == {"valerian@crisp.chat"}


async def test_company_name_comes_from_the_employer_where_no_company_is_named(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", person={"employment": {"name": "Bluefern"}}))
        assert (await site.contact("p")).attributes == {"company_name": "Bluefern"}


# SPEC D1
async def test_a_website_maps_fields_elsewhere_or_leaves_them_out(database_url: str) -> None:
    mapping = {"person.phone": None, "notepad": "attributes.remark", "person.nickname": "phone"}
    async with connected(database_url, mapping=mapping) as site:
        ann = {"nickname": "Ann", "phone": "+49 1"}
        await site.take(person("p", notepad="prefers e-mail", person=ann))
        row = await site.contact("p")
        assert (row.name, row.phone) == (None, "Ann")
        assert row.attributes == {"remark": "prefers e-mail"}


# SPEC D5
async def test_absence_never_overwrites_and_emptying_does(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="ann@a.example", person={"nickname": "Ann", "phone": "1"})
        )
        await site.take(person("p", at=1, person={"nickname": "Ann B"}))
        row = await site.contact("p")
        assert (row.email, row.name, row.phone) == ("ann@a.example", "Ann B", "1")
        await site.take(person("p", at=2, email="", person={"phone": None}))
        row = await site.contact("p")
        assert (row.email, row.name, row.phone) == (None, "Ann B", None)
        assert await site.addresses("p") == set()


# SPEC D5
async def test_a_complete_set_of_custom_data_removes_what_is_missing(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(replace(person("p"), custom_data={"plan": "pro", "seats": 5}))
        assert (await site.contact("p")).attributes == {"data.plan": "pro", "data.seats": 5}
        await site.take(person("p", at=1, email="p@a.example"))
        assert (await site.contact("p")).attributes == {"data.plan": "pro", "data.seats": 5}
        await site.take(replace(person("p", at=2), custom_data={"plan": "free"}))
        assert (await site.contact("p")).attributes == {"data.plan": "free"}


# SPEC D7
async def test_what_a_person_wrote_stays_until_crisp_itself_changes(database_url: str) -> None:
    async with connected(database_url) as site:
        ann = {"nickname": "ann", "phone": "1"}
        await site.take(person("p", person=ann))
        by_hand = {"name": "Ann Corrected", "attributes": {"tier": "gold"}}
        await site.execute(update(contacts).values(**by_hand))
        await site.take(person("p", at=1, person={**ann, "phone": "2"}))
        row = await site.contact("p")
        assert (row.name, row.phone) == ("Ann Corrected", "2")
        assert row.attributes == {"tier": "gold"}
        await site.take(person("p", at=2, person={**ann, "nickname": "Anna"}))
        assert (await site.contact("p")).name == "Anna"


# SPEC D7
async def test_segments_remember_their_source(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", segments=["vip", "beta"]))
        sources = {"vip": ["crisp", "csv"], "beta": ["crisp"], "trade fair": ["csv"]}
        await site.execute(
            update(contacts).values(segments=sorted(sources), segment_sources=sources)
        )
        await site.take(person("p", at=1, segments=["new"]))
        row = await site.contact("p")
        assert row.segments == ["new", "trade fair", "vip"]
        assert row.segment_sources == {"vip": ["csv"], "new": ["crisp"], "trade fair": ["csv"]}
        await site.take(person("p", at=2, email="p@a.example"))
        assert (await site.contact("p")).segments == ["new", "trade fair", "vip"]


def test_replacing_own_segments_keeps_those_of_others() -> None:  # SPEC D7
    assert replace_own({"a": ["crisp"], "b": ["csv"]}, "crisp", ["b"]) == {"b": ["crisp", "csv"]}
    assert replace_own({"a": ["crisp"], "b": ["csv"]}, "crisp", []) == {"b": ["csv"]}


# SPEC D4
async def test_a_removed_person_is_a_tombstone_that_only_a_later_direct_answer_revives(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="p@a.example"))
        assert await site.remove_person("p", seen=5) == 1
        assert await site.remove_person("p", seen=6) == 0
        first_id = (await site.contact("p")).id
        await site.take(person("p", at=9, seen=9, email="list@a.example"))
        assert (await site.contact("p")).deleted_at is not None
        await site.take(person("p", at=9, seen=4, direct=True, email="early@a.example"))
        assert (await site.contact("p")).deleted_at is not None
        await site.take(person("p", at=9, seen=10, direct=True, email="back@a.example"))
        row = await site.contact("p")
        assert (row.id, row.deleted_at, row.email) == (first_id, None, "back@a.example")


async def test_what_a_person_deleted_here_a_pull_does_not_bring_back(database_url: str) -> None:
    """SPEC I12."""
    async with connected(database_url) as site:
        await site.take(person("p"))
        hidden = {"hidden_at": moment(1), "deleted_at": moment(1)}
        await site.execute(update(contacts).values(hidden))
        await site.take(person("p", at=2, email="p@a.example"))
        await site.take(person("p", at=3, direct=True, person={"nickname": "P"}))
        row = await site.contact("p")
        assert row.deleted_at == moment(1)
        assert (row.email, row.name) == ("p@a.example", "P")


# SPEC M4
async def test_a_profile_adopts_the_only_contact_with_its_address(database_url: str) -> None:
    async with connected(database_url) as site:
        own_id = await site.add_by_hand("Ann CSV", "Ann@A.example", phone="+49 1")
        await site.take(person("p", email="ann@a.example", person={"nickname": "Ann Crisp"}))
        row = await site.contact("p")
        assert (row.id, row.source, row.name) == (own_id, "csv", "Ann Crisp")
        assert len(await site.rows(select(contacts))) == 1


async def test_adopting_takes_nothing_away_that_crisp_never_had(database_url: str) -> None:
    """SPEC D7: an empty field that Crisp never filled is no change of Crisp's."""
    async with connected(database_url) as site:
        await site.add_by_hand("Ann CSV", "ann@a.example", phone="+49 1")
        empty = {"nickname": "", "phone": None}
        await site.take(person("p", email="ann@a.example", person=empty))
        row = await site.contact("p")
        assert (row.name, row.phone) == ("Ann CSV", "+49 1")


# SPEC M4
async def test_two_candidates_are_not_adopted_and_two_crisp_ids_never_merge(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.add_by_hand("One", "ann@a.example")
        await site.add_by_hand("Two", "ann@a.example")
        await site.take(person("p", email="ann@a.example"), person("q", email="ANN@a.example"))
        assert len(await site.rows(select(contacts))) == 4


async def test_of_two_profiles_with_one_address_one_adopts(database_url: str) -> None:  # SPEC M4
    async with connected(database_url) as site:
        own_id = await site.add_by_hand("Ann", "ann@a.example", "ann@b.example")
        await site.take(person("p", email="ann@a.example"), person("q", email="ann@b.example"))
        assert [(await site.contact("p")).id, (await site.contact("q")).id].count(own_id) == 1
        assert len(await site.rows(select(contacts))) == 2


# SPEC M8
async def test_addresses_from_elsewhere_stay_when_crisps_changes(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="old@a.example"))
        await site.add_address((await site.contact("p")).id, "csv@a.example")
        await site.take(person("p", at=1, email="new@a.example"))
        assert await site.addresses("p") == {"new@a.example", "csv@a.example"}


async def test_a_website_never_touches_the_rows_of_another(database_url: str) -> None:  # SPEC C1
    from app.websites.connect import Installed, save_connected

    other = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
    async with connected(database_url) as site:
        await save_connected(site.db, Installed(other, "Other", None))
        await site.take(person("p", email="one@a.example"))
        await Site(site.db, other).take(person("p", at=5, email="two@a.example"))
        assert (await site.contact("p")).email == "one@a.example"
        assert await site.remove_person("p", seen=9) == 1
        assert (await Site(site.db, other).contact("p")).deleted_at is None


async def test_case_049_older_news_changes_nothing(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", at=5, email="new@a.example"))
        before = await site.contact("p")
        outcome = await site.take(person("p", at=4, seen=9, email="old@a.example"))
        assert outcome.contacts == 0
        assert told(await site.contact("p")) == told(before)


async def test_case_049_a_cached_copy_does_not_undo_what_was_confirmed_since(
    database_url: str,
) -> None:
    """The same version by Crisp's time: then the one observed last counts, changed or not."""
    async with connected(database_url) as site:
        await site.take(person("p", at=5, seen=10, email="right@a.example"))
        await site.take(person("p", at=5, seen=20, email="right@a.example"))
        await site.take(person("p", at=5, seen=15, email="cached@a.example"))
        assert (await site.contact("p")).email == "right@a.example"


VERSIONS = [
    person(
        "p", at=at, seen=seen, email=f"{name}@a.example", segments=[name], notepad=name,
        person={"nickname": name, "phone": phone}, company={"name": name, "domain": domain},
    )
    for at, seen, name, phone, domain in [
        (1, 9, "first", "1", "one.example"),
        (2, 5, "second", None, "two.example"),
        (2, 6, "third", "3", "two.example"),
        (3, 3, "fourth", None, "three.example"),
    ]
]  # fmt: skip


def as_of(record: ContactRecord, people_id: str) -> ContactRecord:
    raw = {**record.raw, "people_id": people_id}
    return replace(record, people_id=people_id, raw=raw)


def without_id(row: Any) -> dict[str, Any]:
    found = told(row)
    return {**found, "crisp_raw": {**found["crisp_raw"], "people_id": ""}}


async def test_all_orders_of_the_same_news_end_in_the_same_row(database_url: str) -> None:
    async with connected(database_url) as site:
        orders = {f"order-{n}": order for n, order in enumerate(permutations(VERSIONS))}
        for turn in range(len(VERSIONS)):
            await site.take(*(as_of(order[turn], name) for name, order in orders.items()))
        ends = [without_id(await site.contact(name)) for name in orders]
        assert all(end == ends[0] for end in ends)
        assert ends[0]["email"] == "fourth@a.example"
        shared = {name: await site.addresses(name) for name in orders}
        assert set(map(frozenset, shared.values())) == {frozenset({"fourth@a.example"})}


async def test_case_029_the_same_person_twice_in_a_batch(database_url: str) -> None:
    async with connected(database_url) as site:
        outcome = await site.take(*VERSIONS, *reversed(VERSIONS))
        assert outcome.rejected == []
        assert (await site.contact("p")).name == "fourth"


NEWS = st.builds(
    lambda at, seen, name: person("p", at=at, seen=seen, email=f"{name}@a.example", notepad=name),
    st.integers(0, 3), st.integers(0, 1000), st.sampled_from("abc"),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(NEWS, min_size=2, max_size=5, unique_by=lambda r: (r.version.crisp_ms, r.version.observed_ms))
    .flatmap(lambda news: st.tuples(st.just(news), st.permutations(news)))
)  # fmt: skip
async def test_any_news_in_any_order_one_by_one_or_at_once(
    sqlite_url: str, orders: tuple[list[ContactRecord], list[ContactRecord]]
) -> None:
    news, shuffled = orders
    async with connected(sqlite_url) as site:
        await site.execute(contact_emails.delete())
        await site.execute(contacts.delete())
        for record in shuffled:
            await site.take(as_of(record, "one by one"))
        await site.take(*(as_of(record, "at once") for record in news))
        one = without_id(await site.contact("one by one"))
        assert one == without_id(await site.contact("at once"))
        newest = max(news, key=lambda r: r.version.rank)
        assert one["email"] == newest.fields["email"]


@pytest.mark.parametrize("field", ["email", "person.nickname", "company.name", "company.domain"])
async def test_case_058_eight_kilobytes_in_an_indexed_field(database_url: str, field: str) -> None:
    """Of letters that do not compress and take four bytes each, as the index would see them."""
    import random

    long = "".join(chr(random.Random(8).randrange(0x20000, 0x2A000)) for _ in range(2_000))
    text = f"{long}@a.example" if field == "email" else long
    profile: Any = {field: text}
    if "." in field:
        outer, inner = field.split(".")
        profile = {outer: {inner: text, "domain": long}}
    async with connected(database_url) as site:
        outcome = await site.take(person("p", **profile), person("q", email="q@a.example"))
        assert outcome.rejected == []
        row = await site.contact("p")
        assert text in str(row.crisp_raw), "the raw profile keeps all of it"
        assert (await site.contact("q")).email == "q@a.example"


async def test_case_062_addresses_are_kept_as_sent_and_compared_in_normal_form(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email=" Ann.Example+news@BÜCHER.example "))
        assert (await site.contact("p")).email == "Ann.Example+news@BÜCHER.example"
        assert await site.addresses("p") == {"ann.example+news@xn--bcher-kva.example"}
