"""The seeded world: the same for the same seed, believable, and odd in every way it should be."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox import truth
from app.sandbox.addresses import email_form
from app.sandbox.chance import index_of, uuid_of
from app.sandbox.clock import DAY
from app.sandbox.company_keys import name_form, stated_company
from app.sandbox.envelope import dumps
from app.sandbox.world import World
from tests.sandbox.conftest import START
from tests.sandbox.walks import Json


@pytest.fixture(scope="module")
def full() -> World:
    return World(1, start_ms=START, frozen=True)


@pytest.fixture(scope="module")
def conversations(full: World) -> list[Json]:
    return [full.main.conversation(i) for i in range(900)]


@pytest.fixture(scope="module")
def messages(full: World) -> list[Json]:
    return [m for i in range(900) for m in full.main.spell_out(i, full.main.rows(i))]


@pytest.fixture(scope="module")
def profiles(full: World) -> list[Json]:
    return [full.main.profile(p) for p in range(300)]


def snapshot(seed: int) -> bytes:
    world = World(seed, 60, 90, start_ms=START, frozen=True)
    rows = [*truth.people(world), *truth.conversations(world), *truth.messages(world)]
    bodies = [world.main.conversation(i) for i in range(90)]
    return dumps([rows, bodies, world.key, world.signing_secret])


def test_same_seed_same_world_other_seed_other_world() -> None:
    assert snapshot(3) == snapshot(3)
    assert snapshot(3) != snapshot(4)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**28 - 1))
def test_uuid_can_be_turned_back_into_its_number(key: int, index: int) -> None:
    assert index_of(key, uuid_of(key, index), index + 1) == index
    assert index_of(key, uuid_of(key, index), index) is None


def test_sizes_and_rhythm(full: World, conversations: list[Json], messages: list[Json]) -> None:
    assert 8 < len(messages) / 900 < 9.6
    threads = Counter(m["session_id"] for m in messages)
    assert sum(n == 300 for n in threads.values()) >= 2
    assert len(threads) < 900, "some conversations are empty"
    ages = [(START - c["updated_at"]) / DAY for c in conversations]
    assert min(ages) < 1
    assert max(ages) > 500
    working = sum(7 <= c["updated_at"] // 3_600_000 % 24 <= 18 for c in conversations)
    assert working > 800
    states = Counter(c["state"] for c in conversations)
    assert states["resolved"] > 700
    assert set(states) == {"pending", "unresolved", "resolved"}


def test_times_ascend_and_fingerprints_are_unique_in_a_conversation(full: World) -> None:
    for i in range(900):
        body, rows = full.main.conversation(i), full.main.rows(i)
        times = [at for at, _ in rows]
        assert times == sorted(times)
        assert not times or body["created_at"] <= times[0] <= times[-1] <= body["updated_at"]
        assert body["updated_at"] <= START
        ids = [m["fingerprint"] for m in full.main.spell_out(i, rows)]
        assert len(set(ids)) == len(ids)


def test_every_identity_and_reason_occurs(full: World) -> None:
    rows = list(truth.conversations(full))
    assert {r["rule"] for r in rows} == {"people_id", "email", None}
    reasons = {r["reason"] for r in rows}
    assert reasons >= {"ambiguous_email", "unknown_person", "unknown_email", "no_identity", None}
    assert {r["match_verified"] for r in rows if r["rule"] == "email"} == {True, False}
    matched = sum(r["owner"] is not None for r in rows)
    assert matched > 600


def test_odd_addresses(conversations: list[Json], profiles: list[Json]) -> None:
    spelt = [c["meta"].get("email") for c in conversations]
    texts = [e for e in spelt if e]
    assert "" in spelt
    assert None in spelt
    assert any("email" not in c["meta"] for c in conversations)
    assert any(e != e.strip() for e in texts)
    assert any(e == e.upper() for e in texts)
    assert any("+" in e for e in texts)
    assert any("@xn--" in e for e in texts)
    assert any(not (p.get("email") or "").isascii() for p in profiles)
    assert {p.get("email", "missing") for p in profiles} >= {"missing", "", None}
    forms = Counter(f for p in profiles if (f := email_form(p.get("email"))))
    assert max(forms.values()) == 2
    assert any("@freemail.example" in (p.get("email") or "") for p in profiles)
    for address in [*texts, *(p["email"] for p in profiles if p.get("email"))]:
        assert address.strip().lower().endswith(".example"), address
    conflicts = [
        c for c in conversations
        if c.get("people_id") and c["meta"].get("email")
        and any(p["people_id"] == c["people_id"]
                and email_form(p.get("email")) != email_form(c["meta"]["email"]) for p in profiles)
    ]  # fmt: skip
    assert conflicts


def test_odd_companies(full: World, profiles: list[Json]) -> None:
    stated = [(p, stated_company(p)) for p in profiles]
    names: dict[str, set[str]] = {}
    for _, found in stated:
        if found and found.domain and found.name:
            names.setdefault(found.domain, set()).add(found.name)
    assert any(len(several) > 1 for several in names.values()), "a renamed company"
    owners: dict[str, set[str]] = {}
    for domain, several in names.items():
        for name in several:
            owners.setdefault(name_form(name), set()).add(domain)
    assert all(len(domains) == 1 for domains in owners.values()), "no name for two domains"
    bare = [name_form(found.name) for _, found in stated if found and not found.domain]
    assert any(name in owners for name in bare)
    assert any(name not in owners for name in bare)
    assert any(found is None for _, found in stated)
    assert any("company" not in p and found for p, found in stated), "by employment only"
    keys = {row["company_key"] for row in truth.people(full)}
    assert any(key and key.startswith("name:") for key in keys)


def test_a_bare_name_is_the_company_that_has_the_domain(full: World) -> None:
    rows = {row["people_id"]: row for row in truth.people(full)}
    for p in range(300):
        found = stated_company(full.main.profile(p))
        if found and not found.domain and "&" not in found.name and p % 60 in (23, 24):
            assert rows[full.main.people_id(p)]["company_key"].startswith("domain:")


def test_every_type_of_message(messages: list[Json]) -> None:
    kinds = {m["type"] for m in messages}
    assert kinds >= {
        "text", "note", "file", "audio", "animation", "picker", "field", "carousel", "event",
        "x-poll", "hologram",
    }  # fmt: skip
    events = {m["content"]["namespace"] for m in messages if m["type"] == "event"}
    assert events >= {"state:resolved", "user:blocked", "thread:started"}
    assert any(m.get("automated") for m in messages)
    assert any(m["edited"] for m in messages)
    assert all(m["from"] == "operator" for m in messages if m["type"] in ("note", "event"))


def test_odd_texts(messages: list[Json], conversations: list[Json]) -> None:
    texts = [m["content"] for m in messages if isinstance(m["content"], str)]
    for odd in ("\u0000", "\ud83d", "<script>", "javascript:", "\u202e", "\u200d", "=cmd"):
        assert any(odd in text for text in texts), repr(odd)
    assert max(map(len, texts)) >= 60_000
    assert any(unicodedata.bidirectional(text[0]) in ("R", "AL") for text in texts if text)
    assert any("\u0000" in key for c in conversations for key in c["meta"].get("data") or {})
    languages = {
        c["meta"]["device"]["locales"][0] for c in conversations if c["meta"].get("device")
    }
    assert languages == {"en", "fr", "de", "es", "pt", "ja", "ar", "he"}


def test_odd_numbers(messages: list[Json], conversations: list[Json]) -> None:
    ids = [m["fingerprint"] for m in messages]
    assert min(ids) < 0
    assert any(2**31 <= n < 2**32 for n in ids)
    assert max(Counter(ids).values()) >= 2
    assert max(ids) < 2**53
    waiting = {type(c.get("waiting_since")) for c in conversations}
    assert str in waiting
    assert max(Counter(c["updated_at"] for c in conversations).values()) >= 10


def test_equal_times_at_the_edge_of_a_batch(full: World) -> None:
    times = [at for at, _ in full.main.rows(23)]
    assert times[-40] == times[-41]
    assert times[39] == times[40]


def test_missing_empty_and_null_fields(conversations: list[Json], profiles: list[Json]) -> None:
    for name in ("topic", "participants", "assigned"):
        assert any(name not in c for c in conversations), name
    nicknames = [c["meta"].get("nickname", "missing") for c in conversations]
    assert None in nicknames
    assert any(str(name).startswith("visitor") for name in nicknames)
    people = {p["person"].get("nickname", "missing") for p in profiles}
    assert people >= {"missing", "", None}
    assert any(p.get("company", "missing") is None for p in profiles)


def test_hundred_thousand_conversations_cost_no_messages() -> None:
    world = World(1, 2_000, 100_000, start_ms=START, others=())
    assert not world.main.overlays
    assert len(world.main.by_update) == 100_000
    newest = world.main.by_update.page(0, 100_000, 0, 50)
    assert len({world.main.conversation(i)["session_id"] for i in newest}) == 50


def test_an_empty_website_is_possible() -> None:
    world = World(1, 0, 0, start_ms=START, others=())
    assert list(truth.people(world)) == list(truth.conversations(world)) == []
    assert World(1, 0, 50, others=()).main.conversation(3)["session_id"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A@B.example", " a@b.example\n"),
        ("x@bücher.example", "x@xn--bcher-kva.example"),
        ("u\u0308@a.example", "ü@a.example"),
    ],
)
def test_addresses_that_are_the_same(one: str, other: str) -> None:
    assert email_form(one) == email_form(other)


def test_addresses_that_are_not() -> None:
    assert email_form("a+b@c.example") != email_form("a@c.example")
    assert email_form("") is email_form(None) is email_form("no address") is email_form(3) is None
