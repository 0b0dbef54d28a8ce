"""Crisp's clock worked out from the whole seconds of its Date header."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.clock import EPOCH, now_ms
from app.crisp.skew import CrispClock
from app.sync.pull import CLOCK_DOUBT_MS

NOW = 1_790_000_000_000
offsets = st.integers(-3 * 86_400_000, 3 * 86_400_000)
# (milliseconds since the answer before, way there, way back)
answers = st.lists(
    st.tuples(st.integers(0, 90_000), st.integers(0, 1500), st.integers(0, 1500)), min_size=1
)


def header(crisp_ms: int) -> str:
    return format_datetime(EPOCH + timedelta(seconds=crisp_ms // 1000), usegmt=True)


def answer(of: CrispClock, sent_ms: int, there: int, back: int, offset: int) -> int:
    """One exchange; when it ended by this machine's clock."""
    of.observe(header(sent_ms + there + offset), sent_ms, sent_ms + there + back)
    return sent_ms + there + back


@given(offsets, answers)
def test_never_further_off_than_one_answer_can_tell(
    offset: int, exchanges: list[tuple[int, int, int]]
) -> None:  # FAILURES case 52
    of, machine = CrispClock(), NOW
    best = 1 << 40
    for pause, there, back in exchanges:
        machine = answer(of, machine + pause, there, back, offset)
        best = min(best, 1000 + there + back)
        doubt = abs(of.at(machine) - (machine + offset))
        assert doubt <= best / 2 + 1, "answers never make it worse"
        assert doubt <= CLOCK_DOUBT_MS, "a run begins before anything it can see"


@given(offsets, st.integers(0, 999))
def test_answers_all_over_the_second_make_it_exact(offset: int, phase: int) -> None:
    of = CrispClock()
    for n in range(40):
        answer(of, NOW + phase + n * 1025, 10, 10, offset)
    assert abs(of.at(NOW) - (NOW + offset)) <= 40


@given(offsets, offsets)
def test_clock_that_was_set_is_believed_again(before: int, after: int) -> None:
    assume(abs(before - after) > 3000)
    of = CrispClock()
    for n in range(5):
        answer(of, NOW + n * 333, 20, 20, before)
    answer(of, NOW + 10_000, 20, 20, after)
    assert abs(of.at(NOW) - (NOW + after)) <= 600


@pytest.mark.parametrize("wrong", [None, "", "yesterday", "Wed, 99 Foo 2026 00:00:00 GMT", "0"])
def test_header_that_is_no_date_changes_nothing(wrong: str | None) -> None:
    of = CrispClock()
    of.observe(wrong, NOW, NOW)
    assert of.at(NOW) == NOW
    answer(of, NOW, 1, 1, 60_000)
    known = of.at(NOW)
    of.observe(wrong, NOW, NOW)
    assert of.at(NOW) == known


def test_without_an_answer_it_is_the_machine_s_clock() -> None:
    before = now_ms()
    assert before <= CrispClock().now_ms() <= now_ms()
