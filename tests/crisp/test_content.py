"""What a person reads of a message, for each type that Crisp has and for those it may add."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crisp.content import body_of, direction_of
from tests.ingesting import payload

BODIES = {
    "text": "Hi, how do I upgrade?",
    "note": "VIP, be quick",
    "file": "invoice.pdf",
    "animation": "https://media.example.com/x.gif",
    "audio": "https://storage.crisp.chat/users/upload/session/x/a.mp3",
}


def by_type() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for message in payload("rest_messages_206")["data"]:
        found.setdefault(message["type"], message)
    return found


@pytest.mark.parametrize(("kind", "body"), BODIES.items())
def test_body_of_plain_types(kind: str, body: str) -> None:  # SPEC D3
    assert body_of(kind, by_type()[kind]["content"]) == body


def test_every_type_of_the_api_has_a_body() -> None:  # SPEC D3
    types = by_type()
    assert {"text", "note", "file", "animation", "audio", "picker", "field", "carousel", "event"} <= set(types)  # fmt: skip
    for kind, message in types.items():
        assert body_of(kind, message["content"]), kind


def test_picker_shows_its_question_and_what_was_chosen() -> None:
    content = {
        "text": "How was it?",
        "choices": [{"label": "Good", "selected": True}, {"label": "Bad", "selected": False}],
    }
    assert body_of("picker", content) == "How was it?\nGood"


def test_field_shows_its_question_and_the_answer() -> None:
    assert body_of("field", {"text": "Your order?", "value": "4471"}) == "Your order?\n4471"


def test_carousel_shows_the_texts_of_its_cards() -> None:
    targets = [{"title": "Pro", "description": "For teams"}, {"title": "Free"}]
    assert body_of("carousel", {"text": "Plans", "targets": targets}) == (
        "Plans\nPro\nFor teams\nFree"
    )


def test_event_shows_its_text_else_its_name() -> None:
    assert body_of("event", {"namespace": "state:resolved"}) == "state:resolved"
    assert body_of("event", {"namespace": "x", "text": "Resolved by Mira"}) == "Resolved by Mira"


def test_unknown_type_shows_its_text() -> None:
    assert body_of("hologram", {"text": "Wave", "model": {}}) == "Wave"
    assert body_of("hologram", {"model": {}}) == ""


@pytest.mark.parametrize(
    ("kind", "sent_by", "sender", "side"),
    [
        ("text", "user", "x", "inbound"),
        ("text", "operator", "x", "outbound"),
        ("note", "operator", "x", "internal"),
        ("event", "operator", "x", "internal"),
        ("text", None, "session_1", "inbound"),
        ("text", None, "operator-1", "outbound"),
        ("text", ["user"], "session_1", "inbound"),
    ],
)
def test_sides(kind: str, sent_by: Any, sender: str, side: str) -> None:  # SPEC D3
    assert direction_of(kind, sent_by, sender, "session_1") == side


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["text", "name", "url", "choices", "targets", "title", "value", "label",
                         "selected", "namespace", "description", "odd"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from([*by_type(), "hologram"]), JSON, JSON, JSON)
def test_any_content_has_a_body_and_a_side(
    kind: str, content: Any, sent_by: Any, sender: Any
) -> None:
    assert isinstance(body_of(kind, content), str)
    assert direction_of(kind, sent_by, sender, "session_1") in {"inbound", "outbound", "internal"}
