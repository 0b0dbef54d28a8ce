"""What each mode does with each kind of cell, as tables (SPEC I4 to I6, D7)."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.imports.diff import NamedCompany, Rules, changes_of, outcome_of, same
from app.imports.known import Known
from app.imports.rows import Row
from app.records import CompanyRef


def contact(**columns: Any) -> Known:
    row: dict[str, Any] = {
        "id": "c1", "email": "a@x.example", "name": None, "phone": None, "avatar": None,
        "last_active_at": None, "signed_up_at": None, "attributes": {}, "segments": [],
        "segment_sources": {}, "field_sources": {}, "deleted_at": None,
    }  # fmt: skip
    fake: Any = SimpleNamespace(**row | columns)
    return Known(fake)


def row(**told: Any) -> Row:
    segments = told.pop("segments", None)
    custom = frozenset(t for t in told if t.startswith("attributes.my_"))
    return Row(2, "a@x.example", "a@x.example", told, custom, segments=segments)


def fields(mode: Any, known: Known | None, told: Row) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = changes_of(told, known, Rules(mode), None).get("fields", {})
    return {target: pair[1] for target, pair in found.items()}


FILLED = contact(name="Ada", phone="1234", attributes={"my_plan": "pro", "city": "Bern"})
EMPTY = row(**{"name": None, "phone": None, "attributes.my_plan": None, "attributes.city": None})
GIVEN = row(**{"name": "Bo", "phone": "+4930123", "attributes.my_plan": "free",
               "attributes.city": "Köln", "attributes.my_new": 1})  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "emptied"),
    [
        ("merge", {"attributes.my_plan"}),
        ("update-only", {"attributes.my_plan"}),
        ("overwrite", {"name", "phone", "attributes.my_plan", "attributes.city"}),
        ("fill-empty", set()),
    ],
)
def test_empty_cells(mode: str, emptied: set[str]) -> None:  # SPEC I6
    assert fields(mode, FILLED, EMPTY) == dict.fromkeys(emptied)


@pytest.mark.parametrize(
    ("mode", "changed"),
    [
        ("merge", set(GIVEN.told)),
        ("update-only", set(GIVEN.told)),
        ("overwrite", set(GIVEN.told)),
        ("fill-empty", {"attributes.my_new"}),
    ],
)
def test_filled_cells(mode: str, changed: set[str]) -> None:  # SPEC I6
    assert set(fields(mode, FILLED, GIVEN)) == changed


@pytest.mark.parametrize(
    ("mode", "known", "outcome"),
    [
        ("merge", None, "create"), ("merge", FILLED, "update"),
        ("overwrite", None, "create"), ("fill-empty", None, "create"),
        ("create-only", None, "create"), ("create-only", FILLED, "skip"),
        ("update-only", None, "skip"), ("update-only", FILLED, "update"),
    ],
)  # fmt: skip
def test_outcomes(mode: Any, known: Known | None, outcome: str) -> None:  # SPEC I6
    rules = Rules(mode)
    assert outcome_of(rules, known, changes_of(GIVEN, known, rules, None)) == outcome


def test_nothing_new_is_unchanged() -> None:
    told = row(**{"name": "Ada", "phone": "1234", "attributes.my_plan": "pro"})
    for mode in ("merge", "overwrite", "fill-empty", "update-only"):
        rules = Rules(mode)
        changes = changes_of(told, FILLED, rules, None)
        assert outcome_of(rules, FILLED, changes) == "unchanged", changes


@pytest.mark.parametrize(
    ("mode", "known", "told", "name"),
    [
        ("merge", None, {}, "A"),
        ("merge", contact(), {}, "A"),
        ("merge", contact(name="Ada"), {"name": None}, "unchanged"),
        ("overwrite", contact(name="Ada"), {"name": None}, None),
        ("overwrite", contact(), {"name": None}, "unchanged"),
        ("overwrite", contact(name="A", field_sources={"name": {"source": "inferred"}}),
         {"name": None}, "unchanged"),
        ("fill-empty", contact(name="A", field_sources={"name": {"source": "inferred"}}),
         {"name": "Ada"}, "Ada"),
        ("fill-empty", contact(name="A"), {"name": "Ada"}, "unchanged"),
    ],
)  # fmt: skip
def test_an_inferred_name_never_replaces_one(  # SPEC I4
    mode: str, known: Known | None, told: dict[str, Any], name: str | None
) -> None:
    assert fields(mode, known, row(**told)).get("name", "unchanged") == name


@pytest.mark.parametrize(
    ("mode", "before", "told", "after"),
    [
        ("merge", {"a": ["crisp"]}, ["b"], {"a": ["crisp"], "b": ["csv"]}),
        ("merge", {"a": ["crisp"]}, ["a"], {"a": ["crisp", "csv"]}),
        ("merge", {"a": ["csv"]}, [], None),
        ("merge", {"a": ["csv"]}, ["a"], None),
        ("overwrite", {"a": ["csv"], "c": ["crisp", "csv"]}, [], {"c": ["crisp"]}),
        ("overwrite", {"a": ["csv"]}, ["b"], {"b": ["csv"]}),
        ("overwrite", {"a": ["csv"]}, None, None),
        ("fill-empty", {"a": ["csv"]}, ["b"], None),
        ("fill-empty", {}, ["b"], {"b": ["csv"]}),
    ],
)
def test_segments_keep_their_owners(  # SPEC I6, D7
    mode: Any, before: dict[str, list[str]], told: list[str] | None, after: Any
) -> None:
    known = contact(name="Ada", segment_sources=before)
    changes = changes_of(row(segments=told), known, Rules(mode), None)
    assert changes.get("segments", [None, None])[1] == after


def test_a_segment_for_all_rows() -> None:  # SPEC I6
    known = contact(name="Ada")
    for mode in ("merge", "fill-empty"):
        changes = changes_of(row(), known, Rules(mode, "spring"), None)
        assert changes == {"segments": [{}, {"spring": ["csv"]}]}


def test_companies() -> None:  # SPEC D6, I6
    acme = NamedCompany("acme", "old", first_to_name=True)
    told = row()
    told.company, told.company_told, told.description = CompanyRef("Acme", None), True, "new"
    known = contact(name="Ada")
    link: Any = SimpleNamespace(id="m1", company_id="other", source="csv", name="Other")
    known.memberships = [link]
    company = changes_of(told, known, Rules("merge"), acme)["company"]
    assert (company["joins"], company["closes"]) == (True, ["m1"])
    assert company["described"] == ["old", "new"]
    filled = changes_of(told, known, Rules("fill-empty"), acme)
    assert filled == {}
    link.company_id = "acme"
    not_first = NamedCompany("acme", "old", first_to_name=False)
    assert changes_of(told, known, Rules("merge"), not_first) == {}
    told.company = None
    emptied = changes_of(told, known, Rules("overwrite"), None)["company"]
    assert (emptied["joins"], emptied["closes"]) == (False, ["m1"])


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [
        (42, "42", True), (4.0, "4", True), (True, "yes", True), (True, 1, False), (" x", "x", True),
        (None, None, True), ("", None, True), (None, "x", False), ([1], "x", False), (1, 1.0, True),
        (datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), True),
    ],
)  # fmt: skip
def test_what_counts_as_the_same(old: Any, new: Any, equal: bool) -> None:
    assert same(old, new) is equal
