"""What cells mean, as tables (SPEC I3 to I5; FAILURES cases 58, 61, 62, 69)."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contacts import lists, phones, values
from app.contacts.countries import country
from app.contacts.problems import Wrong
from app.imports.columns import ColumnMap, column_map
from app.imports.reader import RawRow
from app.imports.rows import Interpreter, Options, Row, name_of_address

PARIS = ZoneInfo("Europe/Paris")


def refusal(read: Any, *arguments: Any) -> Wrong:
    with pytest.raises(Wrong) as wrong:
        read(*arguments)
    return wrong.value


@pytest.mark.parametrize(
    "cell",
    ["ada@acme.example", "Ada+x@Acme.Example", "a.b-c_d@sub.acme.example", "ü@bücher.example",
     "o'neil@acme.example"],
)  # fmt: skip
def test_one_address(cell: str) -> None:  # SPEC I4
    assert values.address(cell) == cell


@pytest.mark.parametrize(
    ("cell", "code", "advice"),
    [
        ("ada", "email_invalid", ""),
        ("ada@acme", "email_invalid", ""),
        ("@acme.example", "email_invalid", ""),
        ("a b@acme.example", "email_invalid", "Write b@acme.example."),
        ("Ada <ada@acme.example>", "email_invalid", "Write ada@acme.example."),
        ("a@x.example, b@x.example", "email_several", "Keep a@x.example."),
        ("a@x.example;b@x.example", "email_several", "Keep a@x.example."),
        ("a@@x.example", "email_invalid", ""),
        ("a@x..example", "email_invalid", ""),
        ("x" * 400 + "@acme.example", "email_invalid", ""),
    ],
)
def test_case_062_other_than_one_address(cell: str, code: str, advice: str) -> None:  # SPEC I4
    wrong = refusal(values.address, cell)
    assert wrong.code == code
    assert advice in wrong.suggestion


def test_case_058_advice_comes_from_the_beginning_of_a_cell() -> None:
    """What looks for addresses takes the square of a cell's length: minutes for the longest."""
    assert refusal(values.address, f"Ada <ada@acme.example> {'x' * 99_000}").suggestion
    wrong = refusal(values.address, f"{'x' * 99_000} <ada@acme.example>")
    assert (wrong.code, wrong.suggestion) == ("email_invalid", "")


@pytest.mark.parametrize(
    ("cell", "told", "note"),
    [
        ("2020-08-14T14:09:10-02:00", datetime(2020, 8, 14, 16, 9, 10, tzinfo=UTC), None),
        ("2020-08-14T14:09:10Z", datetime(2020, 8, 14, 14, 9, 10, tzinfo=UTC), None),
        ("2020-08-14 14:09:10+0200", datetime(2020, 8, 14, 12, 9, 10, tzinfo=UTC), None),
        ("1694070416", datetime(2023, 9, 7, 7, 6, 56, tzinfo=UTC), None),
        ("1694070416000", datetime(2023, 9, 7, 7, 6, 56, tzinfo=UTC), None),
        ("2020-08-14", datetime(2020, 8, 13, 22, tzinfo=UTC), None),
        ("2020-08-14T14:09", datetime(2020, 8, 14, 12, 9, tzinfo=UTC), "no_offset"),
    ],
)
def test_moments(cell: str, told: datetime, note: str | None) -> None:  # SPEC I5
    read = values.moment(cell, PARIS)
    assert (read.value, read.note and read.note[0]) == (told, note)


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("14/08/2020", "2020-08-14"), ("03.04.2020", "2020-04-03 or 2020-03-04"),
        ("2024-02-30", "2026-01-31"), ("yesterday", "2026"), ("2020-8-14", ""), ("0", ""),
        ("-1", ""), ("1506985696616000", ""), ("20200814", ""), ("2020-W33-5", ""),
        ("1985-01-01", ""), ("2020-08-14T25:00:00Z", ""), ("9999-12-31T23:59:59-10:00", ""),
        ("0001-01-01T00:00:00+10:00", ""),
    ],
)  # fmt: skip
def test_case_061_other_than_moments(cell: str, advice: str) -> None:
    assert advice in refusal(values.moment, cell, PARIS).suggestion


@given(st.integers() | st.text(max_size=40))
def test_case_061_any_date_is_read_or_refused(value: object) -> None:
    for read in (values.moment, values.custom_date):
        with suppress(Wrong):
            read(str(value).strip() or "x", UTC)


@pytest.mark.parametrize(
    ("cell", "kept"),
    [("1815-12-10", "1815-12-10"), ("2026-01-31T14:30:00+01:00", "2026-01-31T13:30:00Z"),
     ("1694070416", "2023-09-07T07:06:56Z")],
)  # fmt: skip
def test_custom_dates_keep_their_day(cell: str, kept: str) -> None:
    assert values.custom_date(cell, PARIS).value == kept


@pytest.mark.parametrize(
    ("cell", "region", "kept"),
    [
        ("+34651234567", None, "+34651234567"),
        ("+34 651 23 45 67", None, "+34651234567"),
        ("0034 651-234-567", None, "+34651234567"),
        ("651234567", "ES", "+34651234567"),
        ("(030) 123 456", "DE", "+4930123456"),
        ("651 234 567", None, "651234567"),
        ("030/123 456", None, "030123456"),
    ],
)
def test_phones(cell: str, region: str | None, kept: str) -> None:  # SPEC I5
    assert phones.phone(cell, region).value == kept


@pytest.mark.parametrize(
    ("cell", "region"),
    [("call me", None), ("call me", "ES"), ("+999123", None), ("12", None), ("+1 2", None),
     ("1" * 40, "ES"), ("٣٤٦٥١٢٣٤", None)],
)  # fmt: skip
def test_other_than_phones(cell: str, region: str | None) -> None:
    assert refusal(phones.phone, cell, region).code == "phone_invalid"


@settings(max_examples=500)
@given(
    st.sampled_from(["+1", "+34", "+39", "+44", "+49", "+52", "+54", "+7", "+800", "+290", "+999"]),
    st.text("0123456789", min_size=3, max_size=14),
    st.sampled_from(["", " ", "-", " (", ") ", "."]),
    st.integers(0, 9),
    st.sampled_from([None, "DE", "CA"]),
)
def test_written_in_full_a_phone_is_what_the_library_says(
    prefix: str, national: str, between: str, at: int, region: str | None
) -> None:
    cell = f"{prefix}{between}{national[:at]}{between}{national[at:]}"
    number: Any = None
    try:
        number = phonenumbers.parse(cell, region)
        possible = phonenumbers.is_possible_number(number)
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        assert refusal(phones.phone, cell, region).code == "phone_invalid"
        return
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert phones.phone(cell, region).value == e164


def test_an_extension_is_left_out_with_a_note() -> None:
    read = phones.phone("+49 30 123456 ext. 12", None)
    assert (read.value, read.note and read.note[0]) == ("+4930123456", "phone_extension")


@pytest.mark.parametrize(
    ("prefix", "region"),
    [("+34", "ES"), ("34", "ES"), ("0049", "DE"), ("+1", "US"), ("+999", None), ("", None),
     ("abc", None), ("٣٤", None)],
)  # fmt: skip
def test_prefixes(prefix: str, region: str | None) -> None:
    assert phones.region_of_prefix(prefix) == region


@pytest.mark.parametrize(
    ("cell", "code", "converted"),
    [
        ("US", "US", False), ("us", "US", False), ("USA", "US", True), ("840", "US", True),
        ("United States", "US", True), ("Deutschland", "DE", True), ("Allemagne", "DE", True),
        ("ALEMANIA", "DE", True), ("UK", "GB", True), ("Czech Republic", "CZ", True),
        ("The Netherlands", "NL", True), ("España", "ES", True), ("Cote d'Ivoire", "CI", True),
        ("Österreich", "AT", True), ("Turkey", "TR", True),
    ],
)  # fmt: skip
def test_countries(cell: str, code: str, converted: bool) -> None:  # SPEC I5
    read = country(cell)
    assert (read.value, read.note is not None) == (code, converted)


@pytest.mark.parametrize(
    ("cell", "advice"), [("Germny", "DE"), ("Atlantis", ""), ("XX", ""), ("EU", "")]
)
def test_other_than_countries(cell: str, advice: str) -> None:
    assert advice in refusal(country, cell).suggestion


@pytest.mark.parametrize(
    ("kind", "cell", "kept"),
    [
        ("integer", "42", 42), ("integer", "-7", -7), ("integer", "0", 0),
        ("decimal", "19.90", 19.9), ("decimal", "3", 3), ("decimal", "1e3", 1000),
        ("yes_no", "Yes", True), ("yes_no", "0", False), ("yes_no", "nein", False),
        ("text", "0049", "0049"), ("date", "2026-01-31", "2026-01-31"),
        ("choice", "PRO", "pro"), ("multi_choice", "pro| free", ["pro", "free"]),
    ],
)  # fmt: skip
def test_typed_attributes(kind: str, cell: str, kept: object) -> None:  # SPEC I3
    row = read({"email": "a@x.example", "k": cell}, k=typed(kind))
    assert row.told == {"attributes.k": kept}
    assert not row.problems


@pytest.mark.parametrize(
    ("kind", "cell", "code"),
    [
        ("integer", "1.5", "number_invalid"), ("integer", "007", "leading_zero"),
        ("integer", "9007199254740993", "number_too_big"), ("integer", "1e5", "number_invalid"),
        ("decimal", "1,5", "number_invalid"), ("decimal", "1.234,50", "number_invalid"),
        ("decimal", "nan", "number_invalid"), ("decimal", "1e999", "number_too_big"),
        ("yes_no", "maybe", "yes_no_invalid"), ("date", "31/01/2026", "date_invalid"),
        ("date", "2026-02-30", "date_invalid"), ("choice", "gold", "choice_unknown"),
        ("multi_choice", "pro|gold", "choice_unknown"), ("text", "x" * 10_001, "too_long"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_row_error(kind: str, cell: str, code: str) -> None:  # SPEC I3
    row = read({"email": "a@x.example", "k": cell}, k=typed(kind))
    assert [(problem.code, problem.column) for problem in row.problems] == [(code, "k")]
    assert row.problems[0].suggestion


def typed(kind: str) -> ColumnMap:
    return column_map("k", {"to": "data.k", "type": kind, "choices": "free|pro"})


def read(cells: dict[str, str], options: Options | None = None, **columns: ColumnMap) -> Row:
    mapped = [columns.get(name) or ColumnMap(name, name) for name in cells]
    return Interpreter(mapped, options or Options(UTC))(RawRow(2, list(cells.values())))


@pytest.mark.parametrize(
    ("cell", "split_on_space", "kept"),
    [
        ("vip|beta", False, ["vip", "beta"]),
        ("vip, beta", False, ["vip", "beta"]),
        ("vip|beta,lead|vip", False, ["vip", "beta", "lead"]),
        ("big customer", False, ["big customer"]),
        ("vip beta", True, ["vip", "beta"]),
        ('"a, b"|c', False, ["a, b", "c"]),
        (' | "', False, ['"']),
        ("", False, []),
    ],
)
def test_segments(cell: str, split_on_space: bool, kept: list[str]) -> None:  # SPEC I5
    options = Options(UTC, split_on_space=split_on_space)
    assert read({"email": "a@x.example", "segments": cell}, options).segments == kept


@given(st.lists(st.text(min_size=1, max_size=12).map(str.strip).filter(bool), unique=True))
def test_lists_are_taken_apart_as_they_were_joined(items: list[str]) -> None:
    assert lists.split(lists.joined(items, "|,"), "|,") == items


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ({"first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
        ({"first_name": " Ada ", "last_name": ""}, "Ada"),
        ({"name": "Ada  King", "first_name": "A"}, "Ada King"),
        ({"first_name": "", "last_name": ""}, None),
    ],
)
def test_names(cells: dict[str, str], name: str | None) -> None:  # SPEC I4
    assert read({"email": "a@x.example", **cells}).told["name"] == name


@pytest.mark.parametrize(
    ("email", "name"),
    [("ada.lovelace@x.example", "Ada Lovelace"), ("ada+news@x.example", "Ada"),
     ("j_r-smith99@x.example", "J R Smith"), ("007@x.example", "007")],
)  # fmt: skip
def test_names_are_inferred_from_the_address(email: str, name: str) -> None:  # SPEC I4
    assert name_of_address(email) == name
    assert read({"email": email}).inferred_name == name


def test_empty_numbers_and_dates_are_no_value() -> None:  # SPEC I5
    cells = {"email": "a@x.example", "phone": " ", "created": "", "k": ""}
    row = read(cells, k=typed("integer"))
    assert row.told == {"phone": None, "signed_up_at": None, "attributes.k": None}
    assert not row.problems


def test_what_a_short_row_leaves_out_is_not_told() -> None:
    mapped = [ColumnMap("email", "email"), ColumnMap("phone", "phone"), ColumnMap("k", "data.k")]
    row = Interpreter(mapped, Options(UTC))(RawRow(2, ["a@x.example", "+34651234567"]))
    assert row.told == {"phone": "+34651234567"}
    wide = Interpreter(mapped, Options(UTC))(RawRow(3, ["a@x.example", "", "", "more"]))
    assert wide.problems[0].code == "too_many_cells"


def test_companies_of_a_row() -> None:  # SPEC I2, D6
    told = {
        "email": "a@x.example",
        "company_name": "Acme",
        "company_url": "https://www.Acme.example/x",
    }
    row = read(told)
    assert row.company is not None
    assert (row.company.name, row.company.domain) == ("Acme", "acme.example")
    emptied = read({"email": "a@x.example", "company_name": ""})
    assert (emptied.company, emptied.company_told) == (None, True)
    assert read({**told, "company_url": "nowhere"}).problems[0].code == "url_invalid"


@pytest.mark.parametrize(
    ("field", "cell", "code"),
    [
        ("avatar", "javascript:alert(1)", "url_invalid"), ("avatar", "data:image/png;x", "url_invalid"),
        ("time_zone", "Mars/Olympus", "time_zone_unknown"), ("locales", "en-GB|!", "locale_invalid"),
        ("name", "x" * 501, "too_long"), ("city", "x" * 301, "too_long"),
        ("segments", "|".join(map(str, range(201))), "too_long"), ("country", "Nowhere", "country_unknown"),
    ],
)  # fmt: skip
def test_case_058_069_other_fields_refuse(field: str, cell: str, code: str) -> None:
    assert read({"email": "a@x.example", field: cell}).problems[0].code == code


def test_defused_cells_are_undefused() -> None:  # SPEC P5
    row = read(
        {"email": "a@x.example", "phone": "'+34651234567", "city": "'=Paris", "role": "'tis"}
    )
    assert row.told == {
        "phone": "+34651234567",
        "attributes.city": "=Paris",
        "attributes.role": "'tis",
    }


@given(st.lists(st.text(max_size=30), min_size=6, max_size=6))
def test_any_cells_are_read_or_refused(cells: list[str]) -> None:
    names = ["email", "phone", "country", "created", "time_zone", "segments"]
    Interpreter([ColumnMap(name, name) for name in names], Options(UTC, "DE"))(RawRow(2, cells))


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        # Before 10¹¹ seconds, from there on milliseconds; what lies outside 1990 to 2100 is a slip.
        ("631152000", datetime(1990, 1, 1, tzinfo=UTC)),
        ("4102444799", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("631152000000", datetime(1990, 1, 1, tzinfo=UTC)),
        ("4102444799000", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("631151999", None), ("99999999999", None), ("100000000000", None), ("631151999999", None),
    ],
)  # fmt: skip
def test_where_unix_seconds_end_and_milliseconds_begin(  # SPEC I5
    cell: str, told: datetime | None
) -> None:
    if told is None:
        assert refusal(values.moment, cell, PARIS).code == "date_invalid"
    else:
        assert values.moment(cell, PARIS).value == told


@pytest.mark.parametrize(
    ("field", "cell", "target", "kept", "note"),
    [
        ("country", "US", "attributes.country", "US", None),
        ("country", "United States", "attributes.country", "US", "country_converted"),
        ("city", "San Francisco", "attributes.city", "San Francisco", None),
        ("region", "California", "attributes.region", "California", None),
        ("created", "2020-08-14T14:09", "signed_up_at", datetime(2020, 8, 14, 12, 9, tzinfo=UTC),
         "no_offset"),
        ("phone", "+34 651 234 567", "phone", "+34651234567", None),
        ("phone", "651 234 567", "phone", "+34651234567", None),
        ("last_active", " ", "last_active_at", None, None),
    ],
)  # fmt: skip
def test_a_field_is_kept_with_a_warning_where_it_was_converted(  # SPEC I5
    field: str, cell: str, target: str, kept: Any, note: str | None
) -> None:
    row = read({"email": "a@x.example", field: cell}, Options(PARIS, "ES"))
    assert (row.told, row.problems) == ({target: kept}, [])
    assert [one.code for one in row.notes] == ([note] if note else [])
