"""The odd profiles: what a person's slot (number modulo 60) does to an ordinary profile."""

from collections.abc import Callable
from typing import Any

from app.sandbox.companies import company_domain, company_name, old_name, solo_name
from app.sandbox.population import (
    ABSURD,
    BROKEN,
    DOMAIN_ONLY,
    EMPLOYMENT,
    EMPTY_COMPANY,
    LONG,
    NAME_ONLY,
    NAME_ONLY_SPACED,
    NO_COMPANY,
    NO_EMAIL,
    NO_NAME,
    NULL_COMPANY,
    ODDITIES,
    RENAMED,
    RTL,
    SCRIPT,
    SOLO,
    ZWJ,
    Basics,
    Population,
)  # fmt: skip

Json = dict[str, Any]
Twist = Callable[[Json, Basics, Population, int], None]


def _no_employer(body: Json) -> None:
    body["person"].pop("employment")
    body.pop("company")


def _named_only(name: str) -> Callable[[Json, Basics, Population, int], None]:
    """A company by name, without a domain, in one of the two places it can stand."""

    def twist(body: Json, who: Basics, _pop: Population, _p: int) -> None:
        stated = name.format(name=company_name(who.company))
        _no_employer(body)
        body["company"] = {"name": stated}

    return twist


def _renamed(body: Json, who: Basics, _pop: Population, _p: int) -> None:
    body["company"]["name"] = old_name(who.company)


def _employment_only(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body.pop("company")


def _solo(body: Json, _who: Basics, _pop: Population, p: int) -> None:
    _no_employer(body)
    body["company"] = {"name": solo_name(p // ODDITIES), "domain": ""}


def _employed_name_only(body: Json, who: Basics, _pop: Population, _p: int) -> None:
    _no_employer(body)
    spaced = company_name(who.company).upper().replace(" ", "   ")
    body["person"]["employment"] = {"name": f"  {spaced} ", "title": "Buyer"}


def _no_company(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    _no_employer(body)


def _absurd(body: Json, _who: Basics, _pop: Population, p: int) -> None:
    absurd = ("1641206011000", 0, 1_506_985_696_616_000)
    body["active"] = {"now": False, "last": absurd[p // ODDITIES % 3]}
    body["score"] = 999
    body["person"]["timezone"] = -100_000


def _script(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["person"]["nickname"] = "<script>alert(1)</script>"
    body["person"]["avatar"] = "javascript:alert(document.cookie)"
    body["person"]["website"] = "javascript:alert(1)//https://example.com"
    body["notepad"] = '=HYPERLINK("https://evil.example","click")'


def _rtl(body: Json, who: Basics, _pop: Population, _p: int) -> None:
    body["person"]["nickname"] = f"{who.name} \u202egnp.exe\u202c"


def _zwj(body: Json, who: Basics, _pop: Population, _p: int) -> None:
    body["person"]["nickname"] = f"{who.name} 👩\u200d👩\u200d👧\u200d👦"


def _broken(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["person"]["description"] = "cut here\u0000and not there"
    body["notepad"] = "half an emoji \ud83d"
    body["segments"] = ["nul\u0000segment"]


def _domain_only(body: Json, who: Basics, _pop: Population, _p: int) -> None:
    body["company"] = {"domain": company_domain(who.company)}


def _empty_company(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["company"] = {"name": "", "domain": "", "tags": []}


def _null_company(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["company"] = None


def _no_name(body: Json, _who: Basics, _pop: Population, p: int) -> None:
    # A third has no name at all, a third an empty one, a third a null.
    person = body["person"]
    person.pop("nickname")
    if p // ODDITIES % 3:
        person["nickname"] = "" if p // ODDITIES % 3 == 1 else None


def _long(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["person"]["address"] = "Long Street 1, " * 600
    body["company"]["description"] = "We do things. " * 700


def _email_empty(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["email"] = ""


def _email_null(body: Json, _who: Basics, _pop: Population, _p: int) -> None:
    body["email"] = None


TWISTS: dict[int, Twist] = {
    NO_EMAIL[1]: _email_empty, NO_EMAIL[2]: _email_null,
    RENAMED: _renamed, EMPLOYMENT: _employment_only, SOLO: _solo,
    NAME_ONLY: _named_only("{name}"), NAME_ONLY_SPACED: _employed_name_only,
    NO_COMPANY: _no_company, ABSURD: _absurd, SCRIPT: _script, RTL: _rtl, ZWJ: _zwj,
    BROKEN: _broken, DOMAIN_ONLY: _domain_only, EMPTY_COMPANY: _empty_company,
    NULL_COMPANY: _null_company, NO_NAME: _no_name, LONG: _long,
}  # fmt: skip
