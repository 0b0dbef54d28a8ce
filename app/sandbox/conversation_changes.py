"""Changes of conversations: begun, changed in one field, bound to a person, removed."""

from typing import Any

from app.sandbox.conversations import STATUS
from app.sandbox.message_changes import send_message
from app.sandbox.recording import UNTOLD, record, session_data
from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.threads import Overlay
from app.sandbox.world import World

# field -> (hook event, where it stands). What hooks carry under another name is in _hook_data.
_FIELDS = {
    "state": ("session:set_state", "top"),
    "topic": ("session:sync:topic", "top"),
    "participants": ("session:set_participants", "top"),
    "assigned": ("session:set_routing", "top"),
    "inbox_id": ("session:set_inbox", "top"),
    "mentions": ("session:set_mentions", "top"),
    "availability": ("session:update_availability", "top"),
    "is_blocked": ("session:set_block", "top"),
    "is_verified": ("session:update_verify", "top"),
    "verifications": ("session:update_verify", "top"),
    "email": ("session:set_email", "meta"),
    "nickname": ("session:set_nickname", "meta"),
    "phone": ("session:set_phone", "meta"),
    "address": ("session:set_address", "meta"),
    "subject": ("session:set_subject", "meta"),
    "segments": ("session:set_segments", "meta"),
    "data": ("session:set_data", "meta"),
    "origin": ("session:set_origin", "meta"),
    "avatar": ("session:set_avatar", "meta"),
}


def set_field(
    world: World, site: Site, i: int, field: str, value: Any, *, bump: bool = True
) -> Change:
    """Change one field of a conversation; any name is allowed, so that odd values can be sent."""
    event, place = _FIELDS.get(field, (UNTOLD, "top"))
    over = site.overlay(i)
    before = site.conversation(i)
    (over.meta if place == "meta" else over.patch)[field] = value
    if field == "state":
        over.patch["status"] = STATUS.get(value, -1)
    if bump:
        site.touch(i, world.clock.now())
    data = {**session_data(site, i), **_hook_data(field, value, before)}
    return record(world, site, f"conversation_{field}", event, **data)


def _hook_data(field: str, value: Any, before: dict[str, Any]) -> dict[str, Any]:
    if field == "assigned":
        previous = (before.get("assigned") or {}).get("user_id")
        return {"routing_id": (value or {}).get("user_id"), "previous_routing_id": previous}
    if field == "inbox_id":
        return {"inbox_id": value, "previous_inbox_id": before.get("inbox_id")}
    if field in ("is_verified", "verifications"):
        both = {k: before.get(k) for k in ("is_verified", "verifications")}
        return {**both, field: value}
    return {field: value}


def rate(world: World, site: Site, i: int, stars: int, comment: str = "") -> Change:
    """A rating: only the hook tells of it, no REST field is known (REFERENCE section 6.1)."""
    rating = {"stars": stars, "comment": comment}
    data = {**session_data(site, i), "rating": rating}
    return record(world, site, "conversation_rated", "session:sync:rating", **data)


def bind_person(world: World, site: Site, i: int, people: str, *, bump: bool = True) -> Change:
    """Crisp found out whose conversation it is."""
    site.overlay(i).patch["people_id"] = people
    site.bind(i, people)
    if bump:
        site.touch(i, world.clock.now())
    data = {"people_id": people, "session_id": site.session_id(i)}
    return record(world, site, "bound", "people:bind:session", **data)


def begin_conversation(
    world: World, site: Site, *, content: Any = "Hello, is anybody there?", **values: Any
) -> tuple[int, list[Change]]:
    """A new conversation with its first message (content None: without one).

    ``values``: fields of the conversation; ``meta`` among them is laid over the computed meta.
    """
    now = world.clock.now()
    i = site.conversations_total
    site.conversations_total += 1
    meta = values.pop("meta", {})
    state = values.setdefault("state", "pending")
    patch = {"created_at": now, "waiting_since": now, "status": STATUS.get(state, -1), **values}
    active = {"now": True, "last": now}
    site.overlays[i] = Overlay(
        born=True, updated_at=now, patch={"active": active, **patch}, meta=meta, rows=[]
    )
    site.enlist(i)
    site.bind(i, site.people_id_in(i))
    kind, event = "conversation_new", "session:request:initiated"
    changes = [record(world, site, kind, event, **session_data(site, i))]
    if content is not None:
        changes.append(send_message(world, site, i, content))
    return i, changes


def remove_conversation(world: World, site: Site, i: int) -> Change:
    site.unlist(i)
    site.overlay(i).removed_at = world.clock.now()
    return record(world, site, "conversation_removed", "session:removed", **session_data(site, i))
