"""Changes asked for by name with given values, as a control request or a test writes them."""

from collections.abc import Callable
from typing import Any

from app.sandbox import churn
from app.sandbox.conversation_changes import (
    begin_conversation,
    bind_person,
    rate,
    remove_conversation,
    set_field,
)
from app.sandbox.installs import reinstall, uninstall
from app.sandbox.message_changes import edit_message, remove_message, send_message
from app.sandbox.people_changes import (
    REMOVE,
    change_person,
    enrich_person,
    new_person,
    remove_person,
    set_contact_data,
)
from app.sandbox.recording import record
from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.world import World

Json = dict[str, Any]
Named = Callable[[World, Site, Json], list[Change]]


def change_by_name(world: World, site: Site, wanted: Json) -> list[Change]:
    """``wanted``: kind, then session_id / fingerprint / people_id as needed, then the values.

    A kind of the mix without an id picks its record by chance.
    """
    values = dict(wanted)
    kind = values.pop("kind")
    named = NAMED.get(kind)
    if named is not None and (values or kind not in churn.KINDS):
        return named(world, site, values)
    return churn.make(world, site, kind)


def _conversation(site: Site, values: Json) -> int:
    i = site.number_of(values.pop("session_id"))
    if i is None:
        raise LookupError("session_id")
    return i


def _person(site: Site, values: Json) -> int:
    p = site.person_number(values.pop("people_id"))
    if p is None:
        raise LookupError("people_id")
    return p


def _send(world: World, site: Site, values: Json) -> list[Change]:
    return [send_message(world, site, _conversation(site, values), **values)]


def _edit(world: World, site: Site, values: Json) -> list[Change]:
    return [edit_message(world, site, _conversation(site, values), **values)]


def _unsend(world: World, site: Site, values: Json) -> list[Change]:
    return [remove_message(world, site, _conversation(site, values), **values)]


def _begin(world: World, site: Site, values: Json) -> list[Change]:
    return begin_conversation(world, site, **values)[1]


def _end(world: World, site: Site, values: Json) -> list[Change]:
    return [remove_conversation(world, site, _conversation(site, values))]


def _field(world: World, site: Site, values: Json) -> list[Change]:
    return [set_field(world, site, _conversation(site, values), **values)]


def _state(world: World, site: Site, values: Json) -> list[Change]:
    i = _conversation(site, values)
    return [set_field(world, site, i, "state", values["state"], bump=values.get("bump", True))]


def _rate(world: World, site: Site, values: Json) -> list[Change]:
    return [rate(world, site, _conversation(site, values), **values)]


def _bind(world: World, site: Site, values: Json) -> list[Change]:
    i = _conversation(site, values)
    return [bind_person(world, site, i, **{"people": values.pop("people_id"), **values})]


def _new_person(world: World, site: Site, values: Json) -> list[Change]:
    return [new_person(world, site, **values)[1]]


def _change_person(world: World, site: Site, values: Json) -> list[Change]:
    p = _person(site, values)
    gone = dict.fromkeys(values.pop("remove", ()), REMOVE)
    return [change_person(world, site, p, **values, **gone)]


def _remove_person(world: World, site: Site, values: Json) -> list[Change]:
    return [remove_person(world, site, _person(site, values))]


def _contact_data(_world: World, site: Site, values: Json) -> list[Change]:
    set_contact_data(site, _person(site, values), values["data"])
    return []


def _enrich(world: World, site: Site, values: Json) -> list[Change]:
    p = _person(site, values)
    return [enrich_person(world, site, p, values["session_id"], values["identity"])]


def _install(world: World, site: Site, _values: Json) -> list[Change]:
    return [reinstall(world, site)]


def _uninstall(world: World, site: Site, _values: Json) -> list[Change]:
    return [uninstall(world, site)]


def _announce(world: World, site: Site, values: Json) -> list[Change]:
    return [record(world, site, "announced", values["event"], **values.get("data", {}))]


NAMED: dict[str, Named] = {
    "message_new": _send,  # session_id, content, inbound?, bump?, at_ms?, any message field
    "message_edited": _edit,  # session_id, fingerprint, content, bump?
    "message_removed": _unsend,  # session_id, fingerprint, bump?
    "conversation_new": _begin,  # content? (null: empty), meta?, any conversation field
    "conversation_removed": _end,  # session_id
    "conversation_field": _field,  # session_id, field, value, bump?
    "state": _state,  # session_id, state, bump?
    "rating": _rate,  # session_id, stars, comment?
    "bound": _bind,  # session_id, people_id, bump?
    "person_new": _new_person,  # any profile fields
    "person_changed": _change_person,  # people_id, any profile fields, remove? [names]
    "person_removed": _remove_person,  # people_id
    "person_enriched": _enrich,  # people_id, session_id, identity {person?, company?}
    "installed": _install,
    "uninstalled": _uninstall,
    "announced": _announce,  # event, data?: any event; it changes nothing in the world
    "contact_data": _contact_data,  # people_id, data
}
