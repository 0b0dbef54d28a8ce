"""Columns find their fields, and custom keys are good or refused with a better one (SPEC I2 to I4)."""

from __future__ import annotations

import pytest

from app.contacts.custom_keys import custom_key
from app.errors import Refused
from app.imports.columns import FIELDS, ColumnMap, check_columns, column_map
from app.imports.suggest import NAMES, suggest, type_of


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("user_id", "user_id"),
        ("lifetime_value", "lifetime_value"),
        ("ltv", "ltv"),
        ("AppVersionCode", "appversioncode"),
        ("app-version", "app-version"),
        (" plan2 ", "plan2"),
    ],
)
def test_good_keys_are_stored_in_lower_case(name: str, key: str) -> None:  # SPEC I3
    assert custom_key(name) == key


@pytest.mark.parametrize(
    ("name", "word", "better"),
    [
        ("Company Name", "spaces", "company_name"),
        ("$ltv", "“$”", "ltv"),
        ("is_subscribed?", "“?”", "is_subscribed"),
        ("user.name", "“.”", "user_name"),
        ("Größe", "“ö”", "grosse"),
    ],
)
def test_bad_keys_are_refused_with_a_suggestion(  # SPEC I3
    name: str, word: str, better: str
) -> None:
    with pytest.raises(Refused) as refused:
        custom_key(name)
    assert word in refused.value.message
    assert refused.value.message.endswith(f"use {better}.")
    assert custom_key(better) == better


@pytest.mark.parametrize("name", ["", "  ", "???", "名前", "x" * 101])
def test_keys_without_any_good_form(name: str) -> None:
    with pytest.raises(Refused):
        custom_key(name)


ENGLISH = "E-mail, First name, Last Name, Phone number, Job Title, Company, Website, Country, City"
FRENCH = "Courriel, Prénom, Nom de famille, Téléphone, Poste, Société, Site web, Pays, Ville"
GERMAN = (
    "E-Mail-Adresse, Vorname, Nachname, Telefon, Berufsbezeichnung, Firma, Webseite, Land, Stadt"
)
SPANISH = "Correo electrónico, Nombre de pila, Apellidos, Teléfono, Puesto, Empresa, Sitio web, País, Ciudad"
TOLD = [
    "email", "first_name", "last_name", "phone", "job_title", "company_name", "company_url",
    "country", "city",
]  # fmt: skip


@pytest.mark.parametrize("names", [ENGLISH, FRENCH, GERMAN, SPANISH])
def test_columns_are_suggested_in_four_languages(names: str) -> None:  # SPEC I2
    assert [column.to for column in suggest(names.split(", "), [], {})] == TOLD


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("Segments", "segments"), ("Étiquettes", "segments"), ("Fecha de creación", "created"),
        ("Zuletzt aktiv", "last_active"), ("created_at", "created"), ("last_active", "last_active"),
        ("Fuseau horaire", "time_zone"), ("Sprache", "locales"), ("Región", "region"),
        ("Company description", "company_description"), ("Avatar", "avatar"), ("Rolle", "role"),
        ("Nom complet", "name"), ("person.nickname", None), ("colour", None), ("", None),
    ],
)  # fmt: skip
def test_other_columns(name: str, to: str | None) -> None:
    assert suggest([name], [], {})[0].to == to


def test_no_name_means_two_fields() -> None:
    words = [word for listed in NAMES.values() for word in listed.split()]
    assert len(words) == len(set(words))
    assert set(NAMES) == set(FIELDS)


def test_data_columns_become_custom_attributes_with_a_type() -> None:  # SPEC I2
    names = ["email", "data.my_key", "data.LTV", "data.code", "data.vip", "data.two words", "plan"]
    rows = [["a@x.example", "x", "12.5", "0049", "yes", "1", "pro"]]
    known = {"plan": ColumnMap("plan", "data.plan", "choice", ("pro", "free"))}
    found = suggest(names, rows, known)
    assert [(column.to, column.type) for column in found] == [
        ("email", "text"), ("data.my_key", "text"), ("data.ltv", "decimal"), ("data.code", "text"),
        ("data.vip", "yes_no"), (None, "text"), ("data.plan", "choice"),
    ]  # fmt: skip


def test_an_address_is_found_by_its_value() -> None:
    assert [c.to for c in suggest(["Column 1", "Column 2"], [["Ada", "a@x.example"]], {})] == [
        None,
        "email",
    ]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "20", "-3"], "integer"),
        (["1", "2.5"], "decimal"),
        (["007", "12"], "text"),
        (["1234567890123456"], "text"),
        (["2026-01-31", "2026-02-01T10:00:00Z"], "date"),
        (["yes", "No"], "yes_no"),
        (["1", "x"], "text"),
        ([], "text"),
    ],
)
def test_types_are_suggested_from_values(cells: list[str], kind: str) -> None:  # SPEC I3
    assert type_of(cells) == kind


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ([ColumnMap("A", "email"), ColumnMap("B", "email")], "Two columns are mapped to E-mail"),
        ([ColumnMap("A", "name")], "No column is mapped to E-mail"),
        (
            [ColumnMap("A", "email"), ColumnMap("x", "data.plan"), ColumnMap("y", "data.plan")],
            "mapped to plan",
        ),
    ],
)
def test_mappings_that_cannot_be_used(columns: list[ColumnMap], word: str) -> None:  # SPEC I3, I4
    with pytest.raises(Refused, match=word):
        check_columns(columns)


def test_two_columns_that_yield_one_key_are_refused() -> None:  # SPEC I3
    columns = [column_map("e", "email"), column_map("a", "data.Plan"), column_map("b", "data.plan")]
    with pytest.raises(Refused, match="mapped to plan"):
        check_columns(columns)


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("nonsense", "cannot be mapped"),
        (5, "cannot be mapped"),
        ({"to": "data.x", "type": "blob"}, "of the type"),
        ({"to": "data.x", "type": "choice"}, "name its values"),
        ("data.Company Name", "spaces"),
    ],
)
def test_mappings_from_json_are_checked(told: object, word: str) -> None:
    with pytest.raises(Refused, match=word):
        column_map("A", told)


def test_a_key_that_belongs_to_a_field_is_that_field() -> None:
    assert column_map("x", "data.country").to == "country"
    assert column_map("x", None).to is None
