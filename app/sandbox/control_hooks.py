"""The control routes of hooks: where to, how, what became of them (see ``hooks``)."""

from collections.abc import Iterator
from typing import Any

from app.sandbox.world import World

Json = dict[str, Any]
Params = dict[str, str]


async def set_hooks(world: World, wanted: Json) -> Json:
    """{"to": url | null, lost?, doubled?, late?, late_s?, …}; null stops and drops what waits."""
    from app.sandbox import hooks

    await hooks.set_hooks(world, wanted)
    return show_hooks(world, {})


async def flush_hooks(world: World, wanted: Json) -> Json:
    """{"timeout_s"?}; answers when nothing waits any more, or with "empty": false."""
    empty = world.hooks is None or await world.hooks.flush(float(wanted.get("timeout_s", 60)))
    return {**show_hooks(world, {}), "empty": empty}


def reset_hooks(world: World, _wanted: Json) -> Json:
    """Count from zero; the list of acknowledged bodies begins anew."""
    if world.hooks is not None:
        world.hooks.line.counts.reset()
    return show_hooks(world, {})


def show_hooks(world: World, _params: Params) -> Json:
    return {"to": None} if world.hooks is None else world.hooks.as_dict()


def acknowledged(world: World, _params: Params) -> Iterator[Json]:
    """The bodies answered with 2xx, in the order of their first such answer."""
    kept = () if world.hooks is None else world.hooks.line.counts.acknowledged_bodies
    return ({"sha256": digest.hex()} for digest in list(kept))
