"""Crisp's objects to records: the documented ones whole, damaged ones without an exception."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import from_ms
from app.crisp import translate
from app.records import ContactRecord, ConversationRecord, MessageRecord, OperatorRecord, Rejected
from tests.ingesting import payload

PROFILE = payload("rest_people_profile_get")["data"]
CONVERSATION = payload("rest_conversation_get")["data"]
MESSAGES = payload("rest_messages_206")["data"]
OPERATOR = payload("rest_operators_list")["data"][0]
ASKED = 1_641_206_100_000


def contact_of(profile: Any) -> ContactRecord:
    record = translate.contact(profile, ASKED, direct=False)
    assert isinstance(record, ContactRecord)
    return record


def conversation_of(item: Any) -> ConversationRecord:
    record = translate.conversation(item, ASKED, direct=False)
    assert isinstance(record, ConversationRecord)
    return record


def message_of(item: Any) -> MessageRecord:
    record = translate.message(item, item["session_id"], ASKED)
    assert isinstance(record, MessageRecord)
    return record


def test_profile() -> None:
    record = contact_of(PROFILE)
    assert record.people_id == PROFILE["people_id"]
    assert record.version.crisp_ms == PROFILE["updated_at"]
    assert record.version.observed_ms == ASKED
    assert record.segments == ["customer"]
    assert record.raw == PROFILE
    assert record.fields["person.employment.title"] == "CTO"
    assert record.fields["company.domain"] == "crisp.chat"
    assert record.fields["active.last"] == 1641206011000


def test_profile_says_nothing_of_what_it_leaves_out() -> None:  # SPEC D5
    record = contact_of({"people_id": "p"})
    assert record.fields == {}
    assert record.segments is None
    assert record.version.crisp_ms == 0


@pytest.mark.parametrize("emptied", ["", None, "  "])
def test_profile_says_what_was_emptied(emptied: Any) -> None:  # SPEC D5
    record = contact_of({"people_id": "p", "email": emptied, "person": {"nickname": emptied}})
    assert record.fields == {"email": None, "person.nickname": None}


def test_every_profile_of_the_list_is_a_contact() -> None:
    for item in payload("rest_people_profiles_list")["data"]:
        assert contact_of(item).people_id == item["people_id"]


def test_conversation() -> None:  # SPEC D2
    record = conversation_of(CONVERSATION)
    assert record.session_id == CONVERSATION["session_id"]
    assert record.last_fingerprint == 164120601100042
    assert record.fields == {
        "nickname": "Valerian Saliou",
        "email": "valerian@crisp.chat",
        "email_verified": False,
        "people_id": CONVERSATION["people_id"],
        "status": "unresolved",
        "subject": "Question about my plan",
        "origin": "chat",
        "assigned_user_id": CONVERSATION["assigned"]["user_id"],
        "last_message": "Thank you!",
        "crisp_created_at": from_ms(CONVERSATION["created_at"]),
        "crisp_updated_at": from_ms(CONVERSATION["updated_at"]),
    }
    assert record.metadata["data"] == {"plan": "pro", "plan_price": 95, "is_trialing": False}
    assert record.metadata["segments"] == ["customer", "bug"]
    assert record.metadata["topic"] == "Plan upgrade"
    assert record.metadata["participants"] == CONVERSATION["participants"]


def test_conversation_says_nothing_of_what_it_leaves_out() -> None:  # SPEC D5
    record = conversation_of({"session_id": "s"})
    assert record.fields == {}
    assert record.metadata == {}


@pytest.mark.parametrize(("number", "word"), [(0, "pending"), (1, "unresolved"), (2, "resolved")])
def test_status_number_tells_the_state_where_the_word_is_missing(number: int, word: str) -> None:
    assert conversation_of({"session_id": "s", "status": number}).fields == {"status": word}


@pytest.mark.parametrize(
    ("told", "verified"),
    [
        ({"is_verified": True}, True),
        ({"is_verified": False, "verifications": [{"identity": "email"}]}, True),
        ({"verifications": [{"identity": "phone"}, "email", None]}, False),
        ({"is_verified": "yes"}, False),
        ({"verifications": 5}, False),
    ],
)
def test_address_counts_as_verified_only_on_crisps_word(
    told: Any, verified: bool
) -> None:  # SPEC M7
    assert conversation_of({"session_id": "s", **told}).fields == {"email_verified": verified}


def test_messages_of_every_type() -> None:  # SPEC D3
    for item in MESSAGES:
        record = message_of(item)
        assert record.type == item["type"]
        assert record.raw == item
        assert record.sent_at == from_ms(item["timestamp"])
        assert record.sender_name == item["user"]["nickname"]
        whole = record.body if record.content is None else record.content
        assert whole == item["content"]


def test_custom_data_is_nested_twice() -> None:
    assert translate.custom_data(payload("rest_people_data")["data"]) == {
        "plan": "pro",
        "plan_price": 95,
        "is_trialing": False,
        "user-id": "XXXX",
    }
    assert translate.custom_data({"plan": "pro"}) is None


def test_operator() -> None:
    record = translate.operator(OPERATOR)
    assert record == OperatorRecord(
        OPERATOR["details"]["user_id"], "Baptiste J", "baptiste@example.com", "owner"
    )
    assert translate.operator({"type": "operator"}) is None


@pytest.mark.parametrize("fingerprint", [None, True, "1", 1.5, 2**63, -(2**63) - 1, [], {}])
def test_case_060_what_is_no_64_bit_number_is_rejected(fingerprint: Any) -> None:
    rejected = translate.message({"fingerprint": fingerprint}, "s", ASKED)
    assert isinstance(rejected, Rejected)
    assert rejected.external_id == f"s/{fingerprint}"


@pytest.mark.parametrize("fingerprint", [150_698_569_649_423, -333, 0, 2**63 - 1, -(2**63)])
def test_case_060_64_bit_numbers_are_kept(fingerprint: int) -> None:
    record = translate.message({"fingerprint": fingerprint}, "s", ASKED)
    assert isinstance(record, MessageRecord)
    assert record.fingerprint == fingerprint


@pytest.mark.parametrize("odd", [None, "", 5, ["p"], {"a": 1}, "x" * 129, "a\nb"])
def test_records_without_a_usable_id_are_rejected(odd: Any) -> None:
    for rejected in (
        translate.contact({"people_id": odd}, ASKED, direct=False),
        translate.conversation({"session_id": odd}, ASKED, direct=False),
    ):
        assert isinstance(rejected, Rejected)
        assert len(rejected.external_id) <= 80


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just([]),
    st.just({}), st.just([[]]), st.just({"user_id": []}), st.just([None, 5, {"identity": []}]),
    st.just("x" * 9000), st.integers(-(2**70), 2**70),
)  # fmt: skip


def paths_of(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [found for key, part in inner for found in [(*before, key), *paths_of(part, (*before, key))]]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """The object with some fields left out, or of another type."""
    value = deepcopy(whole)
    for path in draw(st.lists(st.sampled_from(paths_of(whole)), min_size=1, max_size=5)):
        place: Any = value
        for key in path[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
            if not isinstance(place, dict):
                break
        if isinstance(place, dict):
            if draw(st.booleans()):
                place.pop(path[-1], None)
            else:
                place[path[-1]] = draw(ODD)
    return value


@given(damaged(PROFILE))
def test_damaged_profiles_are_translated_or_rejected(profile: Any) -> None:
    record = translate.contact(profile, ASKED, direct=False)
    assert isinstance(record, ContactRecord | Rejected)
    if isinstance(record, ContactRecord):
        assert all(v is None or isinstance(v, str | int | float) for v in record.fields.values())


@given(damaged(CONVERSATION))
def test_damaged_conversations_are_translated_or_rejected(item: Any) -> None:
    record = translate.conversation(item, ASKED, direct=False)
    assert isinstance(record, ConversationRecord | Rejected)
    if isinstance(record, ConversationRecord):
        assert record.fields.get("status", "pending") in {"pending", "unresolved", "resolved"}


@given(st.sampled_from(MESSAGES).flatmap(damaged))
def test_damaged_messages_are_translated_or_rejected(item: Any) -> None:
    record = translate.message(item, "session_1", ASKED)
    assert isinstance(record, MessageRecord | Rejected)


@given(damaged(OPERATOR), damaged(payload("rest_people_data")["data"]))
def test_damaged_operators_and_custom_data_do_no_harm(item: Any, data: Any) -> None:
    assert isinstance(translate.operator(item), OperatorRecord | None)
    assert isinstance(translate.custom_data(data), dict | None)


@pytest.mark.parametrize("status", [[], {}, "1", None, 9, True])
def test_a_status_of_another_type_says_nothing(status: Any) -> None:
    assert conversation_of({"session_id": "s", "status": status}).fields == {}
