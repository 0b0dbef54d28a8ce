"""Routes of conversations and messages (crisp/REFERENCE.md sections 4.1 to 4.3).

Decisions where the reference is silent: searching (``search_*``) is refused with 400, so that no
client relies on it unseen; lists are always newest first; unknown parameters are refused.
"""

from collections.abc import Callable
from typing import Any

from app.sandbox.envelope import Answer, Refused, listed, success
from app.sandbox.ordering import TimeOrder
from app.sandbox.query import Params, bad, date_ms, flag, number, only, page_number, per_page
from app.sandbox.site import Site
from app.sandbox.threads import Row, before, up_to
from app.sandbox.view import View

Json = dict[str, Any]

BATCH = 40

_FLAGS = (
    "filter_unread", "filter_resolved", "filter_not_resolved", "filter_mention",
    "filter_unassigned",
)  # fmt: skip
_ORDERS = ("order_date_created", "order_date_updated", "order_date_waiting")
_LIST_PARAMS = frozenset(
    ("per_page", "include_empty", "filter_date_start", "filter_date_end", "filter_assigned",
     "filter_inbox_id", *_FLAGS, *_ORDERS)
)  # fmt: skip

_TESTS: dict[str, Callable[[Json], bool]] = {
    "filter_unread": lambda c: bool((c.get("unread") or {}).get("operator")),
    "filter_resolved": lambda c: bool(c["state"] == "resolved"),
    "filter_not_resolved": lambda c: bool(c["state"] != "resolved"),
    "filter_mention": lambda c: bool(c.get("mentions")),
    "filter_unassigned": lambda c: not c.get("assigned"),
}


def list_conversations(view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, _LIST_PARAMS)
    page, size = page_number(args[0]), per_page(params)
    empties = flag(params, "include_empty")
    order_flags = [name for name in _ORDERS if flag(params, name)]
    tests = _tests(params)
    start, end = date_ms(params, "filter_date_start"), date_ms(params, "filter_date_end")
    by_creation = order_flags == ["order_date_created"]
    view.check_depth(page)
    if tests or by_creation:
        numbers = _scan(view, site, empties, (start, end), tests, by_creation=by_creation)
        chosen = numbers[(page - 1) * size : page * size]
        more = len(numbers) > page * size
    else:
        order = site.by_update if empties else site.by_update_filled
        low, high = order.span(start, view.visible_until(end))
        chosen = order.page(low, high, (page - 1) * size, size)
        more = high - low > page * size
    chosen = view.shuffled_ties(chosen, site.updated_at)
    return view.listed([site.conversation(i) for i in chosen], page, more=more)


def _tests(params: Params) -> list[Callable[[Json], bool]]:
    tests = [_TESTS[name] for name in _FLAGS if flag(params, name)]
    wanted = params.get("filter_assigned")
    if wanted is not None:
        tests.append(lambda c: (c.get("assigned") or {}).get("user_id") == wanted)
    inbox = params.get("filter_inbox_id")
    if inbox is not None:
        tests.append(lambda c: c.get("inbox_id") == inbox)
    return tests


def _scan(
    view: View,
    site: Site,
    empties: bool,
    window: tuple[int | None, int | None],
    tests: list[Callable[[Json], bool]],
    *,
    by_creation: bool,
) -> list[int]:
    """Numbers of the conversations that pass, newest first; reads every row of the window."""
    order: TimeOrder = site.by_update if empties else site.by_update_filled
    low, high = order.span(window[0], view.visible_until(window[1]))
    numbers = order.page(low, high, 0, high - low)
    if by_creation:
        inside = set(numbers)
        numbers = [i for i in site.by_creation.numbers() if i in inside][::-1]
    if not tests:
        return numbers
    return [i for i in numbers if all(test(site.conversation(i)) for test in tests)]


def _require(site: Site, session: str) -> int:
    i = site.number_of(session)
    if i is None:
        raise Refused(404, "not_found")
    return i


def get_conversation(_view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return success(site.conversation(_require(site, args[0])))


def get_meta(_view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return success(site.conversation(_require(site, args[0]))["meta"])


def get_state(_view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return success({"state": site.conversation(_require(site, args[0]))["state"]})


_CURSORS = frozenset(("timestamp_before", "timestamp_after", "timestamp_around"))


def list_messages(view: View, site: Site, args: list[str], params: Params) -> Answer:
    """Batches of 40, oldest first inside; 206 while there is more in the direction asked for."""
    only(params, _CURSORS)
    if len(params) > 1:
        raise Refused(400, "invalid_data", "only one timestamp parameter at a time")
    i = _require(site, args[0])
    cursors = {name: number(text, name) for name, text in params.items()}
    rows = site.rows(i)
    if view.circular():
        return listed(view.duplicated(site.spell_out(i, rows[-BATCH:])), more=True)
    if any(at < 0 for at in cursors.values()):
        raise bad("timestamp")
    low, high, more = _batch(rows, cursors)
    if view.emptied():
        return listed([], more=more)
    return listed(view.duplicated(site.spell_out(i, rows[low:high])), more=more)


def _batch(rows: list[Row], cursors: dict[str, int]) -> tuple[int, int, bool]:
    """Positions [low, high) of the batch, and whether there is more beyond it.

    before and after leave out the moment itself; around shows it, with 20 rows on each side.
    """
    if "timestamp_after" in cursors:
        low = up_to(rows, cursors["timestamp_after"])
        high = min(len(rows), low + BATCH)
        return low, high, high < len(rows)
    if "timestamp_around" in cursors:
        middle = before(rows, cursors["timestamp_around"])
        low, high = max(0, middle - BATCH // 2), min(len(rows), middle + BATCH // 2)
        return low, high, low > 0 or high < len(rows)
    high = before(rows, cursors["timestamp_before"]) if cursors else len(rows)
    low = max(0, high - BATCH)
    return low, high, low > 0


def get_message(_view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    i = _require(site, args[0])
    row = site.row_of(i, number(args[1], "fingerprint"))
    if row is None:
        raise Refused(404, "not_found")
    return success(site.spell_out(i, [row])[0])
