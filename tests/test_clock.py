"""Times of Crisp, as they may come: numbers of any size and unit, or no numbers at all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import clock

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001 - Hypothesis wants them naive
def test_a_time_goes_to_ms_and_back(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    millis = clock.to_ms(moment)
    assert (
        timedelta(0) <= moment - (clock.from_ms(millis) or clock.EPOCH) < timedelta(milliseconds=1)
    )
    assert clock.to_ms(clock.from_ms(millis) or clock.EPOCH) == millis


@given(ANYTHING)
def test_case_061_anything_that_is_no_time_becomes_none(value: Any) -> None:
    found = clock.from_ms(value)
    if found is not None:
        assert isinstance(value, int | float)
        assert not isinstance(value, bool)
        assert 1990 <= found.year < 2100
        assert clock.to_ms(found) == int(value)


@pytest.mark.parametrize(
    "value",
    [0, -1, 1_641_206_011, 1_506_985_696_616_000, float("inf"), float("nan"), 10**400, True, None,
     "1641206011000", "2024-02-30", [], {}],
)  # fmt: skip
def test_case_061_seconds_microseconds_and_texts_are_no_times(value: Any) -> None:
    assert clock.from_ms(value) is None


def test_a_float_is_a_time_too() -> None:
    assert clock.from_ms(1_641_206_011_000.7) == datetime(2022, 1, 3, 10, 33, 31, tzinfo=UTC)


@given(st.integers(clock.EARLIEST_MS, clock.LATEST_MS - 1))
def test_query_dates_have_milliseconds_and_z(millis: int) -> None:
    written = clock.iso_ms(millis)
    assert len(written) == len("2018-03-01T17:00:00.000Z")
    assert datetime.fromisoformat(written) == clock.from_ms(millis)
