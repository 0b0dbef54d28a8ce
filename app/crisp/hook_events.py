"""What each web hook tells, as records: the one table from event name to function.

Sources: crisp/REFERENCE.md section 7.5 for names and shapes, crisp/GAPS.md rows 20 to 22 for what is
not certain of them. A hook that tells less than the whole, or of which it is not known whether it
does, makes its record due for a GET.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.crisp import translate
from app.crisp.content import body_of, kind_of_content
from app.records import ContactRecord, ConversationRecord, EditRecord, Fields, Rejected, Version
from app.records import MessageRecord as Message

Data = Mapping[str, Any]


class Unusable(Exception):  # its text goes to the list of dead letters
    """A hook that cannot be applied, ever; the text says why."""


@dataclass(slots=True)
class Told:
    """What one hook says. `look_at_*`: ids of records that a GET has to complete."""

    contacts: Sequence[ContactRecord] = ()
    conversations: Sequence[ConversationRecord] = ()
    messages: Sequence[Message] = ()
    edits: Sequence[EditRecord] = ()
    removed_messages: Sequence[tuple[str, int]] = ()
    removed_conversations: Sequence[str] = ()
    removed_contacts: Sequence[str] = ()
    look_at_contacts: Sequence[str] = ()
    look_at_conversations: Sequence[str] = ()
    installed: bool | None = None


Teller = Callable[[Data, int], Told]


def _text(data: Data, name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise Unusable(f"its {name} is no text")
    return translate.short(value)


def _id(data: Data, name: str) -> str:
    value = data.get(name)
    if not translate.is_id(value):
        raise Unusable(f"it has no usable {name}")
    return value


def _talk(
    data: Data, at_ms: int, fields: Fields | None = None, metadata: Fields | None = None
) -> ConversationRecord:
    return ConversationRecord(
        session_id=_id(data, "session_id"),
        fields=fields or {},
        metadata=metadata or {},
        raw={},
        version=Version(at_ms, at_ms),
        whole=False,
    )


def _person(people_id: str, at_ms: int, fields: Fields | None = None) -> ContactRecord:
    version = Version(at_ms, at_ms)
    return ContactRecord(people_id, fields or {}, {}, version, whole=False)


def _message(data: Data, at_ms: int) -> Told:
    session_id = _id(data, "session_id")
    # The content as it was when it was sent, however late this is told: an edit is newer.
    sent_ms = translate.ms(data.get("timestamp")) or at_ms
    record = translate.message(data, session_id, sent_ms, Version(sent_ms, sent_ms))
    if isinstance(record, Rejected):
        raise Unusable(record.reason)
    told = record.type == "text" and {"last_message": translate.short(record.body)}
    return Told(conversations=[_talk(data, sent_ms, told or {})], messages=[record])


def _edit(data: Data, at_ms: int) -> Told:
    session_id, content = _id(data, "session_id"), data.get("content")
    if "content" not in data:
        raise Unusable("it has no content")
    edit = EditRecord(
        session_id=session_id,
        fingerprint=_fingerprint(data),
        body=body_of(kind_of_content(content), content),
        content=None if isinstance(content, str) else content,
        version=Version(at_ms, at_ms),
    )
    return Told(conversations=[_talk(data, at_ms)], edits=[edit])


def _message_removed(data: Data, at_ms: int) -> Told:
    removed = (_id(data, "session_id"), _fingerprint(data))
    return Told(conversations=[_talk(data, at_ms)], removed_messages=[removed])


def _fingerprint(data: Data) -> int:
    found = translate.fingerprint(data.get("fingerprint"))
    if found is None:
        raise Unusable("its fingerprint is no 64-bit number")
    return found


def _text_field(name: str, column: str) -> Teller:
    return lambda data, at_ms: Told(
        conversations=[_talk(data, at_ms, {column: _text(data, name)} if name in data else {})]
    )


def _text_metadata(name: str) -> Teller:
    return lambda data, at_ms: Told(
        conversations=[
            _talk(data, at_ms, metadata={name: _text(data, name)} if name in data else {})
        ]
    )


def _state(data: Data, at_ms: int) -> Told:
    state = translate.state(data)
    if state is None:
        raise Unusable("its state is none that is known")
    return Told(conversations=[_talk(data, at_ms, {"status": state})])


def _routing(data: Data, at_ms: int) -> Told:
    if "routing_id" not in data:
        raise Unusable("it has no routing_id")
    user_id = data["routing_id"]
    assigned = user_id if translate.is_id(user_id) else None
    return Told(conversations=[_talk(data, at_ms, {"assigned_user_id": assigned})])


def _verify(data: Data, at_ms: int) -> Told:
    return Told(
        conversations=[_talk(data, at_ms, {"email_verified": translate.email_verified(data)})]
    )


def _rating(data: Data, at_ms: int) -> Told:
    rating = data.get("rating")
    stars = rating.get("stars") if isinstance(rating, Mapping) else None
    if not isinstance(rating, Mapping) or not _is_small(stars):
        raise Unusable("its rating has no stars")
    comment = {"rating_comment": _text(rating, "comment")} if "comment" in rating else {}
    return Told(conversations=[_talk(data, at_ms, {"rating": stars}, comment)])


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100


def _geolocation(data: Data, at_ms: int) -> Told:
    place = data.get("geolocation")
    known = {"geolocation": place} if isinstance(place, Mapping) else {}
    return Told(conversations=[_talk(data, at_ms, metadata=known)])


def _locales(data: Data, at_ms: int) -> Told:
    outer = data.get("locales")
    found = translate.texts(outer.get("locales") if isinstance(outer, Mapping) else outer)
    return Told(conversations=[_talk(data, at_ms, metadata={"locales": found} if found else {})])


def _look_at_conversation(data: Data, at_ms: int) -> Told:
    """Whether the hook carries the whole set or a part of it is not known: ask (crisp/GAPS.md row 22)."""
    return Told(conversations=[_talk(data, at_ms)], look_at_conversations=[_id(data, "session_id")])


def _conversation_removed(data: Data, _at_ms: int) -> Told:
    return Told(removed_conversations=[_id(data, "session_id")])


def _person_created(data: Data, at_ms: int) -> Told:
    people_id = _id(data, "people_id")
    fields = {"email": _text(data, "email")} if data.get("email") else {}
    return Told(contacts=[_person(people_id, at_ms, fields)], look_at_contacts=[people_id])


def _person_updated(data: Data, at_ms: int) -> Told:
    """The person's own fields at once; companies and segments may be told in part, so by a GET."""
    people_id, update = _id(data, "people_id"), data.get("update")
    patch = update if isinstance(update, Mapping) else {}
    changed_ms = translate.ms(patch.get("updated_at")) or at_ms
    fields = {
        path: value
        for path, value in translate.contact_fields({**patch, "people_id": people_id}).items()
        if path in _PATCHED
    }
    if data.get("email"):
        fields["email"] = _text(data, "email")
    record = _person(people_id, min(changed_ms, at_ms), fields)
    return Told(contacts=[record], look_at_contacts=[people_id])


_PATCHED = frozenset(
    path
    for path in translate.CONTACT_TEXTS
    if path.startswith("person.") and not path.startswith("person.employment.")
) | {"person.employment.title", "person.employment.role", "notepad"}


def _person_removed(data: Data, _at_ms: int) -> Told:
    return Told(removed_contacts=[_id(data, "people_id")])


def _person_enriched(data: Data, at_ms: int) -> Told:
    people_id = _id(data, "people_id")
    return Told(contacts=[_person(people_id, at_ms)], look_at_contacts=[people_id])


def _bound(data: Data, at_ms: int) -> Told:
    people_id = _id(data, "people_id")
    talk = _talk(data, at_ms, {"people_id": people_id})
    return Told(contacts=[_person(people_id, at_ms)], conversations=[talk])


def _subscription(data: Data, _at_ms: int) -> Told:
    if not isinstance(data.get("bound"), bool):
        raise Unusable("it does not say whether the plugin is bound")
    return Told(installed=data["bound"])


INSTALLATION = "plugin:subscription:updated"

TELLERS: Mapping[str, Teller] = {
    "message:send": _message,
    "message:received": _message,
    "message:updated": _edit,
    "message:removed": _message_removed,
    "session:set_state": _state,
    "session:set_email": _text_field("email", "email"),
    "session:set_nickname": _text_field("nickname", "nickname"),
    "session:set_subject": _text_field("subject", "subject"),
    "session:set_origin": _text_field("origin", "origin"),
    "session:set_phone": _text_metadata("phone"),
    "session:set_address": _text_metadata("address"),
    "session:set_inbox": _text_metadata("inbox_id"),
    "session:set_routing": _routing,
    "session:set_segments": _look_at_conversation,
    "session:set_data": _look_at_conversation,
    "session:set_participants": _look_at_conversation,
    "session:update_verify": _verify,
    "session:request:initiated": _look_at_conversation,
    "session:sync:rating": _rating,
    "session:sync:topic": _text_metadata("topic"),
    "session:sync:geolocation": _geolocation,
    "session:sync:locales": _locales,
    "session:removed": _conversation_removed,
    "people:profile:created": _person_created,
    "people:profile:updated": _person_updated,
    "people:profile:removed": _person_removed,
    "people:sync:profile": _person_enriched,
    "people:bind:session": _bound,
    INSTALLATION: _subscription,
}


def ids_in(data: Data) -> Told:
    """Only which records a hook is about: of a very old one nothing else is believed (case 15)."""
    session_id, people_id = data.get("session_id"), data.get("people_id")
    return Told(
        look_at_conversations=[session_id] if translate.is_id(session_id) else (),
        look_at_contacts=[people_id] if translate.is_id(people_id) else (),
    )
