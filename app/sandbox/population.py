"""Who the people of a website are: names, addresses and employers, computed from a number.

Which oddity a person has follows from p modulo 60, so 60 people are enough to meet each of them.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from app.sandbox.chance import Dice, mix, uuid_of
from app.sandbox.clock import DAY, HOUR
from app.sandbox.companies import company_domain
from app.sandbox.phrases import LANGUAGE_MIX, names

ODDITIES = 60
SHARED_A, SHARED_B = 7, 8
NO_EMAIL = (11, 12, 13)
PLUS_TAG, IDN = 14, 17
OTHER_CASE = 18
# People of these slots work for a company that is never renamed and never loses its domain,
# because people of slots 23 and 24 name it without one.
RENAMED, EMPLOYMENT, SOLO, NAME_ONLY, NAME_ONLY_SPACED, NO_COMPANY = 20, 21, 22, 23, 24, 25
FREEMAIL = (26, 27)
ABSURD, SCRIPT, RTL, ZWJ, BROKEN = 28, 29, 30, 31, 32
DOMAIN_ONLY, EMPTY_COMPANY, NULL_COMPANY, NO_NAME, LONG = 33, 34, 35, 36, 37
COLLEAGUE_NAMED, COLLEAGUE_RENAMED = 39, 40


@dataclass(frozen=True, slots=True)
class Population:
    """What the people of one website are computed from. Times in ms."""

    key: int
    size: int
    start_ms: int
    freemail: tuple[str, ...] = ("freemail.example", "webpost.example")

    @property
    def companies(self) -> int:
        return max(8, self.size // 6)


class Basics(NamedTuple):
    """The cheap part of a person: what their conversations need of them."""

    language: str
    name: str
    email: str | None
    company: int
    place: list[Any]


def people_id(pop: Population, p: int) -> str:
    return uuid_of(pop.key ^ 0x50, p)


def created_at(pop: Population, p: int) -> int:
    """Signed up between 26 months and one hour before the start; every 50th ties with the last."""
    dice = Dice(pop.key ^ mix(p - 1 if p % 50 == 49 else p))
    return pop.start_ms - HOUR - int(790 * DAY * (dice.below(1 << 30) / (1 << 30)) ** 1.5)


def company_of(pop: Population, p: int) -> int:
    """The number of the company a person works for (whether they say so or not)."""
    pair = p // ODDITIES * 2 % pop.companies
    # Odd companies may be renamed, even ones may be named without their domain; a colleague
    # (COLLEAGUE_*) makes sure that somebody gives their usual name and domain.
    if p % ODDITIES in (RENAMED, COLLEAGUE_RENAMED):
        return pair | 1
    if p % ODDITIES in (NAME_ONLY, NAME_ONLY_SPACED, COLLEAGUE_NAMED):
        return pair & ~1
    return mix(pop.key ^ (p << 8) ^ 0xC0) % pop.companies


def basics(pop: Population, p: int) -> Basics:
    dice = Dice(pop.key ^ (p << 8) ^ 0xBA)
    language = LANGUAGE_MIX[(p * 37 + pop.key) % 100]
    words = names()
    pool = words["people"][language]
    first = dice.below(len(pool["first"]))
    name = f"{pool['first'][first]} {dice.pick(pool['last'])}"
    latin = words["latin"].get(language)
    local = _ascii(latin[first] if latin else name)
    company = company_of(pop, p)
    email = _email(pop, p, local, company)
    return Basics(language, name, email, company, dice.pick(words["places"][language]))


_PLAIN = str.maketrans("áàâäãéèêëíìîïóòôöõúùûüçñÁÉÍÎÄÖÜß", "aaaaaeeeeiiiiooooouuuucnAEIIAOUs")


def _ascii(name: str) -> str:
    return name.translate(_PLAIN).replace(" ", ".").replace("-", "").lower()


def _email(pop: Population, p: int, local: str, company: int) -> str | None:
    slot = p % ODDITIES
    if slot in NO_EMAIL:
        return None
    if slot in (PLUS_TAG, SHARED_B):
        # The same local part as the neighbour: once with a tag, once with other letters.
        return _email_like_neighbour(pop, p, slot)
    if slot in FREEMAIL:
        return f"{local}{p}@{pop.freemail[p % len(pop.freemail)]}"
    if slot == IDN:
        return f"{local}{p}@bücher-{company}.example"
    address = f"{local}{p}@{company_domain(company)}"
    return address.title() if slot == OTHER_CASE else address


def _email_like_neighbour(pop: Population, p: int, slot: int) -> str:
    if slot == SHARED_B:
        return (basics(pop, p - 1).email or "").upper()
    local, _, domain = (basics(pop, p + 1).email or "").partition("@")
    return f"{local}+news@{domain}"
