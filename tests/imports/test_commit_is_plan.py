"""A commit writes what its plan says, all of it and nothing else, in every mode (SPEC I6, I7, D7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from hypothesis import given

from app.contacts.segments import shown_segments
from app.imports.diff import value_of
from app.normal import normal_company_name
from tests.imports.crowd import COLUMNS, FILES, MODES, SEGMENT_FOR_ALL, SOME, crowd
from tests.imports.importing import Importing, adds_up, importing

World = dict[str, dict[str, dict[str, Any]]]


@pytest_asyncio.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Importing]:
    async with importing(database_url, tmp_path) as opened:
        yield opened


async def world(site: Importing) -> World:
    """Rows by their ids; addresses and aliases by all they hold."""
    told = await site.everything()
    named = {"contacts", "companies", "contact_companies"}
    return {
        table: {str(row["id"]) if table in named else repr(row): row for row in rows}
        for table, rows in told.items()
    }


@SOME
@given(file=FILES, mode=MODES, segment=SEGMENT_FOR_ALL)
async def test_after_a_commit_all_is_as_the_plan_said_and_nothing_else_changed(
    site: Importing, file: str, mode: str, segment: str
) -> None:
    await crowd(site)
    before = await world(site)
    planned = await site.plan(file, mode, columns=COLUMNS, segment=segment)
    assert adds_up(planned.counts)
    assert await world(site) == before, "a plan writes nothing"
    plan = await site.lines(planned.id)
    done = await site.commit(planned)
    assert done.counts.get("refused", 0) == 0
    writes = [row for row in plan.values() if row.outcome in {"create", "update"}]
    after = await world(site)
    lines = await site.lines(done.id)
    assert {n: (row.outcome, row.changes) for n, row in lines.items()} == {
        n: (row.outcome, row.changes) for n, row in plan.items()
    }
    assert_contacts(before["contacts"], after["contacts"], writes, done.id)
    assert_addresses(before, after, writes)
    assert_memberships(before, after, writes)
    assert_companies(before, after, writes)


def assert_contacts(
    before: dict[str, Any], after: dict[str, Any], writes: list[Any], import_id: str
) -> None:
    made = {row.contact_id for row in writes if row.outcome == "create"}
    assert set(after) == set(before) | made
    planned = {row.contact_id: row for row in writes}
    assert len(planned) == len(writes), "no contact twice"
    for contact_id, now in after.items():
        if contact_id not in planned:
            assert now == before[contact_id]
            continue
        row = planned[contact_id]
        was = before.get(contact_id) or blank(now, row.changes["email"])
        expected, fields = {**was, "attributes": dict(was["attributes"])}, {}
        fields = row.changes.get("fields", {})
        for target, (old, new) in fields.items():
            key = target.removeprefix("attributes.")
            place = expected if key == target else expected["attributes"]
            assert place.get(key) == value_of(target, old) or target in TIMES, target
            place[key] = value_of(target, new)
        attributes = expected["attributes"]
        expected["attributes"] = {k: v for k, v in attributes.items() if v is not None}
        if "segments" in row.changes:
            owners_before, owners = row.changes["segments"]
            assert owners_before == was["segment_sources"]
            expected |= {"segment_sources": owners, "segments": shown_segments(owners)}
        told = {t: (s["source"], s["by"]) for t, s in now["field_sources"].items() if t in fields}
        for target, (source, by) in told.items():
            assert by == import_id
            assert source == "csv" or (source, target) == ("inferred", "name")
        assert set(told) == set(fields), "each field knows who wrote it"
        others = {t: s for t, s in was["field_sources"].items() if t not in fields}
        expected["field_sources"] = others | {t: now["field_sources"][t] for t in fields}
        assert now == expected


TIMES = {"signed_up_at", "last_active_at"}


def blank(now: dict[str, Any], email: str) -> dict[str, Any]:
    """A contact of whom nothing is known but the address."""
    given = {"website_id", "id", "created_at", "version_ms", "observed_ms", "seen_ms"}
    empty: dict[str, Any] = {name: now[name] if name in given else None for name in now}
    empty |= {"attributes": {}, "segments": [], "segment_sources": {}, "field_sources": {}}
    return empty | {"crisp_fields": {}, "field_versions": {}, "email": email, "source": "csv"}


def assert_addresses(before: World, after: World, writes: list[Any]) -> None:
    new = [
        after["contact_emails"][k]
        for k in set(after["contact_emails"]) - set(before["contact_emails"])
    ]
    assert not set(before["contact_emails"]) - set(after["contact_emails"])
    told = {(row.contact_id, row.email_norm) for row in writes if row.outcome == "create"}
    assert {(row["contact_id"], row["email_norm"]) for row in new} == told


def key_of(company: dict[str, Any]) -> tuple[str, str]:
    if company["domain"]:
        return ("domain", company["domain"])
    return ("name", normal_company_name(company["name"]))


def assert_memberships(before: World, after: World, writes: list[Any]) -> None:
    told = [(row, row.changes["company"]) for row in writes if row.changes.get("company")]
    opened = {c["opened"]: (row, c) for row, c in told if c["joins"]}
    closed = {one for _, c in told for one in c["closes"]}
    was, now = before["contact_companies"], after["contact_companies"]
    assert set(now) == set(was) | set(opened)
    owners = {
        (row["kind"], row["value"]): row["company_id"] for row in after["company_aliases"].values()
    }
    for own_id, link in now.items():
        if own_id in opened:
            row, company = opened[own_id]
            assert link["contact_id"] == row.contact_id
            assert link["company_id"] == owners[key_of(company)]
            assert (link["source"], link["until"]) == ("csv", None)
            assert link["replaced_another"] == bool(company["closes"])
        elif own_id in closed:
            assert (was[own_id]["until"], link["until"] is None) == (None, False)
            assert {**link, "until": None} == was[own_id]
        else:
            assert link == was[own_id]


def assert_companies(before: World, after: World, writes: list[Any]) -> None:
    """Those that rows name are made, described, and get the domain that a row knows; no other changes."""
    told = [row.changes["company"] for row in writes if row.changes.get("company")]
    owners = {
        (row["kind"], row["value"]): row["company_id"] for row in after["company_aliases"].values()
    }
    named: dict[str, list[dict[str, Any]]] = {}
    for company in told:
        if company["name"] or company["domain"]:
            named.setdefault(owners[key_of(company)], []).append(company)
    was, now = before["companies"], after["companies"]
    assert set(was) <= set(now)
    assert set(now) - set(was) <= set(named), "none is made that no row names"
    for own_id, company in now.items():
        rows = named.get(own_id, [])
        described = [c["described"][1] for c in rows if c["described"]]
        earlier = was.get(own_id)
        if not rows:
            assert company == earlier
            continue
        assert len(described) <= 1, "the first row that names it describes it"
        attributes = dict(earlier["attributes"]) if earlier else {}
        if described:
            attributes["description"] = described[0]
        assert company["attributes"] == attributes
        domains = {c["domain"] for c in rows} | {earlier["domain"] if earlier else None}
        assert company["domain"] in domains
        names = {c["name"] or c["domain"] for c in rows} if earlier is None else {earlier["name"]}
        assert company["name"] in names
        changing = {"attributes", "domain"}
        if earlier is not None:
            assert {k: v for k, v in company.items() if k not in changing} == {
                k: v for k, v in earlier.items() if k not in changing
            }


@SOME
@given(file=FILES, mode=MODES, segment=SEGMENT_FOR_ALL)
async def test_the_same_file_again_changes_nothing(
    site: Importing, file: str, mode: str, segment: str
) -> None:
    """Who is there already is skipped by `create-only`, who is not by `update-only`; the rest is unchanged."""
    await crowd(site)
    first = await site.run(file, mode, columns=COLUMNS, segment=segment)
    before = await world(site)
    again = await site.plan(file, mode, columns=COLUMNS, segment=segment)
    counts = again.counts
    assert (counts.get("create", 0), counts.get("update", 0)) == (0, 0), (
        mode,
        segment,
        file,
        [one.changes for one in (await site.lines(again.id)).values()],
    )
    assert counts.get("error", 0) == first.counts.get("error", 0)
    good = counts["rows"] - counts.get("error", 0)
    if mode == "create-only":
        assert counts.get("skip", 0) == good
    else:
        assert counts.get("unchanged", 0) == good - first.counts.get("skip", 0)
        assert mode == "update-only" or counts.get("unchanged", 0) == good
    done = await site.commit(again)
    assert (done.counts["created"], done.counts["updated"]) == (0, 0)
    assert await world(site) == before
