"""What each answer of Crisp means: every status that is known, and many that are not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crisp.errors import (
    RULES,
    AuthRejected,
    CrispError,
    Gone,
    NotSubscribed,
    Permanent,
    Throttled,
    Transient,
    error_for,
)
from app.errors import CrispsyncError

MEANINGS: list[tuple[int, str, type[CrispError]]] = [
    (301, "", Permanent),
    (302, "", Permanent),
    (304, "", Permanent),
    (400, "invalid_data", Permanent),
    (400, "", Permanent),
    (400, "restricted_route_tier", AuthRejected),
    (401, "invalid_session", AuthRejected),
    (401, "restricted_route_tier", AuthRejected),
    (401, "", AuthRejected),
    (402, "subscription_upgrade_required", Permanent),
    (402, "restricted_route_tier", AuthRejected),
    (403, "not_allowed", AuthRejected),
    (403, "restricted_route_tier", AuthRejected),
    (403, "", AuthRejected),
    (404, "not_found", Gone),
    (404, "not_subscribed", NotSubscribed),
    # A 404 that does not say what is missing must not delete anything.
    (404, "", Permanent),
    (404, "route_not_found_at_all", Permanent),
    (404, "unknown_route", Permanent),
    (405, "method_not_allowed", Permanent),
    (408, "", Transient),
    (409, "conflict", Permanent),
    (410, "", Permanent),
    (413, "", Permanent),
    (420, "rate_limited", Throttled),
    (420, "", Throttled),
    (422, "quota_or_rate_limited", Throttled),
    (422, "quota_limit_exceeded", Throttled),
    (422, "rate_limited", Throttled),
    (422, "invalid_data", Permanent),
    (422, "", Permanent),
    (423, "quota_limit_exceeded", Throttled),
    (423, "", Throttled),
    (429, "quota_limit_exceeded", Throttled),
    (429, "rate_limited", Throttled),
    (429, "", Throttled),
    (451, "", Permanent),
    (500, "internal_error", Transient),
    (501, "", Transient),
    (502, "", Transient),
    (503, "", Transient),
    (504, "", Transient),
    (522, "", Transient),
    (599, "", Transient),
    # No page of a list, whatever it may be.
    (100, "", Transient),
    (201, "added", Transient),
    (202, "dispatched", Transient),
    (204, "", Transient),
    (600, "", Transient),
    (999, "", Transient),
]


@pytest.mark.parametrize(("status", "reason", "meaning"), MEANINGS)
def test_meaning(status: int, reason: str, meaning: type[CrispError]) -> None:
    error = error_for(status, reason)
    assert type(error) is meaning
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "reason", "quota"),
    [
        (420, "rate_limited", False),
        (429, "rate_limited", False),
        (429, "quota_limit_exceeded", True),
        (422, "quota_or_rate_limited", True),
        (422, "rate_limited", False),
        (423, "quota_limit_exceeded", True),
        (423, "", True),
    ],
)
def test_day_of_quota_is_told_from_speed(status: int, reason: str, quota: bool) -> None:
    error = error_for(status, reason, retry_after=7)
    assert isinstance(error, Throttled)
    assert (error.quota, error.retry_after) == (quota, 7)


@given(st.integers(0, 1200), st.text(max_size=60))
def test_every_answer_has_one_meaning_and_a_sentence(status: int, reason: str) -> None:
    error = error_for(status, reason)
    assert isinstance(error, CrispsyncError)
    assert error.message.endswith(".")
    assert str(status) in error.message


@given(st.integers(200, 699), st.text(max_size=60))
def test_only_a_named_404_is_believed_to_be_a_removal(status: int, reason: str) -> None:  # SPEC S9
    if isinstance(error_for(status, reason), Gone):
        assert status == 404
        assert reason == "not_found"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.statuses.start} {rule.reason}")
def test_no_rule_is_hidden_behind_an_earlier_one(rule: object) -> None:
    deciding = {
        next(r for r in RULES if status in r.statuses and re.search(r.reason, word))
        for status in range(300, 600)
        for word in ("", "quota", "rate", "restricted_route_tier", "not_subscribed", "not_found")
    }
    assert rule in deciding
