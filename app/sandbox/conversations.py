"""Conversation *i* as Crisp's conversation object (crisp/REFERENCE.md sections 6.1 and 6.2)."""

from functools import lru_cache
from typing import Any

from app.sandbox.cases import CYCLE, Case, Casebook, Odd, Visitor, session_id
from app.sandbox.chance import Dice, mix, uuid_of
from app.sandbox.clock import MINUTE
from app.sandbox.companies import company_name
from app.sandbox.messages import Cast
from app.sandbox.phrases import LANGUAGE_MIX, names, phrases
from app.sandbox.population import Basics, basics, people_id
from app.sandbox.profiles import geolocation

Json = dict[str, Any]

SECOND_INBOX = "3f0c1a52-0000-4000-8000-000000000001"
STATUS = {"pending": 0, "unresolved": 1, "resolved": 2}
_ORIGINS = ("chat",) * 14 + ("email",) * 4 + ("urn:crisp.example:whatsapp:0",) * 2


def operator_id(key: int, k: int) -> str:
    return uuid_of(key ^ 0x0B, k)


def state_of(book: Casebook, of: Case) -> str:
    """Mostly resolved; what is a few days old may still be open."""
    throw = mix(of.key ^ 0x57) % 100
    recent = book.start_ms - of.last_ms < 4_320 * MINUTE
    if throw < (45 if recent else 2):
        return "unresolved"
    return "pending" if throw < (65 if recent else 5) else "resolved"


def updated_at(of: Case) -> int:
    """The time the lists are ordered by (ms)."""
    # Crisp touches a conversation a moment after its last message; tied slots stay tied.
    return of.last_ms + of.odd % 10 * 7 if of.odd < len(Odd) else of.last_ms


@lru_cache(maxsize=4096)
def _basics(book: Casebook, p: int) -> Basics:
    return basics(book.people, p)


def cast_of(book: Casebook, of: Case, website_id: str) -> Cast:
    """Who speaks in it, and in which language."""
    who = None if of.person is None else _basics(book, of.person)
    language = who.language if who else LANGUAGE_MIX[of.key % 100]
    name = who.name if who and of.visitor < Visitor.STRANGER else _stranger_name(of, language)
    operator = names()["operators"][of.operator]
    return Cast(
        website_id,
        session_id(book, of.number),
        name,
        company_name(who.company if who else of.key % book.people.companies),
        "",
        operator_id(book.key, of.operator),
        operator[0],
        language,
        phrases(language),
        _ORIGINS[of.key % len(_ORIGINS)],
        state_of(book, of) == "resolved",
    )


def inbox_of(i: int) -> str | None:
    """The inbox a conversation starts in, without computing the rest of it."""
    return SECOND_INBOX if i % CYCLE == Odd.REPEATED_A else None


def _stranger_name(of: Case, language: str) -> str:
    if of.visitor == Visitor.STRANGER:
        pool = names()["people"][language]
        return f"{pool['first'][of.key % len(pool['first'])]}"
    return f"visitor{100_000 + of.key % 900_000}"


def conversation(book: Casebook, of: Case, cast: Cast) -> Json:
    """The object without what its messages decide (created_at, excerpt): see ``Threads``."""
    state = "resolved" if cast.resolved else state_of(book, of)
    dice = Dice(of.key ^ 0xC0)
    updated = updated_at(of)
    body: Json = {"session_id": cast.session_id, "website_id": cast.website_id, "inbox_id": None}
    person = person_named(book, of)
    if person is not None:
        body["people_id"] = person
    typed = of.visitor in (Visitor.ADDRESS, Visitor.SHARED, Visitor.STRANGER, Visitor.IDN)
    verified = of.visitor < Visitor.STRANGER and dice.percent(30)
    body.update(
        state=state,
        status=STATUS[state],
        is_verified=verified,
        is_blocked=of.odd == Odd.BLOCKED,
        availability="online" if dice.percent(2) else "offline",
        active={"now": False, "last": updated},
        topic=cast.lines.scenarios[of.script % len(cast.lines.scenarios)].topic,
        verifications=_verifications(of, typed=typed and not verified),
        participants=[{"type": "email", "target": "cc@example.com"}] if dice.percent(4) else [],
        mentions=[],
        compose={},
        unread={"operator": 0 if state == "resolved" else 1 + dice.below(3), "visitor": 0},
        assigned={"user_id": cast.operator_id} if dice.percent(80) else None,
        meta=_meta(book, of, cast, dice),
        updated_at=updated,
        waiting_since=0 if state == "resolved" else updated,
    )
    _twist(of, body)
    return body


def person_named(book: Casebook, of: Case) -> str | None:
    """The people_id a conversation carries, whether such a person exists or not."""
    if of.visitor in (Visitor.GHOST, Visitor.GHOST_ADDRESS):
        return uuid_of(book.key ^ 0x6057, of.number)
    bound = of.visitor in (Visitor.KNOWN, Visitor.KNOWN_NO_ADDRESS, Visitor.CONFLICT)
    return people_id(book.people, of.person) if bound and of.person is not None else None


def _verifications(of: Case, *, typed: bool) -> list[Json]:
    if typed and of.key % 4 == 0:
        return [{"identity": "email", "method": "link", "annotation": ""}]
    if of.key % 50 == 1:
        return [{"identity": "phone", "method": "call", "annotation": "checked"}]
    return []


def _meta(book: Casebook, of: Case, cast: Cast, dice: Dice) -> Json:
    scenario = cast.lines.scenarios[of.script % len(cast.lines.scenarios)]
    subject = scenario.subject.format(num=10_000 + of.key % 90_000)
    meta: Json = {"nickname": cast.visitor}
    address = address_given(book, of)
    # An anonymous visitor's address is missing, empty or null in turn.
    if address is not None or of.number % 3:
        meta["email"] = address if address is not None else ("" if of.number % 3 == 1 else None)
    place = names()["places"][cast.language][0]
    meta.update(
        phone=f"+99955{of.key % 10_000_000:07d}" if dice.percent(15) else "",
        address="",
        subject=subject if dice.percent(60) else "",
        origin=cast.origin,
        ip=f"203.0.113.{dice.below(254) + 1}",
        avatar="",
        segments=sorted({dice.pick(names()["segments"]) for _ in range(dice.below(3))}),
        data=_session_data(of, dice),
        connection={"isp": "Example ISP", "asn": "AS64500"},
        device=_device(place, cast.language, dice),
    )
    return meta


def address_given(book: Casebook, of: Case) -> str | None:
    """The e-mail address in the meta, spelt the way this kind of visitor spells it."""
    if of.visitor == Visitor.STRANGER:
        return f"visitor.{of.number}@stranger-{of.key % 97}.example"
    if of.person is None or of.visitor == Visitor.KNOWN_NO_ADDRESS:
        return None
    person = of.person
    if of.visitor == Visitor.CONFLICT:
        person = (person + 1) % book.people.size
    address = _basics(book, person).email
    if address is None:
        return None
    return _spelt(of, address)


def _spelt(of: Case, address: str) -> str:
    local, _, domain = address.partition("@")
    if of.visitor == Visitor.TAGGED:
        return f"{local}+{of.key % 1000}@{domain}"
    if of.visitor == Visitor.IDN:
        return f"{local}@{domain.encode('idna').decode()}"
    if of.visitor == Visitor.ADDRESS:
        return (address, address.upper(), f" {address}", f"{address}\t ")[of.key % 4]
    return address


def _session_data(of: Case, dice: Dice) -> Json:
    data: Json = {}
    if dice.percent(45):
        data["plan"] = dice.pick(names()["plans"])
        data["plan_price"] = dice.below(200)
    if dice.percent(20):
        data["is_trialing"] = dice.percent(50)
    if of.odd == Odd.ODD_KEYS:
        data.update({"nul\u0000key": "nul\u0000value", "<b>": "<i>", "": "", "half": "\ud83d"})
    return data


def _device(place: list[Any], language: str, dice: Dice) -> Json:
    browser, engine, version = dice.pick(names()["browsers"])
    system, release = dice.pick(names()["systems"])
    return {
        "capabilities": ["browsing"],
        "geolocation": geolocation(place),
        "system": {
            "os": {"name": system, "version": release},
            "engine": {"name": engine, "version": f"{version}.0"},
            "browser": {"name": browser, "major": version, "version": f"{version}.0"},
            "useragent": f"Mozilla/5.0 ({system}) {browser}/{version}.0",
        },
        "timezone": place[5],
        "locales": [language],
    }


def _twist(of: Case, body: Json) -> None:
    """The odd fields of a conversation whose slot asks for them."""
    meta = body["meta"]
    if of.odd == Odd.SCRIPT:
        meta["subject"] = "<script>alert('subject')</script>"
        meta["nickname"] = '"><img src=x onerror=alert(1)>'
        body["topic"] = "<u>topic</u>"
    elif of.odd == Odd.ABSURD_TIMES:
        absurd = ("1641206011000", -1, 1_506_985_696_616_000)
        body["waiting_since"] = absurd[of.number // CYCLE % 3]
        body["active"] = {"now": False, "last": 0}
    elif of.odd == Odd.HALF_MISSING:
        for name in ("inbox_id", "topic", "verifications", "participants", "compose", "assigned"):
            body.pop(name)
        for name in ("device", "connection", "ip", "origin", "segments", "data"):
            meta.pop(name)
    elif of.odd == Odd.NULL_META:
        body.update(topic=None, participants=None, mentions=None, unread=None)
        meta.update(nickname=None, phone=None, segments=None, data=None, subject=None, device=None)
    elif of.odd == Odd.FORMULA:
        meta["subject"] = '=HYPERLINK("https://evil.example")'
    elif of.odd == Odd.REPEATED_A:
        body["inbox_id"] = SECOND_INBOX
