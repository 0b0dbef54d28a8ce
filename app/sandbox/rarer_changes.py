"""Changes by chance that the default mix leaves out: single fields, ratings, odd messages."""

from collections.abc import Callable
from typing import Any

from app.sandbox.choosing import some_conversation, some_person
from app.sandbox.conversation_changes import rate, set_field
from app.sandbox.conversations import SECOND_INBOX, operator_id
from app.sandbox.message_changes import send_message
from app.sandbox.message_twists import ODD_MESSAGES
from app.sandbox.people_changes import change_person, enrich_person
from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.world import World

# field -> a value for it, from how many changes there were before.
_VALUES: dict[str, Callable[[int], Any]] = {
    "email": lambda n: f"visitor.{n}@elsewhere.example",
    "phone": lambda n: f"+3360000{n % 10_000:04d}",
    "nickname": lambda n: f"Visitor {n}",
    "subject": lambda n: f"Subject {n}",
    "segments": lambda n: ["customer", f"segment-{n % 7}"],
    "data": lambda n: {"plan": "pro", "seats": n, "trial": n % 2 == 0},
    "topic": lambda n: f"Topic {n % 9}",
    "participants": lambda n: [{"type": "email", "target": f"cc.{n}@elsewhere.example"}],
    "inbox_id": lambda n: SECOND_INBOX if n % 2 else None,
    "is_verified": lambda n: n % 2 == 0,
}


def _field(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    if i is None:
        return []
    name = world.dice.pick(tuple(_VALUES))
    return [set_field(world, site, i, name, _VALUES[name](world.change_count))]


def _assigned(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    if i is None:
        return []
    k = world.dice.below(site.book.operators + 1)
    chosen = {"user_id": operator_id(site.book.key, k)} if k < site.book.operators else None
    return [set_field(world, site, i, "assigned", chosen)]


def _rating(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    stars = 1 + world.dice.below(5)
    return [] if i is None else [rate(world, site, i, stars, "Thanks" if stars > 3 else "")]


def _odd_message(world: World, site: Site) -> list[Change]:
    i = some_conversation(world, site)
    if i is None:
        return []
    kind, content, inbound = world.dice.pick(ODD_MESSAGES)
    return [send_message(world, site, i, content, inbound=inbound, type=kind)]


def _segments(world: World, site: Site) -> list[Change]:
    p = some_person(world, site)
    segments = ["customer", f"segment-{world.change_count % 7}"]
    return [] if p is None else [change_person(world, site, p, segments=segments)]


def _enriched(world: World, site: Site) -> list[Change]:
    i, p = some_conversation(world, site), some_person(world, site)
    if i is None or p is None:
        return []
    identity = {"person": {"description": f"Found out {world.change_count}"}}
    return [enrich_person(world, site, p, site.session_id(i), identity)]


RARER: dict[str, Callable[[World, Site], list[Change]]] = {
    "conversation_field": _field,
    "assigned": _assigned,
    "rating": _rating,
    "message_odd": _odd_message,
    "person_segments": _segments,
    "person_enriched": _enriched,
}
