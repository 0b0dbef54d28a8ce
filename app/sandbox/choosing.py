"""Records picked by chance, for changes that do not name theirs."""

from app.sandbox.cases import fingerprint
from app.sandbox.population import COLLEAGUE_NAMED, NAME_ONLY, NAME_ONLY_SPACED, ODDITIES
from app.sandbox.site import Site
from app.sandbox.world import World

_RECENT = 60


def some_conversation(world: World, site: Site, *, filled: bool = False) -> int | None:
    """Half of the time a recent one, as it is in life."""
    order = site.by_update_filled if filled else site.by_update
    if not len(order):
        return None
    back = world.dice.below(min(_RECENT, len(order)) if world.dice.percent(50) else len(order))
    return order.page(0, len(order), back, 1)[0]


def some_person(world: World, site: Site) -> int | None:
    people = site.people_order
    if not len(people):
        return None
    p = people.page(0, len(people), world.dice.below(len(people)), 1)[0]
    # These keep a company that others name without its domain alive.
    return None if p % ODDITIES in (NAME_ONLY, NAME_ONLY_SPACED, COLLEAGUE_NAMED) else p


def some_message(world: World, site: Site) -> tuple[int, int] | None:
    i = some_conversation(world, site, filled=True)
    if i is None:
        return None
    source = world.dice.pick(site.rows(i))[1]
    found = fingerprint(site.case(i), source) if isinstance(source, int) else source["fingerprint"]
    return i, found


def line(world: World, site: Site, i: int, *, inbound: bool) -> str:
    lines = site.cast(i).lines
    return world.dice.pick(lines.user if inbound else lines.operator)
