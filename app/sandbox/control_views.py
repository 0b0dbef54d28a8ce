"""What the control routes show."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from app.sandbox import truth
from app.sandbox.control_hooks import acknowledged, show_hooks
from app.sandbox.faults import NAMES
from app.sandbox.site import Site
from app.sandbox.world import World

Json = dict[str, Any]
Params = dict[str, str]


def site_named(world: World, website_id: str | None) -> Site:
    """The website asked for; the main one if none is named."""
    return world.main if website_id is None else world.sites[website_id]


def _state(world: World, _params: Params) -> Json:
    return {
        "seed": world.seed,
        "now_ms": world.clock.now(),
        "start_ms": world.start_ms,
        "frozen": world.clock.frozen,
        "identifier": world.identifier,
        "key": world.key,
        "plugin_id": world.plugin_id,
        "signing_secret": world.signing_secret,
        "website_id": world.website_id,
        "delay_ms": world.delay_ms,
        "changes_per_request": world.changes_per_request,
        "changes_left": world.changes_left,
        "changes": world.change_count,
        "quota": {"limit": world.quota.limit, "used": world.quota.used},
        "websites": [_website(site) for site in world.sites.values()],
    }


def _website(site: Site) -> Json:
    return {
        "website_id": site.website_id,
        "name": site.name,
        "token": site.token,
        "installed": site.installed,
        "people": len(site.people_order),
        "conversations": len(site.by_update),
        "conversations_with_messages": len(site.by_update_filled),
    }


def _log(world: World, _params: Params) -> list[Json]:
    return [asdict(asked) for asked in world.counters.log]


def _changes(world: World, params: Params) -> Iterator[Json]:
    """The kept changes, oldest first; ``since``: only those with a higher number."""
    since = int(params.get("since", "0"))
    return (change.as_dict() for change in list(world.changes) if change.number > since)


def _people(world: World, params: Params) -> Iterator[Json]:
    return truth.people(world, site_named(world, params.get("website")))


def _conversations(world: World, params: Params) -> Iterator[Json]:
    return truth.conversations(world, site_named(world, params.get("website")))


def _messages(world: World, params: Params) -> Iterator[Json]:
    site = site_named(world, params.get("website"))
    return truth.messages(world, site, session_id=params.get("session"))


def _history(world: World, params: Params) -> Iterator[Json]:
    return truth.company_history(world, site_named(world, params.get("website")))


def _faults(world: World, _params: Params) -> Json:
    return {"names": NAMES, "in_force": [asdict(fault) for fault in world.faults.faults]}


def _counters(world: World, _params: Params) -> Json:
    return world.counters.as_dict()


VIEWS: dict[str, Callable[[World, Params], Any]] = {
    "state": _state,
    "counters": _counters,
    "log": _log,
    "hooks": show_hooks,
    "faults": _faults,
}
LINES: dict[str, Callable[[World, Params], Iterator[Json]]] = {
    "changes": _changes,
    "hooks/acknowledged": acknowledged,
    "company-history": _history,
    "truth/people": _people,
    "truth/conversations": _conversations,
    "truth/messages": _messages,
}
