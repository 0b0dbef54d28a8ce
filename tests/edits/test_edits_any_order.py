"""Pulls, hooks and hands in any order: a word written by hand stays until Crisp itself changes it (SPEC D7).

The oracle knows nothing of rows: of each field the newest word of Crisp that arrived and what stands, of
segments who set them and which of Crisp's a person took away.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.accounts.tables import audit_log
from app.contacts.tables import contacts, custom_attributes
from app.records import ContactRecord
from tests.edits.by_hand import contact, edited, made
from tests.edits.merging import PICTURED
from tests.ingesting import Site, connected, person, version

FEW = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PATHS = {
    "name": "person.nickname",
    "phone": "person.phone",
    "city": "person.geolocation.city",
    "job_title": "person.employment.title",
}
PHONES = {"a": "+34600000001", "b": "+34600000002", "h": "+34600000009"}
WORDS, SEGMENTS = st.sampled_from("ab"), st.sets(st.sampled_from(["s1", "s2", "s3"]))
FIELDS = st.sampled_from(sorted(PATHS))
STATES = st.lists(
    st.fixed_dictionaries(dict.fromkeys(PATHS, WORDS) | {"segments": SEGMENTS}),
    min_size=2,
    max_size=4,
)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("pull"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("hook"), st.integers(0, 3), FIELDS),
        st.tuples(st.just("hand"), FIELDS, st.sampled_from(["a", "b", "h", ""])),
        st.tuples(st.just("segments"), SEGMENTS),
        st.tuples(st.just("follow"), FIELDS),
    ),
    min_size=3,
    max_size=10,
)


def word(name: str, text: str) -> str:
    return PHONES.get(text, "") if name == "phone" else text


@dataclass
class Oracle:
    """`crisp`: by field the number of the newest state that told it, and its word; `shown`: what stands."""

    crisp: dict[str, tuple[int, str]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
    seen: bool = False
    crisps: set[str] = field(default_factory=set)
    crisps_at: int = -1
    own: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    def tell(self, at: int, told: dict[str, str]) -> None:
        for name, text in told.items():
            before = self.crisp.get(name, (-1, ""))
            if at < before[0]:
                continue
            self.crisp[name] = (at, text)
            # The first that Crisp ever says fills only what nobody wrote.
            if text != before[1] and (self.seen or name not in self.by_hand):
                self.shown[name] = text
                self.by_hand.discard(name)
        self.seen = True

    def tell_segments(self, at: int, told: set[str]) -> None:
        if at >= self.crisps_at:
            self.crisps_at, self.crisps = at, set(told)
            self.taken &= told

    def write(self, name: str, text: str) -> None:
        if text != self.shown.get(name, ""):
            self.shown[name] = text
            self.by_hand.add(name)

    def choose(self, wanted: set[str]) -> None:
        if wanted == self.segments:
            return
        known = self.crisps | self.own
        self.own = {one for one in wanted if one in self.own | self.taken or one not in known}
        self.taken = self.crisps - wanted

    def follow(self, name: str) -> None:
        theirs = self.crisp.get(name, (-1, ""))[1]
        if name in self.by_hand and theirs and theirs != self.shown.get(name, ""):
            self.shown[name] = theirs
            self.by_hand.discard(name)

    @property
    def segments(self) -> set[str]:
        return (self.crisps | self.own) - self.taken


def pulled(states: list[dict[str, Any]], number: int, *, direct: bool) -> ContactRecord:
    state = states[number]
    profile = {
        "nickname": word("name", state["name"]),
        "phone": word("phone", state["phone"]),
        "geolocation": {"city": state["city"]},
        "employment": {"title": state["job_title"]},
    }
    return person(
        "ann", number + 1, direct=direct, email="ann@acme.example", person=profile,
        segments=sorted(state["segments"]),
    )  # fmt: skip


def hooked(states: list[dict[str, Any]], number: int, name: str) -> ContactRecord:
    fields = {PATHS[name]: word(name, states[number][name])}
    return ContactRecord("ann", fields, {}, version(number + 1), whole=False)


async def do(site: Site, own: str, oracle: Oracle, states: Any, act: tuple[Any, ...]) -> None:
    if act[0] in {"pull", "hook"}:
        number = act[1] % len(states)
        state = states[number]
        if act[0] == "pull":
            await site.take(pulled(states, number, direct=act[2]))
            oracle.tell(number, {name: word(name, state[name]) for name in PATHS})
            oracle.tell_segments(number, state["segments"])
        else:
            await site.take(hooked(states, number, act[2]))
            oracle.tell(number, {act[2]: word(act[2], state[act[2]])})
    elif act[0] == "hand":
        written: Any = {act[1]: word(act[1], act[2])}
        await edited(site, own, **written)
        oracle.write(act[1], word(act[1], act[2]))
    elif act[0] == "segments":
        await edited(site, own, segments="\n".join(sorted(act[1])))
        oracle.choose(act[1])
    else:
        await edited(site, own, follow=[act[1]])
        oracle.follow(act[1])


async def stands(site: Site, own: str) -> tuple[dict[str, str], set[str], set[str]]:
    """What the contact shows by field, which of that is not Crisp's word, and its segments."""
    row = await contact(site, own)
    texts = {
        "name": row.name, "phone": row.phone,
        "city": row.attributes.get("city"), "job_title": row.attributes.get("job_title"),
    }  # fmt: skip
    sources = {target.removeprefix("attributes.") for target in row.field_sources}
    return (
        {name: text for name, text in texts.items() if text},
        sources & set(PATHS),
        set(row.segments),
    )


# SPEC D7
@FEW
@given(states=STATES, acts=ACTS, by_hand=st.booleans(), order=st.randoms(use_true_random=False))
async def test_a_word_by_hand_stays_until_crisp_changes_it(
    database_url: str, states: list[Any], acts: list[Any], by_hand: bool, order: random.Random
) -> None:
    async with connected(database_url) as site:
        for table in (audit_log, custom_attributes, *reversed(PICTURED)):
            await site.execute(delete(table))
        oracle = Oracle()
        if by_hand:
            own = await made(site, emails="ann@acme.example", name="h", city="b")
            oracle.write("name", "h")
            oracle.write("city", "b")
            acts = [("pull", 0, False), *acts]
        else:
            await site.take(pulled(states, 0, direct=False))
            oracle.tell(0, {name: word(name, states[0][name]) for name in PATHS})
            oracle.tell_segments(0, states[0]["segments"])
            own = (await site.contact("ann")).id
        for act in acts:
            await do(site, own, oracle, states, act)
            shown = {name: text for name, text in oracle.shown.items() if text}
            assert await stands(site, own) == (shown, oracle.by_hand, oracle.segments), act
        # All that came already, again and in any order, says nothing new.
        earlier = await stands(site, own)
        again = [act for act in acts if act[0] in {"pull", "hook"}]
        order.shuffle(again)
        for act in again:
            await do(site, own, oracle, states, act)
        assert await stands(site, own) == earlier
        assert len(await site.rows(contacts.select())) == 1
