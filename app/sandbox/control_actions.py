"""What the control routes do."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.sandbox import churn
from app.sandbox.control_hooks import flush_hooks, reset_hooks, set_hooks
from app.sandbox.control_views import site_named
from app.sandbox.installs import reinstall, uninstall
from app.sandbox.named_changes import change_by_name
from app.sandbox.world import World

Json = dict[str, Any]


def _add_fault(world: World, wanted: Json) -> Json:
    fault = world.faults.add(**wanted)
    return {"name": fault.name, "in_force": len(world.faults.faults)}


def _clear_faults(world: World, wanted: Json) -> Json:
    world.answers.clear()
    return {"cleared": world.faults.clear(wanted.get("name"))}


def _clock(world: World, wanted: Json) -> Json:
    """{"set_ms"}, {"advance_ms"}, {"freeze": true | false}; several in this order."""
    if "set_ms" in wanted:
        world.clock.set(int(wanted["set_ms"]))
    if "advance_ms" in wanted:
        world.clock.advance(int(wanted["advance_ms"]))
    if "freeze" in wanted:
        (world.clock.freeze if wanted["freeze"] else world.clock.resume)()
    return {"now_ms": world.clock.now(), "frozen": world.clock.frozen}


def _change(world: World, wanted: Json) -> Json:
    """{"count": n} by chance, {"kind": one of the mix} or a named change with its values."""
    website = wanted.pop("website", None)
    site = None if website is None else site_named(world, website)
    if "kind" in wanted:
        changes = change_by_name(world, site or world.main, wanted)
    else:
        changes = churn.make_changes(world, int(wanted.get("count", 1)), site)
    return {"changes": [change.as_dict() for change in changes]}


def _settings(world: World, wanted: Json) -> Json:
    if "mix" in wanted:
        world.mix = churn.checked_mix(wanted["mix"])
    for name in ("delay_ms", "changes_per_request", "changes_left"):
        if name in wanted:
            setattr(world, name, wanted[name])
    if "quota" in wanted:
        world.quota.limit = wanted["quota"]
    return {"ok": True}


def _reset_counters(world: World, _wanted: Json) -> Json:
    world.counters.reset()
    return {"ok": True}


def _reset_quota(world: World, _wanted: Json) -> Json:
    world.quota.reset()
    return {"ok": True}


def _log(world: World, wanted: Json) -> Json:
    world.counters.keep_log(int(wanted.get("length", 1000)))
    return {"length": world.counters.log_length}


def _uninstall(world: World, wanted: Json) -> Json:
    return uninstall(world, site_named(world, wanted.get("website"))).as_dict()


def _reinstall(world: World, wanted: Json) -> Json:
    return reinstall(world, site_named(world, wanted.get("website"))).as_dict()


def _add_website(world: World, wanted: Json) -> Json:
    site = world.add_website(**wanted)
    return {"website_id": site.website_id, "token": site.token, "installed": site.installed}


ACTIONS: dict[str, Callable[[World, Json], Json | Awaitable[Json]]] = {
    "faults": _add_fault,
    "faults/clear": _clear_faults,
    "clock": _clock,
    "change": _change,
    "settings": _settings,
    "counters/reset": _reset_counters,
    "quota/reset": _reset_quota,
    "log": _log,
    "hooks": set_hooks,
    "hooks/flush": flush_hooks,
    "hooks/reset": reset_hooks,
    "uninstall": _uninstall,
    "reinstall": _reinstall,
    "websites": _add_website,
}
