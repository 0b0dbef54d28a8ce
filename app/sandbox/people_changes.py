"""Changes of people: new, changed, removed; a replaced company is kept in the history."""

from copy import deepcopy
from typing import Any

from app.sandbox.company_keys import stated_company
from app.sandbox.ordering import pack
from app.sandbox.profiles import profile
from app.sandbox.recording import record
from app.sandbox.records import Change, CompanyMove
from app.sandbox.site import Site
from app.sandbox.world import World

Json = dict[str, Any]

REMOVE = object()
"""As a value in ``values``: take the field out of the profile."""


def new_person(world: World, site: Site, **values: Any) -> tuple[int, Change]:
    """A person who signs up now. ``values`` as in ``change_person``."""
    now = world.clock.now()
    p = site.people_total
    site.people_total += 1
    body = profile(site.book.people, p)
    body.update(created_at=now, updated_at=now, active={"now": True, "last": now})
    _merge(body, values)
    # The address index is built before the newcomer is listed, or it would be in there twice.
    site.by_email  # noqa: B018
    site.people_order.add(pack(body["created_at"], p))
    site.store_profile(p, body)
    data = {"people_id": body["people_id"], "email": body.get("email")}
    return p, record(world, site, "person_new", "people:profile:created", **_told(data))


def change_person(world: World, site: Site, p: int, **values: Any) -> Change:
    """Change fields of a profile; objects are merged, ``REMOVE`` takes a field out."""
    body = _change(world, site, p, values)
    shown = {k: _patch(v) for k, v in values.items() if k != "email"}
    update = {"updated_at": body["updated_at"], **shown}
    data = {"people_id": body["people_id"], "email": body.get("email"), "update": update}
    return record(world, site, "person_changed", "people:profile:updated", **_told(data))


def enrich_person(
    world: World, site: Site, p: int, session_id: str, identity: dict[str, Any]
) -> Change:
    """Crisp found out more: ``identity`` is {person?, company?}, merged into the profile."""
    body = _change(world, site, p, identity)
    data = {"people_id": body["people_id"], "session_id": session_id, "identity": identity}
    return record(world, site, "person_enriched", "people:sync:profile", **data)


def _change(world: World, site: Site, p: int, values: Json) -> Json:
    """Lay the values over the profile; returns it as it is now."""
    before = site.profile(p)
    body = deepcopy(before)
    _merge(body, values)
    body["updated_at"] = values.get("updated_at", world.clock.now())
    site.store_profile(p, body)
    _note_move(world, site, before, body)
    return body


def _patch(value: Any) -> Any:
    """What an event tells of a value: only the fields that were given; taken out is null."""
    if isinstance(value, dict):
        return {k: _patch(v) for k, v in value.items()}
    return None if value is REMOVE else value


def remove_person(world: World, site: Site, p: int) -> Change:
    """The profile answers 404 from now on; conversations keep the people_id they carry."""
    body = site.profile(p)
    site.store_profile(p, None)
    site.people_gone[p] = world.clock.now()
    site.people_order.discard(pack(body["created_at"], p))
    data = {"people_id": body["people_id"]}
    return record(world, site, "person_removed", "people:profile:removed", **data)


def set_contact_data(site: Site, p: int, data: Json) -> None:
    """Replace a person's custom data. No event tells of it (REFERENCE section 6.5)."""
    site.data[p] = data


def _told(data: Json) -> Json:
    """An event leaves out the address a person does not have."""
    return {k: v for k, v in data.items() if k != "email" or v}


def _merge(body: Json, values: Json) -> None:
    for name, value in values.items():
        if value is REMOVE:
            body.pop(name, None)
        elif isinstance(value, dict) and isinstance(body.get(name), dict):
            _merge(body[name], value)
        else:
            body[name] = value


def _note_move(world: World, site: Site, before: Json, after: Json) -> None:
    old, new = stated_company(before), stated_company(after)
    old_key, new_key = old.key if old else None, new.key if new else None
    if old_key != new_key:
        moved = CompanyMove(
            site.website_id, after["people_id"], after["updated_at"], old_key, new_key
        )
        world.company_moves.append(moved)
