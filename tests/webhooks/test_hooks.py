"""What a signed body is about; nothing in it keeps it from being stored."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import to_ms
from app.webhooks.hooks import LONGEST_NAME, Hook, read_hook
from tests.webhooks.taking import WEBSITE, hook_body

RECEIVED = datetime(2026, 11, 23, 12, tzinfo=UTC)
RECEIVED_MS = to_ms(RECEIVED)
FIVE_MINUTES = 300_000
OTHER = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"


def read(body: Any, timestamp: str = "", attempt: str = "1") -> Hook:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_hook(raw, timestamp.encode(), attempt.encode(), RECEIVED)


def test_an_ordinary_hook() -> None:
    body = hook_body()
    hook = read(body)
    assert hook == Hook(
        id=hashlib.sha256(body).hexdigest(),
        website_id=WEBSITE,
        event="message:send",
        error=None,
        received_at=RECEIVED,
        body=body,
        emitted_ms=1506985696616,
        first_attempt=1,
    )
    assert hook.state == "new"


def test_the_website_may_stand_in_the_data_only() -> None:
    hook = read({"event": "message:send", "data": {"website_id": WEBSITE}})
    assert (hook.website_id, hook.state) == (WEBSITE, "new")
    # Whose it is, the applier decides.
    assert (read({"event": "x"}).website_id, read({"event": "x"}).state) == (None, "new")


@pytest.mark.parametrize("inner", [OTHER, 5, [], WEBSITE.upper(), ""])
def test_case_020_two_websites_in_one_hook_are_dead(inner: Any) -> None:
    hook = read({"website_id": WEBSITE, "event": "x", "data": {"website_id": inner}})
    assert hook.state == "dead"
    assert "different websites" in (hook.error or "")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"1", b'"x"', b"null", b"NaN"])
def test_case_010_what_is_no_object_is_dead(body: bytes) -> None:
    hook = read(body)
    assert (hook.state, hook.event, hook.website_id, hook.body) == ("dead", "", None, body)


@pytest.mark.parametrize("website", [5, 1.5, True, [], {}, ""])
def test_case_018_a_website_that_is_no_text(website: Any) -> None:
    assert read({"website_id": website, "event": "x"}).state == "dead"


@pytest.mark.parametrize("event", [None, 5, [], {}, ""])
def test_case_018_an_event_that_is_no_text(event: Any) -> None:
    hook = read({"website_id": WEBSITE, "event": event})
    assert (hook.state, hook.event, hook.website_id) == ("dead", "", WEBSITE)


def test_case_058_names_are_cut() -> None:
    hook = read({"website_id": "w" * 10_000, "event": "e" * 10_000})
    assert len(hook.website_id or "") == len(hook.event) == LONGEST_NAME


@pytest.mark.parametrize(
    ("told", "header", "emitted"),
    [
        (1506985696616, "1506985696700", 1506985696616),
        (1506985696, "", 1506985696000),  # seconds
        (1506985696616.7, "", 1506985696616),
        (None, "1506985696700", 1506985696700),
        (None, "1506985696", 1506985696000),
        ("1506985696616", "", 0),
        (True, "", 0),
        ([], "soon", 0),
        (0, "", 0),
        (-5, "1506985696", 1506985696000),
        (None, "1_5", 0),
        (None, "9" * 5000, 0),
        (None, "²", 0),
        (RECEIVED_MS + FIVE_MINUTES - 1, "", RECEIVED_MS + FIVE_MINUTES - 1),
        (RECEIVED_MS + 10 * 365 * 86_400_000, "", RECEIVED_MS + FIVE_MINUTES),
        (10**30, "", RECEIVED_MS + FIVE_MINUTES),
        (1e300, "", RECEIVED_MS + FIVE_MINUTES),
        (None, "9" * 18, RECEIVED_MS + FIVE_MINUTES),
    ],
)
def test_case_016_times_in_any_unit_and_none(told: Any, header: str, emitted: int) -> None:
    assert read({"event": "x", "timestamp": told}, header).emitted_ms == emitted


@pytest.mark.parametrize(
    ("header", "attempt"),
    [("1", 1), ("3", 3), ("", 1), ("0", 1), ("-1", 1), ("x", 1), ("9" * 30, 1), ("1001", 1)],
)
def test_the_attempt_that_came_first(header: str, attempt: int) -> None:
    assert read(hook_body(), attempt=header).first_attempt == attempt


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("website_id", "event", "timestamp", "data"), JSON)
    )
)
def test_case_018_any_envelope_is_read(envelope: dict[str, Any]) -> None:
    hook = read(envelope)
    assert 0 <= hook.emitted_ms <= RECEIVED_MS + FIVE_MINUTES
    for text in (hook.website_id or "", hook.event):
        assert len(text) <= LONGEST_NAME
        assert "\0" not in text
        text.encode()
