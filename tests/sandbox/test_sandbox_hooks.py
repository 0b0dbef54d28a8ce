"""What the sandbox's hooks say and how they are signed, compared with Crisp's examples (SPEC S4)."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.sandbox.churn import DEFAULT_MIX, FULL_MIX, make, make_changes
from app.sandbox.conversation_changes import begin_conversation, set_field
from app.sandbox.hook_bodies import body_of
from app.sandbox.hook_collector import SignedHook, collected_hooks
from app.sandbox.hook_fates import Shares, copies_of
from app.sandbox.hook_signing import signature
from app.sandbox.installs import uninstall
from app.sandbox.message_changes import edit_message, send_message
from app.sandbox.message_twists import ODD_MESSAGES
from app.sandbox.named_changes import change_by_name
from app.sandbox.people_changes import REMOVE, change_person
from app.sandbox.world import World
from tests.sandbox.conftest import START

PAYLOADS = Path(__file__).parents[1] / "payloads"
# What Crisp leaves out when there is nothing to say (REFERENCE 6.3, 7.5).
OPTIONAL = {"email", "original", "references", "properties", "preview", "ignored"}


def examples() -> dict[str, Any]:
    """One example body per event."""
    found: dict[str, Any] = {}
    for path in sorted(PAYLOADS.glob("hook_*.json")):
        body = json.loads(path.read_text())
        # The official sample is an old one, without what the SDK's types have since.
        if "event" in body and "official" not in path.name:
            found[body["event"]] = body
    return found


EXAMPLES = examples()


def assert_shaped(raw: bytes) -> str:
    """Like the example of its event, key by key; returns the event."""
    body = json.loads(raw)
    example = EXAMPLES[body["event"]]
    assert list(body) == list(example)
    told, wanted = body["data"], example["data"]
    assert told.keys() - OPTIONAL == wanted.keys() - OPTIONAL, body["event"]
    assert told["website_id"] == body["website_id"]
    for name in ("rating", "operator"):
        if name in wanted:
            assert told[name].keys() <= wanted[name].keys()
    if body["event"] == "people:profile:updated":
        assert "updated_at" in told["update"]
        assert told["update"].keys() <= {"updated_at", "person", "company", "segments"}
    return str(body["event"])


def test_signature_equals_the_vector_that_the_official_sdk_accepts() -> None:
    # SPEC P3
    vector = json.loads((PAYLOADS / "signature_test_vector.json").read_text())
    made = signature(
        vector["secret"], vector["x_crisp_request_timestamp"], vector["raw_body"].encode()
    )
    assert made == vector["x_crisp_signature"]


@pytest.mark.parametrize("kind", list(FULL_MIX))
def test_every_kind_of_change_is_told_as_crisp_tells_it(world: World, kind: str) -> None:
    with collected_hooks(world) as hooks:
        made = [change for _ in range(20) for change in make(world, world.main, kind)]
    assert made
    taken = hooks.take()
    assert [assert_shaped(hook.body) for hook in taken] == [change.event for change in made]


NAMED: list[tuple[str, dict[str, Any]]] = [
    ("message:send", {"kind": "message_new", "session_id": "S", "content": "hi"}),
    ("message:received", {"kind": "message_new", "session_id": "S", "inbound": False}),
    ("message:updated", {"kind": "message_edited", "session_id": "S", "fingerprint": 1}),
    ("message:removed", {"kind": "message_removed", "session_id": "S", "fingerprint": 1}),
    ("session:set_state", {"kind": "state", "session_id": "S", "state": "pending"}),
    ("session:set_email", {"field": "email", "value": "a@b.example"}),
    ("session:set_phone", {"field": "phone", "value": "+33600000000"}),
    ("session:set_nickname", {"field": "nickname", "value": "N"}),
    ("session:set_address", {"field": "address", "value": "Nantes"}),
    ("session:set_avatar", {"field": "avatar", "value": ""}),
    ("session:set_origin", {"field": "origin", "value": "email"}),
    ("session:set_subject", {"field": "subject", "value": "Plan"}),
    ("session:set_segments", {"field": "segments", "value": ["customer"]}),
    ("session:set_data", {"field": "data", "value": {"plan": "pro", "n": 1, "b": True}}),
    ("session:set_routing", {"field": "assigned", "value": None}),
    ("session:set_participants", {"field": "participants", "value": []}),
    ("session:set_mentions", {"field": "mentions", "value": []}),
    ("session:set_inbox", {"field": "inbox_id", "value": "5f0f1f2e-0000-4000-8000-000000000003"}),
    ("session:set_block", {"field": "is_blocked", "value": True}),
    ("session:update_verify", {"field": "is_verified", "value": True}),
    ("session:update_availability", {"field": "availability", "value": "online"}),
    ("session:sync:topic", {"field": "topic", "value": "Plan upgrade"}),
    ("session:sync:rating", {"kind": "rating", "session_id": "S", "stars": 5}),
    ("session:removed", {"kind": "conversation_removed", "session_id": "S"}),
    ("session:request:initiated", {"kind": "conversation_new", "content": None}),
    ("people:profile:created", {"kind": "person_new", "email": "new@b.example"}),
    (
        "people:profile:updated",
        {"kind": "person_changed", "people_id": "P", "person": {"nickname": "V"}},
    ),
    ("people:profile:removed", {"kind": "person_removed", "people_id": "P"}),
    ("people:bind:session", {"kind": "bound", "session_id": "S", "people_id": "P"}),
    (
        "people:sync:profile",
        {
            "kind": "person_enriched", "people_id": "P", "session_id": "S",
            "identity": {"company": {"name": "Crisp", "domain": "crisp.chat"}},
        },
    ),
    ("plugin:subscription:updated", {"kind": "uninstalled"}),
    ("plugin:subscription:updated", {"kind": "installed"}),
    (
        "email:subscribe",
        {
            "kind": "announced", "event": "email:subscribe",
            "data": {"email": "a@b.example", "subscribed": False},
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "wanted"), NAMED, ids=[event for event, _ in NAMED])
def test_every_event_can_be_asked_for_by_name(
    world: World, event: str, wanted: dict[str, Any]
) -> None:
    site = world.main
    names = {"S": site.session_id(30), "P": site.people_id(5)}
    values = {"kind": "conversation_field", "session_id": "S", **wanted}
    if wanted.get("kind") in ("person_new", "conversation_new", "announced"):
        del values["session_id"]
    if wanted.get("kind", "").startswith("person_") and "session_id" not in wanted:
        values.pop("session_id", None)
    values = {k: names.get(v, v) if isinstance(v, str) else v for k, v in values.items()}
    if "fingerprint" in values:
        values["fingerprint"] = send_message(world, site, 30, "first").data["fingerprint"]
    if values["kind"] == "message_edited":
        values["content"] = "edited"
    with collected_hooks(world) as hooks:
        change_by_name(world, site, values)
    assert [assert_shaped(hook.body) for hook in hooks.take()] == [event]


def test_a_profile_update_is_a_patch(world: World) -> None:
    p = 5
    world.clock.advance(1_000)
    change = change_person(
        world, world.main, p, person={"nickname": "V", "phone": REMOVE}, company=REMOVE
    )
    assert change.data["update"] == {
        "updated_at": world.clock.now(),
        "person": {"nickname": "V", "phone": None},
        "company": None,
    }
    assert "phone" not in world.main.profile(p)["person"]


def test_hooks_name_the_inbox_of_their_conversation(world: World) -> None:
    set_field(world, world.main, 30, "inbox_id", "other")
    assert send_message(world, world.main, 30).data["inbox_id"] == "other"
    assert set_field(world, world.main, 30, "topic", "T").data["inbox_id"] == "other"


@pytest.mark.parametrize("number", range(len(ODD_MESSAGES)))
def test_odd_content_arrives_whole(world: World, number: int) -> None:
    kind, content, inbound = ODD_MESSAGES[number]
    change = send_message(world, world.main, 30, content, type=kind, inbound=inbound)
    body = body_of(change)
    assert body is not None
    assert json.loads(body)["data"]["content"] == content
    assert_shaped(body)


def test_lone_surrogates_are_escapes_and_the_rest_is_utf8(world: World) -> None:
    change = send_message(world, world.main, 30, "é 🙂 \ud83d \\ud83d \u0000")
    body = body_of(change)
    assert body is not None
    assert "é 🙂 ".encode() in body
    assert rb' \ud83d \\ud83d \u0000"' in body
    assert json.loads(body)["data"]["content"] == change.data["content"]


def test_sixty_thousand_characters(world: World) -> None:
    body = body_of(edit_message(world, world.main, *a_message(world), "x" * 60_000))
    assert body is not None
    assert len(orjson.loads(body)["data"]["content"]) == 60_000


def a_message(world: World) -> tuple[int, int]:
    return 30, send_message(world, world.main, 30).data["fingerprint"]


def test_what_crisp_has_no_hook_for_is_not_told(world: World) -> None:
    with collected_hooks(world) as hooks:
        change = set_field(world, world.main, 30, "waiting_since", 1)
        set_field(world, world.main, 30, "topic", "T")
    assert body_of(change) is None
    assert [hook.event for hook in hooks.take()] == ["session:sync:topic"]


def taken(seed: int, count: int, **shares: Any) -> list[SignedHook]:
    world = World(seed, 70, 130, start_ms=START, frozen=True, others=())
    with collected_hooks(world, **shares) as hooks:
        for _ in range(count):
            world.clock.advance(10)
            make_changes(world, 1)
        return hooks.take()


MISCHIEF = {"lost": 0.05, "doubled": 0.1, "late": 0.2, "reordered": 0.1, "resigned": 0.1}


def test_the_plan_is_the_same_for_a_seed() -> None:
    assert taken(3, 300, **MISCHIEF) == taken(3, 300, **MISCHIEF)
    assert taken(3, 300, **MISCHIEF) != taken(4, 300, **MISCHIEF)


def test_one_share_does_not_decide_about_the_others() -> None:
    some = {n for n in range(2_000) if len(copies_of(1, n, Shares(doubled=0.1))) == 2}
    more = {n for n in range(2_000) if len(copies_of(1, n, Shares(doubled=0.1, late=0.5))) == 2}
    assert some == more
    lost = {n for n in range(2_000) if not copies_of(1, n, Shares(lost=0.5))}
    assert 0.3 < len(some & lost) / len(some) < 0.7


def test_undisturbed_hooks_come_in_the_order_of_the_changes() -> None:
    hooks = taken(1, 200)
    stamps = [int(hook.headers["X-Crisp-Request-Timestamp"]) for hook in hooks]
    assert stamps == sorted(stamps)
    assert len(hooks) >= 200


def test_reordered_hooks_are_overtaken_by_a_few() -> None:
    plain, mixed = taken(1, 300), taken(1, 300, reordered=0.2, overtaken_by=4)
    place = {hook.body: n for n, hook in enumerate(plain)}
    moved = [n - place[hook.body] for n, hook in enumerate(mixed)]
    assert len(mixed) == len(plain)
    assert 0 < max(moved) <= 4
    assert sum(by > 0 for by in moved) > 30


def test_late_hooks_come_up_to_so_many_seconds_later() -> None:
    plain, mixed = taken(1, 300), taken(1, 300, late=0.2, late_s=0.5)
    place = {hook.body: n for n, hook in enumerate(plain)}
    moved = [n - place[hook.body] for n, hook in enumerate(mixed)]
    assert len(mixed) == len(plain)
    # Half a second is fifty steps of the clock, each with a change or two.
    assert 20 < max(moved) <= 110


def test_resigned_hooks_fit_their_later_timestamp() -> None:
    world = World(1, 70, 130, start_ms=START, frozen=True, others=())
    with collected_hooks(world, resigned=1) as hooks:
        set_field(world, world.main, 30, "topic", "T")
    first, again = hooks.take()
    assert first.body == again.body
    assert first.headers["X-Crisp-Signature"] != again.headers["X-Crisp-Signature"]
    for hook in (first, again):
        stamp = hook.headers["X-Crisp-Request-Timestamp"]
        signed = f"[{stamp};".encode() + hook.body + b"]"
        right = hmac.new(world.signing_secret.encode(), signed, hashlib.sha256).hexdigest()
        assert hook.headers["X-Crisp-Signature"] == right
    assert int(again.headers["X-Crisp-Request-Timestamp"]) > START


def test_only_installed_websites_are_collected(world: World) -> None:
    closed = next(site for site in world.sites.values() if not site.installed)
    with collected_hooks(world) as hooks:
        begin_conversation(world, closed)
        uninstall(world, world.main)
        begin_conversation(world, world.main)
    assert [hook.event for hook in hooks.take()] == ["plugin:subscription:updated"]
    assert hooks.take() == []
    assert world.listeners == []


def test_wrong_shares_are_refused() -> None:
    for wrong in ({"lost": 1.5}, {"late": -0.1}, {"late_s": -1}, {"overtaken_by": 0}):
        with pytest.raises(ValueError, match=r"share|at least"):
            Shares(**wrong)


def test_the_default_mix_is_part_of_the_full_one() -> None:
    assert DEFAULT_MIX.items() <= FULL_MIX.items()
