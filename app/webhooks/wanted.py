"""Which events to tick in Crisp's Marketplace form (SPEC H2)."""

from __future__ import annotations

EVENTS_TO_TICK = (
    "message:send",
    "message:received",
    "message:updated",
    "message:removed",
    "session:request:initiated",
    "session:set_state",
    "session:set_email",
    "session:set_phone",
    "session:set_nickname",
    "session:set_subject",
    "session:set_data",
    "session:set_segments",
    "session:set_routing",
    "session:set_inbox",
    "session:sync:rating",
    "session:sync:topic",
    "session:removed",
    "people:profile:created",
    "people:profile:updated",
    "people:profile:removed",
    "people:bind:session",
    "people:sync:profile",
    "email:subscribe",
    "plugin:subscription:updated",
    "plugin:settings:saved",
)
"""The minimum set of crisp/REFERENCE.md section 7.5."""

ROUTE = "/webhooks/crisp"


def hook_url(public_url: str) -> str:
    """The address for Crisp's Marketplace form."""
    return public_url.rstrip("/") + ROUTE
