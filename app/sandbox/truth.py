"""The right end state, worked out from the world itself and apart from crispsync's code.

Everything is a generator: a million messages pass through without being held.
"""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from app.sandbox.addresses import email_form
from app.sandbox.company_keys import Stated, name_form, stated_company
from app.sandbox.site import Site
from app.sandbox.world import World

Json = dict[str, Any]


class Companies:
    """Every company the living profiles state, with names without a domain resolved (SPEC D6)."""

    def __init__(self, site: Site) -> None:
        self.names: dict[str, tuple[int, str]] = {}
        self._domains_of: dict[str, set[str]] = {}
        self._of_person: dict[int, Stated] = {}
        versions: dict[int, int] = {}
        for p in site.people_order.numbers():
            body = site.profile(p)
            found = stated_company(body)
            if found is not None:
                self._of_person[p], versions[p] = found, _version(body)
        for found in self._of_person.values():
            if found.domain and found.name:
                self._domains_of.setdefault(name_form(found.name), set()).add(found.domain)
        for p, found in self._of_person.items():
            key = self.key(found)
            if found.name and versions[p] >= self.names.get(key, (-1, ""))[0]:
                self.names[key] = (versions[p], found.name)

    def key_of(self, p: int) -> str | None:
        """The key of a living person's company."""
        found = self._of_person.get(p)
        return None if found is None else self.key(found)

    def key(self, found: Stated) -> str:
        if found.domain:
            return found.key
        domains = self._domains_of.get(name_form(found.name), set())
        return f"domain:{next(iter(domains))}" if len(domains) == 1 else found.key

    def name(self, found: Stated) -> str:
        """The name in the profile that was updated last; the domain if nobody gives a name."""
        key = self.key(found)
        return self.names[key][1] if key in self.names else found.domain


def _version(profile: Json) -> int:
    version = profile.get("updated_at")
    return version if isinstance(version, int) else 0


# The companies of a website at one count of changes: working them out reads every profile.
_kept: WeakKeyDictionary[Site, tuple[int, Companies]] = WeakKeyDictionary()


def companies_of(world: World, site: Site) -> Companies:
    """The companies as they are now."""
    kept = _kept.get(site)
    if kept is None or kept[0] != world.change_count:
        kept = _kept[site] = (world.change_count, Companies(site))
    return kept[1]


def people(world: World, site: Site | None = None, *, removed: bool = True) -> Iterator[Json]:
    """Every person: living ones by age, then (if ``removed``) those that are gone."""
    site = site or world.main
    companies = companies_of(world, site)
    for p in site.people_order.numbers():
        yield _person(site, companies, p, removed=False)
    if removed:
        for p in sorted(site.people_gone):
            yield _person(site, companies, p, removed=True)


def _person(site: Site, companies: Companies, p: int, *, removed: bool) -> Json:
    body = site.profile(p)
    found = stated_company(body)
    return {
        "people_id": body["people_id"],
        "email": body.get("email"),
        "email_form": email_form(body.get("email")),
        "name": (body.get("person") or {}).get("nickname"),
        "company_key": companies.key(found) if found else None,
        "company_name": companies.name(found) if found else None,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "removed": removed,
    }


def conversations(
    world: World, site: Site | None = None, *, removed: bool = True
) -> Iterator[Json]:
    """Every conversation with its owner; removed ones last, with what they were."""
    site = site or world.main
    companies = companies_of(world, site)
    gone_forms = _gone_forms(site)
    operators = _operator_names(site)
    for i in site.by_update.numbers():
        yield _conversation(site, companies, gone_forms, operators, i)
    if removed:
        for i, over in sorted(site.overlays.items()):
            if over.removed_at is not None:
                row = _conversation(site, companies, gone_forms, operators, i)
                yield {**row, "removed": True}


def conversation(world: World, session_id: str, site: Site | None = None) -> Json:
    """The truth about one conversation, removed or not."""
    site = site or world.main
    i = site.number_ever(session_id)
    if i is None:
        raise LookupError(session_id)
    over = site.overlays.get(i)
    row = _conversation(
        site, companies_of(world, site), _gone_forms(site), _operator_names(site), i
    )
    return {**row, "removed": over is not None and over.removed_at is not None}


def _operator_names(site: Site) -> dict[str, str]:
    details = [row["details"] for row in site.operators()]
    return {one["user_id"]: f"{one['first_name']} {one['last_name']}" for one in details}


def _gone_forms(site: Site) -> frozenset[str]:
    forms = (email_form(site.profile(p).get("email")) for p in site.people_gone)
    return frozenset(form for form in forms if form)


def _conversation(
    site: Site, companies: Companies, gone: frozenset[str], operators: dict[str, str], i: int
) -> Json:
    body = site.conversation(i)
    assigned = (body.get("assigned") or {}).get("user_id")
    row = {
        "session_id": body["session_id"],
        "state": body["state"],
        "subject": body["meta"].get("subject"),
        "assigned_name": operators.get(assigned) if assigned else None,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "last_message_at": site.rows(i)[-1][0] if site.message_count(i) else None,
        "messages": site.message_count(i),
        "removed": False,
    }
    owner = _owner(site, body)
    row.update(_ownership(site, companies, gone, body, owner))
    return row


def _owner(site: Site, body: Json) -> tuple[int, str] | None:
    """(person, rule): by people_id, else by an address exactly one living person has (M1, M2)."""
    named = body.get("people_id")
    if isinstance(named, str) and "@" not in named:
        p = site.person_number(named)
        if p is not None:
            return p, "people_id"
    holders = site.by_email.get(email_form(body["meta"].get("email")) or "", set())
    return (next(iter(holders)), "email") if len(holders) == 1 else None


def _ownership(
    site: Site,
    companies: Companies,
    gone: frozenset[str],
    body: Json,
    owner: tuple[int, str] | None,
) -> Json:
    if owner is None:
        reason, unseen = _reasons(site, gone, body)
        return {
            "owner": None, "rule": None, "reason": reason, "reason_unseen": unseen,
            "match_verified": None, "company_keys": [],
        }  # fmt: skip
    p, rule = owner
    key = companies.key_of(p)
    return {
        "owner": site.people_id(p),
        "rule": rule,
        "reason": None,
        "reason_unseen": None,
        "match_verified": rule == "people_id" or _verified(body),
        "company_keys": [key] if key else [],
    }


def _verified(body: Json) -> bool:
    proofs = body.get("verifications") or []
    return bool(body.get("is_verified")) or any(one["identity"] == "email" for one in proofs)


def _reasons(site: Site, gone: frozenset[str], body: Json) -> tuple[str, str]:
    """Why nobody owns it (M5): for a reader who saw every person, and for one who came later.

    A removed person is ``contact_removed`` only to a reader who knew them.
    """
    named, form = body.get("people_id"), email_form(body["meta"].get("email"))
    if form and len(site.by_email.get(form, ())) > 1:
        return "ambiguous_email", "ambiguous_email"
    unseen = "unknown_person" if named else "unknown_email" if form else "no_identity"
    removed = form in gone or bool(named and _was_removed(site, named))
    return ("contact_removed" if removed else unseen), unseen


def _was_removed(site: Site, people: object) -> bool:
    return isinstance(people, str) and site.person_ever(people) in site.people_gone


def messages(
    world: World, site: Site | None = None, *, session_id: str | None = None, removed: bool = True
) -> Iterator[Json]:
    """Every message of every living conversation (or of one), oldest first in each."""
    site = site or world.main
    chosen = site.by_update.numbers() if session_id is None else [site.number_ever(session_id)]
    for i in chosen:
        if i is None:
            raise LookupError(session_id)
        yield from _messages(site, i, removed=removed)


def _messages(site: Site, i: int, *, removed: bool) -> Iterator[Json]:
    over = site.overlays.get(i)
    # The messages of a removed conversation went with it.
    went = over is not None and over.removed_at is not None
    for body in site.spell_out(i, site.rows(i)):
        yield _message(body, removed=went)
    if removed and over is not None and over.gone:
        for body in site.spell_out(i, over.gone):
            yield _message(body, removed=True)


def _message(body: Json, *, removed: bool) -> Json:
    return {
        "session_id": body["session_id"],
        "fingerprint": body["fingerprint"],
        "direction": direction(body),
        "type": body["type"],
        "content": body["content"],
        "timestamp": body["timestamp"],
        "edited": bool(body.get("edited")),
        "automated": bool(body.get("automated")),
        "removed": removed,
    }


def direction(body: Json) -> str:
    """Notes and events are internal; else what the visitor sent is inbound (SPEC D3)."""
    if body["type"] in ("note", "event"):
        return "internal"
    return "inbound" if body["from"] == "user" else "outbound"


def company_history(world: World, site: Site | None = None) -> Iterator[Json]:
    """Replaced companies in the order they were replaced; times in ms."""
    site = site or world.main
    for move in world.company_moves:
        if move.website_id == site.website_id:
            yield {
                "people_id": move.people_id,
                "at_ms": move.at_ms,
                "old": move.old,
                "new": move.new,
            }
