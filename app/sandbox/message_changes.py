"""Changes of messages: sent, edited, removed.

A removal leaves the conversation's ``updated_at`` alone unless ``bump`` is set: whether Crisp
touches it is unknown, and untouched is the harder case for a reader (FAILURES 47, 48).
"""

from bisect import insort_right
from typing import Any

from app.sandbox.messages import frame
from app.sandbox.recording import record, session_data
from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.world import World

# Above every computed fingerprint, below 2**53.
_FINGERPRINTS = 10**15
# Fields of the REST object that a hook leaves out while they say nothing.
_UNTOLD: dict[str, tuple[Any, ...]] = {
    "preview": ([], None),
    "edited": (False, None),
    "translated": (False, None),
    "read": ("", None),
    "delivered": ("", None),
}


def send_message(
    world: World,
    site: Site,
    i: int,
    content: Any = "Hello?",
    *,
    inbound: bool = True,
    bump: bool = True,
    at_ms: int | None = None,
    **fields: Any,
) -> Change:
    """A new message; ``fields`` (type, fingerprint, automated, …) overwrite the ordinary ones."""
    now = world.clock.now()
    body = frame(site.cast(i), inbound=inbound, automated=bool(fields.get("automated")))
    body["content"] = content
    body["fingerprint"] = _FINGERPRINTS + world.change_count
    body["timestamp"] = now if at_ms is None else at_ms
    body.update(fields)
    insort_right(site.own_rows(i), (body["timestamp"], body), key=lambda row: row[0])
    if bump:
        site.touch(i, now)
    site.refill(i)
    event = "message:send" if body["from"] == "user" else "message:received"
    shown = {k: v for k, v in body.items() if k not in _UNTOLD or v not in _UNTOLD[k]}
    data = {**shown, "inbox_id": site.inbox_id_in(i)}
    del data["website_id"]
    return record(world, site, "message_new", event, **data)


def edit_message(
    world: World, site: Site, i: int, fingerprint: int, content: Any, *, bump: bool = True
) -> Change:
    if site.row_of(i, fingerprint) is None:
        raise LookupError(fingerprint)
    site.overlay(i).edits[fingerprint] = content
    if bump:
        site.touch(i, world.clock.now())
    data = {**session_data(site, i), "fingerprint": fingerprint, "content": content}
    return record(world, site, "message_edited", "message:updated", **data)


def remove_message(
    world: World, site: Site, i: int, fingerprint: int, *, bump: bool = False
) -> Change:
    row = site.row_of(i, fingerprint)
    if row is None:
        raise LookupError(fingerprint)
    site.own_rows(i).remove(row)
    site.overlay(i).gone.append(row)
    if bump:
        site.touch(i, world.clock.now())
    site.refill(i)
    data = {**session_data(site, i), "fingerprint": fingerprint}
    return record(world, site, "message_removed", "message:removed", **data)
