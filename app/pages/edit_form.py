"""The fields of a form by which a person makes or changes a contact or company. Pure.

A field `x` is sent as `f.x`, and what the form showed as `was.x`: only what differs is a change, and
what somebody else changed meanwhile is noticed (app/edits/three_way.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape
from starlette.datastructures import FormData

from app.edits.companies import Taken
from app.edits.memberships import Joining
from app.edits.three_way import Change, Clash, Clashing, Invalid, tidy
from app.errors import Refused

NEW_ATTRIBUTES = 3
LONG = frozenset({"emails", "segments", "names", "domains", "attributes.description"})


@dataclass(frozen=True, slots=True)
class Typed:
    """What came back: texts by field, what the form had shown, fields that follow Crisp again, and fields
    where what somebody else wrote meanwhile is to stay.
    """

    texts: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    follow: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    joins: str = ""
    joins_since: str = ""
    new: tuple[tuple[str, str], ...] = ()

    @property
    def told(self) -> dict[str, str]:
        """With the attributes that are added."""
        added = {
            f"attributes.{key.strip().lower()}": value for key, value in self.new if key.strip()
        }
        return {**self.texts, **added}

    @property
    def changes(self) -> dict[str, Change]:
        return {
            name: Change(text, self.seen.get(name, ""))
            for name, text in self.told.items()
            if name not in self.theirs
        }

    @property
    def joinings(self) -> list[Joining]:
        lines = (" ".join(line.split()) for line in tidy(self.joins).splitlines())
        return [Joining(line, since=self.joins_since) for line in lines if line]


def typed_in(form: FormData) -> Typed:
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    new = [
        (texts.get(f"new_key_{n}", ""), texts.get(f"new_value_{n}", ""))
        for n in range(NEW_ATTRIBUTES)
    ]
    return Typed(
        {name[2:]: text for name, text in texts.items() if name.startswith("f.")},
        {name[4:]: text for name, text in texts.items() if name.startswith("was.")},
        tuple(str(value) for value in form.getlist("follow")),
        tuple(str(value) for value in form.getlist("theirs")),
        texts.get("joins", ""),
        texts.get("joins_since", ""),
        tuple(new),
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """One field. `raw` and `was` are escaped as they are: what is cleaned for reading would come back changed.

    `crisp`: what Crisp says otherwise, where a person's word stands; `clash`: what it said when the form
    was opened, and what somebody else wrote meanwhile, as words.
    """

    name: str
    label: str
    raw: Markup
    was: Markup
    long: bool = False
    crisp: str | None = None
    clash: tuple[str, str] | None = None
    wrong: str = ""
    choices: Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class Trouble:
    """Why nothing was saved: a sentence, what is wrong by field, what others wrote, whose it is already."""

    sentence: str = ""
    status: int = 200
    wrong: Mapping[str, str] = field(default_factory=dict)
    clashes: Mapping[str, Clash] = field(default_factory=dict)
    holder: str = ""
    """The path of the page of whose it is."""


def trouble_of(error: Refused) -> Trouble:
    told = Trouble(error.message, error.http_status)
    if isinstance(error, Invalid):
        told.sentence = "Nothing was saved: see what is marked below."
        told.wrong = error.wrong
    elif isinstance(error, Clashing):
        told.clashes = {clash.field: clash for clash in error.clashes}
    elif isinstance(error, Taken):
        folder = "contacts" if error.kind == "contact" else "companies"
        told.holder = f"/{folder}/{error.holder}"
    return told


@dataclass(frozen=True, slots=True)
class Fields:
    """Makes the fields of one form: `stored` texts, what was typed over them, and what came of that."""

    stored: Mapping[str, str]
    typed: Typed
    trouble: Trouble
    crisp: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, name: str, label: str, choices: Sequence[tuple[str, str]] = ()) -> Shown:
        now = self.stored.get(name, "")
        # What somebody else changed meanwhile is now what the form has shown.
        clash = self.trouble.clashes.get(name)
        was = now if clash else self.typed.seen.get(name, now)
        text = self.typed.texts.get(name, now)
        words = {"": "nothing", **dict(choices)}
        if choices and text not in words:
            # A list without what is chosen would send back its first one.
            choices = [*choices, (text, f"{text} (no choice any more)")]
        return Shown(
            name,
            label,
            escape(text),
            escape(was),
            long=name in LONG,
            crisp=str(self.crisp[name])
            if self.crisp.get(name) is not None
            else ("nothing" if name in self.crisp else None),
            clash=(words.get(clash.was, clash.was), words.get(clash.now, clash.now))
            if clash
            else None,
            wrong=self.trouble.wrong.get(name, ""),
            choices=choices,
        )


def owner_choices(
    team: Sequence[Any], owner_id: str | None, owner_name: str | None
) -> list[tuple[str, str]]:
    """Whoever left the team stays to be seen until somebody else is chosen."""
    found = [("", "nobody"), *((one.user_id, one.name) for one in team)]
    if owner_id and owner_id not in dict(found):
        found.append((owner_id, f"{owner_name} (not in the team any more)"))
    return found
