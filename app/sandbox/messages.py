"""Message j of a conversation as Crisp's message object (crisp/REFERENCE.md section 6.3)."""

from typing import Any, NamedTuple

from app.sandbox.cases import Case, Odd, fingerprint
from app.sandbox.chance import mix
from app.sandbox.message_twists import twist_message
from app.sandbox.phrases import Phrases

Json = dict[str, Any]

BOT_ORIGIN = "urn:acme.example:bot:0"


class Cast(NamedTuple):
    """Who speaks in a conversation."""

    website_id: str
    session_id: str
    visitor: str
    firm: str
    avatar: str
    operator_id: str
    operator: str
    language: str
    lines: Phrases
    origin: str
    resolved: bool


def message(of: Case, cast: Cast, j: int, at_ms: int) -> Json:
    """The whole message object, as an answer holds it."""
    throw = mix(of.key + j)
    kind, content, automated = _said(of, cast, j, throw)
    inbound = kind in ("u", "f") and not automated
    body = frame(cast, inbound=inbound, automated=automated)
    body["type"], body["content"] = _TYPES.get(kind, "text"), content
    body["fingerprint"] = fingerprint(of, j)
    body["timestamp"] = at_ms
    body["edited"] = throw % 70 == 0
    if throw >> 8 & 1:
        body["read"] = cast.origin if cast.origin in ("chat", "email") else "chat"
    if kind == "n":
        body["mentions"] = [cast.operator_id] if throw & 1 else []
    if cast.origin == "email" and inbound:
        body["original"] = {"original_id": f"{throw:016x}"}
    if of.odd < len(Odd):
        twist_message(of.odd, j, body, of.messages)
    return body


_TYPES = {"n": "note", "f": "file", "a": "audio", "g": "animation", "e": "event"}


def frame(cast: Cast, *, inbound: bool, automated: bool = False) -> Json:
    """A message without what it says: text, id and time are still the defaults."""
    return {
        "session_id": cast.session_id,
        "website_id": cast.website_id,
        "type": "text",
        "from": "user" if inbound else "operator",
        "origin": BOT_ORIGIN if automated else cast.origin,
        "content": "",
        "preview": [],
        "mentions": [],
        "read": "",
        "delivered": "",
        "edited": False,
        "translated": False,
        "automated": automated,
        "stamped": True,
        "fingerprint": 0,
        "timestamp": 0,
        "user": _speaker(cast, inbound=inbound, automated=automated),
    }


def _speaker(cast: Cast, *, inbound: bool, automated: bool) -> Json:
    if automated:
        return {"type": "participant", "user_id": "", "nickname": "Acme Bot", "avatar": ""}
    if inbound:
        who, name, avatar = cast.session_id, cast.visitor, cast.avatar
    else:
        who, name, avatar = cast.operator_id, cast.operator, ""
    return {"type": "website", "user_id": who, "nickname": name, "avatar": avatar}


def _said(of: Case, cast: Cast, j: int, throw: int) -> tuple[str, Any, bool]:
    """(kind, content, automated) of message j: the script first, then small talk."""
    last = of.messages - 1
    if j == last and cast.resolved and j > 1 and throw & 3:
        return "e", {"namespace": "state:resolved", "text": "resolved"}, False
    if of.bot and j:
        if j == 1:
            return "o", cast.lines.bot, True
        j -= 1
    scenario = cast.lines.scenarios[of.script % len(cast.lines.scenarios)]
    if j < len(scenario.turns):
        kind, text, templated = scenario.turns[j]
        if templated:
            text = fill(text, cast, of.key)
        return kind, attachment(text, throw) if kind == "f" else text, False
    return _small_talk(cast, j - len(scenario.turns), throw)


def _small_talk(cast: Cast, k: int, throw: int) -> tuple[str, Any, bool]:
    roll = throw >> 16 & 0xFF
    if roll < 4:
        return "f", attachment("photo.jpg", throw), False
    if roll == 5:
        url = f"https://files.example.com/audio/{throw:x}.mp3"
        return "a", {"url": url, "type": "audio/mp3", "duration": throw % 90}, False
    if roll == 6:
        return "g", {"url": "https://media.example.com/wave.gif", "type": "image/gif"}, False
    lines, kind = (cast.lines.user, "u") if k % 2 == 0 else (cast.lines.operator, "o")
    return kind, lines[(throw >> 24) % len(lines)], False


def attachment(name: str, throw: int) -> Json:
    """The content of a ``file`` message."""
    suffix = name.rpartition(".")[2]
    mime = {"pdf": "application/pdf", "png": "image/png"}.get(suffix, "image/jpeg")
    url = f"https://files.example.com/upload/{throw:016x}/{name}"
    return {"name": name, "url": url, "type": mime}


def fill(text: str, cast: Cast, key: int) -> str:
    """A line of a script with its names and numbers put in."""
    first = (cast.visitor or "").partition(" ")[0]
    number = 10_000 + key % 90_000
    return text.format(name=first, op=cast.operator, firm=cast.firm, num=number)
