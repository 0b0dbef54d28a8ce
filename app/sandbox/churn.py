"""Changes by chance: which, to whom, and how many between two requests."""

from collections.abc import Callable
from typing import Any

from app.sandbox.choosing import line, some_conversation, some_message, some_person
from app.sandbox.companies import company_domain, company_name
from app.sandbox.conversation_changes import (
    begin_conversation,
    bind_person,
    remove_conversation,
    set_field,
)
from app.sandbox.message_changes import edit_message, remove_message, send_message
from app.sandbox.people_changes import change_person, new_person, remove_person
from app.sandbox.rarer_changes import RARER
from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.world import World

DEFAULT_MIX: dict[str, float] = {
    "message_new": 40,
    "conversation_new": 12,
    "message_edited": 8,
    "message_removed": 4,
    "state": 14,
    "conversation_removed": 1,
    "person_new": 6,
    "person_email": 3,
    "person_name": 5,
    "person_company": 3,
    "person_removed": 1,
    "bound": 3,
}
FULL_MIX: dict[str, float] = {**DEFAULT_MIX, **dict.fromkeys(RARER, 3)}
"""The default mix and what is rarer: with it every event of SPEC S4 comes by chance."""


def checked_mix(mix: dict[str, float] | None) -> dict[str, float] | None:
    """A mix of kinds that exist; refused otherwise, before it can fail between requests."""
    for kind in mix or ():
        _maker(kind)
    return mix


def drift(world: World) -> None:
    """What happens between two requests."""
    if world.changes_per_request <= 0 or world.changes_left == 0:
        return
    whole, rest = divmod(world.changes_per_request, 1)
    count = int(whole) + (1 if rest and world.dice.percent(rest * 100) else 0)
    if world.changes_left is not None:
        count = min(count, world.changes_left)
        world.changes_left -= count
    make_changes(world, count)


def make_changes(world: World, count: int, site: Site | None = None) -> list[Change]:
    """Make ``count`` changes of the mix, on one website or on all installed ones."""
    made: list[Change] = []
    for _ in range(count):
        made += _one(world, site or _some_site(world))
    return made


def _one(world: World, site: Site) -> list[Change]:
    # Some cannot be made now (nobody left to remove): another is thrown instead.
    for _ in range(20):
        made = make(world, site, _kind(world))
        if made:
            return made
    return []


def _kind(world: World) -> str:
    mix = world.mix or DEFAULT_MIX
    at = world.dice.below(1_000_000) / 1_000_000 * sum(mix.values())
    for kind, weight in mix.items():
        at -= weight
        if at < 0:
            return kind
    return next(iter(mix))


def make(world: World, site: Site, kind: str) -> list[Change]:
    """One change of a named kind to a record chosen by chance; [] if there is none to choose."""
    return _maker(kind)(world, site)


def _maker(kind: str) -> Callable[[World, Site], list[Change]]:
    maker = _MAKERS.get(kind)
    if maker is None:
        msg = f"no such change: {kind} (there are {', '.join(_MAKERS)})"
        raise ValueError(msg)
    return maker


def _some_site(world: World) -> Site:
    installed = [site for site in world.sites.values() if site.installed]
    # Nine of ten changes happen on the main website.
    if not installed or (world.main.installed and not world.dice.percent(10)):
        return world.main
    return world.dice.pick(installed)


def _message_new(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    if i is None:
        return []
    inbound = world.dice.percent(50)
    return [send_message(world, site, i, line(world, site, i, inbound=inbound), inbound=inbound)]


def _conversation_new(world: World, site: Site) -> list[Change]:
    content = "Hi, a quick question" if world.dice.percent(95) else None
    return begin_conversation(world, site, content=content)[1]


def _message_edited(world: World, site: Site) -> list[Change]:
    chosen = some_message(world, site)
    # Crisp edits text; an answer given in a picker is a change a test names itself.
    if chosen is None or not _is_text(site, *chosen):
        return []
    return [edit_message(world, site, *chosen, f"(edited {world.change_count})")]


def _is_text(site: Site, i: int, wanted: int) -> bool:
    row = site.row_of(i, wanted)
    return row is not None and site.spell_out(i, [row])[0]["type"] == "text"


def _message_removed(world: World, site: Site) -> list[Change]:
    chosen = some_message(world, site)
    return [] if chosen is None else [remove_message(world, site, *chosen)]


def _state(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    if i is None:
        return []
    others = [
        s for s in ("pending", "unresolved", "resolved") if s != site.conversation(i)["state"]
    ]
    return [set_field(world, site, i, "state", world.dice.pick(others))]


def _conversation_removed(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    return [] if i is None else [remove_conversation(world, site, i)]


def _person_new(world: World, site: Site) -> list[Change]:
    return [new_person(world, site)[1]]


def _person_with(
    values: Callable[[World, Site, int], dict[str, Any]],
) -> Callable[..., list[Change]]:
    def maker(world: World, site: Site) -> list[Change]:
        p = some_person(world, site)
        return [] if p is None else [change_person(world, site, p, **values(world, site, p))]

    return maker


def _new_email(world: World, _site: Site, p: int) -> dict[str, Any]:
    return {"email": f"new.{p}.{world.change_count}@moved.example"}


def _new_name(world: World, _site: Site, p: int) -> dict[str, Any]:
    return {"person": {"nickname": f"Renamed {p}-{world.change_count}"}}


def _new_company(world: World, site: Site, _p: int) -> dict[str, Any]:
    c = world.dice.below(site.book.people.companies)
    return {"company": {"name": company_name(c), "domain": company_domain(c)}}


def _person_removed(world: World, site: Site) -> list[Change]:
    p = some_person(world, site)
    return [] if p is None else [remove_person(world, site, p)]


def _bound(world: World, site: Site) -> list[Change]:
    i, p = some_conversation(world, site), some_person(world, site)
    if i is None or p is None:
        return []
    return [bind_person(world, site, i, site.people_id(p))]


_MAKERS: dict[str, Callable[[World, Site], list[Change]]] = {
    "message_new": _message_new,
    "conversation_new": _conversation_new,
    "message_edited": _message_edited,
    "message_removed": _message_removed,
    "state": _state,
    "conversation_removed": _conversation_removed,
    "person_new": _person_new,
    "person_email": _person_with(_new_email),
    "person_name": _person_with(_new_name),
    "person_company": _person_with(_new_company),
    "person_removed": _person_removed,
    "bound": _bound,
    **RARER,
}
KINDS = tuple(_MAKERS)
