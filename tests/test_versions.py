"""Fields with a version each: every order of the same news ends in the same values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.versions import NEVER, Rank, Registers, packed

FIELDS = ("status", "subject", "metadata.topic")
COLUMNS = ("status", "subject")

News = tuple[dict[str, Any], Rank, bool]

told = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from([None, "a", "b", "c"]), max_size=3)
ranks = st.tuples(st.integers(1, 5), st.integers(1, 3))


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[News], list[News]]:
    news: list[News] = [
        (draw(told), rank, draw(st.booleans())) for rank in draw(st.lists(ranks, max_size=6))
    ]
    repeated = news + draw(st.lists(st.sampled_from(news), max_size=3)) if news else news
    return news, draw(st.permutations(repeated))


def stored_and_read(registers: Registers) -> Registers:
    """As a row would keep it: columns always there, emptied metadata not."""
    dropped = [n for n, v in registers.values.items() if v is None and n not in COLUMNS]
    versions = packed(registers, COLUMNS, dropped)
    kept = {n: v for n, v in registers.values.items() if n not in dropped}
    values = {n: kept.get(n) for n in COLUMNS if versions.get(n) != 0}
    values |= {n: v for n, v in kept.items() if n not in COLUMNS}
    values |= {n: None for n in versions if n not in COLUMNS and n not in values}
    return Registers(values, registers.rank, {n: v for n, v in versions.items() if v != 0})


def after(news: list[News]) -> tuple[dict[str, Any], Rank, dict[str, Rank]]:
    registers = Registers({}, NEVER, {})
    for fields, rank, whole in news:
        registers = stored_and_read(registers)
        registers.tell(fields, rank, whole=whole)
    told_ones = {n: v for n, v in registers.values.items() if registers.rank_of(n) != NEVER}
    return told_ones, registers.rank, {n: registers.rank_of(n) for n in told_ones}


@given(orders())
def test_any_order_ends_in_the_same(both: tuple[list[News], list[News]]) -> None:
    first, second = both
    assert after(first) == after(second)


@given(orders())
def test_each_field_is_as_the_newest_news_told_it(both: tuple[list[News], list[News]]) -> None:
    news, shuffled = both
    values, rank, ranks_of = after(shuffled)
    assert rank == max((r for _, r, whole in news if whole), default=NEVER)
    for name in FIELDS:
        versions = [(r, str(fields[name]), fields[name]) for fields, r, _ in news if name in fields]
        if versions:
            newest = max(versions, key=lambda version: version[:2])
            assert (values[name], ranks_of[name]) == (newest[2], newest[0])
        else:
            assert name not in values


def test_a_whole_record_keeps_what_it_leaves_out_at_its_age() -> None:  # SPEC D5
    registers = Registers({}, NEVER, {})
    registers.tell({"status": "open", "subject": "Refund"}, (5, 5), whole=True)
    registers.tell({"status": "closed"}, (9, 9), whole=True)
    assert (registers.rank_of("status"), registers.rank_of("subject")) == ((9, 9), (5, 5))
    registers.tell({"subject": "Older"}, (4, 4), whole=False)
    assert registers.values["subject"] == "Refund"
    registers.tell({"subject": "Newer"}, (6, 6), whole=False)
    assert registers.values["subject"] == "Newer"
    assert packed(registers, COLUMNS, ()) == {"subject": [6, 6]}


def test_usually_there_is_nothing_to_store() -> None:
    registers = Registers({}, NEVER, {})
    registers.tell({"status": "open", "subject": None}, (5, 5), whole=True)
    registers.tell({"status": "open", "subject": None}, (7, 7), whole=True)
    assert packed(registers, COLUMNS, ()) == {}
