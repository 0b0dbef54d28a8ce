"""Normal forms: what counts as the same address, domain or company, and what must not."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.normal import fold_for_search, normal_address, normal_company_name, normal_domain

LOCAL = st.text(
    st.characters(exclude_characters="@", exclude_categories=("C", "Z")), min_size=1, max_size=30
)
LABEL = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
ADDRESS = st.builds(lambda local, domain: f"{local}@{domain}", LOCAL, DOMAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Acme.example", "ann@acme.EXAMPLE"),
        ("  ann@acme.example\t", "ann@acme.example"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@bücher.example"),
        ("Zoe\u0308@acme.example", "zoë@acme.example"),
        ("ann@acme。example", "ann@acme.example"),
        ("ann@acme.example.", "ann@acme.example"),
    ],
)
def test_case_062_the_same_address_in_other_clothes(one: str, other: str) -> None:  # SPEC M2
    assert normal_address(one) == normal_address(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann+news@acme.example", "ann@acme.example"),
        ("a.nn@acme.example", "ann@acme.example"),
        ("аnn@acme.example", "ann@acme.example"),  # the first letter is Cyrillic
        ("ann@аcme.example", "ann@acme.example"),
        ("\u0130nn@acme.example", "inn@acme.example"),  # İ
        ("ﬁn@acme.example", "fin@acme.example"),  # a ligature
        ("ann@www.acme.example", "ann@acme.example"),
        ("ann@mail.acme.example", "ann@acme.example"),
    ],
)
def test_case_062_different_people_stay_different(one: str, other: str) -> None:  # SPEC M2
    assert None is not normal_address(one) != normal_address(other)


@pytest.mark.parametrize(
    "text",
    [None, "", "   ", "ann", "@acme.example", "ann@", "a b@acme.example", "ann@acme example",
     "a@b@acme.example", "ann@acme.example, bob@acme.example", "a" * 321 + "@x.example",
     "ann@acme.example/inbox", "ann@acme.example:25", "https://ann@"],
)  # fmt: skip
def test_what_is_no_single_address_has_no_normal_form(text: str | None) -> None:
    assert normal_address(text) is None


@given(ADDRESS)
def test_case_062_normal_addresses_are_stable_and_short(address: str) -> None:
    normal = normal_address(address)
    assert normal is not None
    assert normal_address(normal) == normal
    assert unicodedata.is_normalized("NFC", normal)
    assert normal_address(f" {unicodedata.normalize('NFD', address)} ") == normal
    assert len(normal.encode()) < 2000, "it must fit an index entry of PostgreSQL"


@given(LOCAL, DOMAIN, DOMAIN)
def test_other_domains_are_other_addresses(local: str, one: str, other: str) -> None:
    assume(one != other)
    assert normal_address(f"{local}@{one}") != normal_address(f"{local}@{other}")


@given(st.text(max_size=400))
def test_any_text_has_a_normal_form_or_none(text: str) -> None:
    normal = normal_address(text)
    assert normal is None or (normal.count("@") == 1 and normal == normal.strip())
    domain = normal_domain(text)
    assert domain is None or (domain.isascii() and domain == normal_domain(domain))
    assert normal_company_name(text) == normal_company_name(f"  {text}\n")
    assert len(fold_for_search(text, None, text)) <= 1000


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("https://www.Exämple.com/x?y", "xn--exmple-cua.com"),
        ("acme.example", "acme.example"),
        ("WWW.acme.example.", "acme.example"),
        ("acme.example:8080", "acme.example"),
        ("http://", None),
        ("not a domain", None),
        ("", None),
        (None, None),
    ],
)
def test_domains_of_companies(written: str | None, domain: str | None) -> None:  # SPEC D6
    assert normal_domain(written) == domain


def test_company_names_fold_case_width_and_space() -> None:  # SPEC D6
    assert normal_company_name(" ＡＣＭＥ\u00a0 Straße ") == normal_company_name("acme strasse")
    assert normal_company_name("Acme") != normal_company_name("Acme Ltd")


def test_case_058_long_company_names_stay_apart_and_short() -> None:
    one, other = "n" * 8_000 + "1", "n" * 8_000 + "2"
    assert normal_company_name(one) != normal_company_name(other)
    assert len(normal_company_name("𝓐" * 8_000).encode()) < 2_000
