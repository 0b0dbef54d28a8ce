"""Changes: lists stay sorted, answers and truth stay one, every change is told."""

from collections import Counter

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox import truth
from app.sandbox.churn import DEFAULT_MIX, make, make_changes
from app.sandbox.company_keys import stated_company
from app.sandbox.conversation_changes import (
    begin_conversation,
    bind_person,
    rate,
    remove_conversation,
    set_field,
)
from app.sandbox.message_changes import edit_message, remove_message, send_message
from app.sandbox.people_changes import REMOVE, change_person, new_person, remove_person
from app.sandbox.records import Change
from app.sandbox.world import World
from tests.sandbox.conftest import START
from tests.sandbox.walks import Json, pages, walk_back


def row_of(world: World, i: int) -> Json:
    return truth.conversation(world, world.main.session_id(i))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_lists_stay_sorted_and_whole_under_churn(seed: int) -> None:
    world = World(seed, 70, 130, start_ms=START, frozen=True, others=())
    for _ in range(150):
        world.clock.advance(1_000)
        make_changes(world, 1)
    site = world.main
    numbers = list(site.by_update.numbers())
    times = [site.conversation(i)["updated_at"] for i in numbers]
    assert times == sorted(times)
    assert len(set(numbers)) == len(numbers)
    filled = set(site.by_update_filled.numbers())
    assert filled == {i for i in numbers if site.rows(i)}
    gone = {i for i, over in site.overlays.items() if over.removed_at is not None}
    assert set(numbers) == set(range(site.conversations_total)) - gone
    living = set(site.people_order.numbers())
    assert living == set(range(site.people_total)) - set(site.people_gone)
    fresh: dict[str, set[int]] = {}
    for p in living:
        site._index_address(fresh, p)
    assert {k: v for k, v in site.by_email.items() if v} == fresh


@pytest.mark.parametrize("kind", list(DEFAULT_MIX))
def test_every_kind_of_the_mix_can_happen(world: World, kind: str) -> None:
    told: list[Change] = []
    world.listeners.append(told.append)
    made = [change for _ in range(20) for change in make(world, world.main, kind)]
    assert made
    assert told == made == list(world.changes)
    assert all(change.data["website_id"] == world.website_id for change in made)


def test_unknown_kind_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="no such change"):
        make(world, world.main, "revolution")


async def test_answers_equal_the_truth_after_churn(crisp: httpx.AsyncClient, world: World) -> None:
    for _ in range(200):
        world.clock.advance(500)
        make_changes(world, 1, world.main)
    path = f"/website/{world.website_id}"
    rows = {
        c["session_id"]: c for c in await pages(crisp, f"{path}/conversations", include_empty=1)
    }
    truths = {c["session_id"]: c for c in truth.conversations(world, removed=False)}
    assert set(rows) == set(truths)
    for session in list(rows)[:60]:
        live = [m for m in truth.messages(world, session_id=session) if not m["removed"]]
        seen = await walk_back(crisp, f"{path}/conversation/{session}/messages")
        assert [m["fingerprint"] for m in seen] == [m["fingerprint"] for m in live]
        assert [m["content"] for m in seen] == [m["content"] for m in live]
        assert len(live) == truths[session]["messages"]


async def test_changes_happen_between_requests(crisp: httpx.AsyncClient, world: World) -> None:
    world.changes_per_request = 2.5
    world.changes_left = 20
    for _ in range(12):
        await crisp.get("/plugin/connect/account")
    assert world.changes_left == 0
    assert world.change_count >= 20


def test_message_sent_edited_and_removed(world: World) -> None:
    site, i = world.main, 30
    before = site.message_count(i)
    world.clock.advance(10_000)
    change = send_message(world, site, i, "new one")
    assert change.event == "message:send"
    assert site.conversation(i)["last_message"] == "new one"
    assert site.conversation(i)["updated_at"] == world.clock.now()
    assert site.by_update.page(0, len(site.by_update), 0, 1) == [i]
    edit_message(world, site, i, change.data["fingerprint"], "newer")
    messages = list(truth.messages(world, session_id=site.session_id(i)))
    assert (messages[-1]["content"], messages[-1]["edited"]) == ("newer", True)
    touched = site.updated_at(i)
    world.clock.advance(10_000)
    remove_message(world, site, i, change.data["fingerprint"])
    assert site.updated_at(i) == touched, "a removal does not move the conversation"
    assert site.message_count(i) == before
    messages = list(truth.messages(world, session_id=site.session_id(i)))
    assert [m["removed"] for m in messages].count(True) == 1


def test_message_without_a_bump(world: World) -> None:
    before = world.main.updated_at(30)
    world.clock.advance(5_000)
    send_message(world, world.main, 30, "silent", inbound=False, bump=False)
    assert world.main.updated_at(30) == before


def test_person_changed_and_removed(world: World) -> None:
    site = world.main
    i = next(i for i in range(500) if row_of(world, i)["rule"] == "people_id")
    p = site.person_number(row_of(world, i)["owner"])
    assert p is not None
    world.clock.advance(1_000)
    change_person(world, site, p, email="Other@Place.example", person={"nickname": "N"})
    assert site.person_number("other@place.example") == p
    person = next(r for r in truth.people(world) if r["people_id"] == site.people_id(p))
    assert (person["name"], person["updated_at"]) == ("N", world.clock.now())
    change_person(world, site, p, email=REMOVE)
    assert "email" not in site.profile(p)
    remove_person(world, site, p)
    row = row_of(world, i)
    if row["owner"] is None:
        assert row["reason"] in ("contact_removed", "ambiguous_email")
    assert site.person_number(site.people_id(p)) is None
    gone = [r for r in truth.people(world) if r["removed"]]
    assert [r["people_id"] for r in gone] == [site.people_id(p)]


def test_removed_person_is_the_reason_even_by_address(world: World) -> None:
    site = world.main
    p, _ = new_person(world, site, email="lone@wolf.example")
    i, _ = begin_conversation(world, site, people_id=None, meta={"email": " LONE@wolf.example"})
    row = row_of(world, i)
    assert (row["owner"], row["rule"]) == (site.people_id(p), "email")
    remove_person(world, site, p)
    row = row_of(world, i)
    assert (row["reason"], row["reason_unseen"]) == ("contact_removed", "unknown_email")


def test_replaced_company_is_in_the_history(world: World) -> None:
    site = world.main
    p = next(p for p in range(60) if stated_company(site.profile(p)))
    stated = stated_company(site.profile(p))
    assert stated is not None
    world.clock.advance(1_000)
    change_person(world, site, p, company={"name": "New Shore", "domain": "new-shore.example"})
    assert list(truth.company_history(world)) == [
        {
            "people_id": site.people_id(p), "at_ms": world.clock.now(), "old": stated.key,
            "new": "domain:new-shore.example",
        }
    ]  # fmt: skip
    row = next(r for r in truth.people(world) if r["people_id"] == site.people_id(p))
    assert (row["company_key"], row["company_name"]) == ("domain:new-shore.example", "New Shore")


def test_binding_a_session(world: World) -> None:
    site = world.main
    i = next(i for i in range(500) if row_of(world, i)["reason"] == "no_identity")
    people = site.people_id(5)
    site.sessions_of(people)
    bind_person(world, site, i, people)
    assert row_of(world, i)["owner"] == people
    assert site.session_id(i) in site.sessions_of(people)


def test_conversation_fields_and_removal(world: World) -> None:
    site = world.main
    assert set_field(world, site, 30, "subject", "New").event == "session:set_subject"
    assert site.conversation(30)["meta"]["subject"] == "New"
    assigned = set_field(world, site, 30, "assigned", None)
    assert assigned.event == "session:set_routing"
    assert row_of(world, 30)["assigned_name"] is None
    assert rate(world, site, 30, 5).data["rating"]["stars"] == 5
    set_field(world, site, 30, "state", "pending")
    assert (site.conversation(30)["state"], site.conversation(30)["status"]) == ("pending", 0)
    remove_conversation(world, site, 30)
    assert site.number_of(site.session_id(30)) is None
    assert row_of(world, 30)["removed"] is True


def test_empty_conversation_joins_the_list_with_its_first_message(world: World) -> None:
    site = world.main
    i, _ = begin_conversation(world, site, content=None)
    assert i in set(site.by_update.numbers())
    assert i not in set(site.by_update_filled.numbers())
    change = send_message(world, site, i, "first")
    assert i in set(site.by_update_filled.numbers())
    remove_message(world, site, i, change.data["fingerprint"])
    assert i not in set(site.by_update_filled.numbers())


def test_mix_can_be_chosen(world: World) -> None:
    world.mix = {"person_new": 1, "state": 1}
    kinds = Counter(change.kind for change in make_changes(world, 40))
    assert set(kinds) == {"person_new", "conversation_state"}
