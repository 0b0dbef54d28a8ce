"""Person *p* of a website as Crisp's profile object (crisp/REFERENCE.md section 6.4)."""

from typing import Any

from app.sandbox.chance import Dice, key_of
from app.sandbox.clock import MINUTE
from app.sandbox.companies import company_domain, company_name, company_tag
from app.sandbox.phrases import names
from app.sandbox.population import ODDITIES, Basics, Population, basics, created_at, people_id
from app.sandbox.profile_twists import TWISTS

Json = dict[str, Any]


def profile(pop: Population, p: int) -> Json:
    """The whole profile object, as an answer holds it."""
    who = basics(pop, p)
    dice = Dice(pop.key ^ (p << 8) ^ 0xF0)
    created = created_at(pop, p)
    updated = min(created + dice.below(max(1, pop.start_ms - created)), pop.start_ms - MINUTE)
    body: Json = {"people_id": people_id(pop, p)}
    if who.email is not None:
        body["email"] = who.email
    body["person"] = _person(who, dice, p)
    body["company"] = _company(who, dice)
    body["segments"] = sorted({dice.pick(names()["segments"]) for _ in range(dice.below(3))})
    body["notepad"] = "Prefers e-mail" if dice.percent(5) else ""
    body["active"] = {"now": dice.percent(1), "last": updated}
    body["score"] = dice.below(101)
    body["created_at"] = created
    body["updated_at"] = max(created, updated)
    twist = TWISTS.get(p % ODDITIES)
    if twist:
        twist(body, who, pop, p)
    return body


def _person(who: Basics, dice: Dice, p: int) -> Json:
    country, region, city, latitude, longitude, zone = who.place
    title, role, seniority = dice.pick(names()["titles"])
    handle = f"{who.language}{p}"
    return {
        "nickname": who.name,
        "avatar": f"https://avatars.example.com/{p}.png" if dice.percent(40) else "",
        "gender": dice.pick(("male", "female", "unknown")),
        "phone": f"+99955{p:07d}" if dice.percent(50) else "",
        "address": "",
        "description": title if dice.percent(30) else "",
        "website": f"https://www.{company_domain(who.company)}" if dice.percent(20) else "",
        "timezone": zone,
        "profiles": [{"type": "github", "handle": handle}] if dice.percent(15) else [],
        "employment": {
            "name": company_name(who.company),
            "domain": company_domain(who.company),
            "title": title,
            "role": role,
            "seniority": seniority,
        },
        "geolocation": _geolocation(country, region, city, latitude, longitude),
        "locales": [who.language] if who.language == "en" else [who.language, "en"],
    }


def _geolocation(country: str, region: str, city: str, lat: float, lon: float) -> Json:
    coordinates = {"latitude": lat, "longitude": lon}
    return {"country": country, "region": region, "city": city, "coordinates": coordinates}


def geolocation(place: list[Any]) -> Json:
    return _geolocation(*place[:5])


def _company(who: Basics, dice: Dice) -> Json:
    name, domain = company_name(who.company), company_domain(who.company)
    return {
        "name": name,
        "legal_name": f"{name} Ltd",
        "domain": domain,
        "url": f"https://www.{domain}",
        "description": "",
        "timezone": who.place[5],
        "phones": [],
        "emails": [f"hello@{domain}"],
        "geolocation": geolocation(who.place),
        "metrics": {
            "employees": 5 + who.company * 7 % 900,
            "market_cap": 0,
            "raised": 0,
            "arr": dice.below(2_000_000),
        },
        "tags": [company_tag(who.company)],
    }


def custom_data(pop: Population, p: int) -> Json:
    """Contact data of a person (crisp/REFERENCE.md section 6.5): another set than session data."""
    dice = Dice(key_of(pop.key, p, 0xDA))
    data: Json = {"plan": dice.pick(names()["plans"]), "user-id": f"U{p:06d}"}
    if dice.percent(60):
        data["plan_price"] = dice.below(200)
    if dice.percent(40):
        data["is_trialing"] = dice.percent(20)
    return {} if p % 9 == 4 else data
