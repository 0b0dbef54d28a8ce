"""The one place every change goes through: it is numbered, kept and told to the listeners."""

from typing import Any

from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.world import World

UNTOLD = "session:updated"
"""The event of a change that Crisp has no hook for: it is kept and told, but never sent."""


def record(world: World, site: Site, kind: str, event: str, **data: Any) -> Change:
    """Keep a change that was just made. Web hooks are a listener on ``world.listeners``."""
    world.change_count += 1
    body = {"website_id": site.website_id, **data}
    change = Change(world.change_count, world.clock.now(), kind, event, site.website_id, body)
    world.changes.append(change)
    for listener in world.listeners:
        listener(change)
    return change


def session_data(site: Site, i: int) -> dict[str, Any]:
    """The ids every session and message event carries."""
    return {"session_id": site.session_id(i), "inbox_id": site.inbox_id_in(i)}
