"""The forms by which a person merges, takes back, deletes, restores, pins, denies and moves (issue 5)."""

import re

import httpx
import pytest

from app.accounts.actors import Role
from app.records import conversation_id
from tests.edits.merging import company
from tests.fixtures.people import log_in_as
from tests.ingesting import Site, connected, person, talk
from tests.pages.conftest import ORIGIN, Stand, pages_app


def browser(site: Site) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=pages_app(site.db, Stand()), raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, follow_redirects=True)


async def two_of_each(site: Site) -> None:
    await site.take(
        person("ann", email="ann@a.example", person={"nickname": "Ann"},
               company={"name": "Acme", "domain": "acme.example"}),
        person("ben", email="ben@b.example", person={"nickname": "Ben <b>", "phone": "+49 1"},
               company={"name": "Bees", "domain": "bees.example"}),
        talk("s", people_id="ann"), talk("t", people_id="ben"),
    )  # fmt: skip


# SPEC D6
@pytest.mark.parametrize("folder", ["contacts", "companies"])
async def test_two_are_merged_side_by_side_and_taken_back(database_url: str, folder: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await two_of_each(site)
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        if folder == "contacts":
            a, b = (await site.contact("ann")).id, (await site.contact("ben")).id
        else:
            a, b = (await company(site, "Acme")).id, (await company(site, "Bees")).id
        found = await web.get(f"/{folder}/{a}/merge", params={"q": "be"})
        assert f"/{folder}/{a}/merge?other={b}" in found.text
        side = await web.get(f"/{folder}/{a}/merge", params={"other": b})
        assert 'name="take" value="name"' in side.text
        assert "<b>" not in re.findall(r"Ben .{0,12}", side.text + "Ben ")[0]
        done = await web.post(f"/{folder}/{a}/merge", data={"other": b, "take": ["name"]})
        assert done.status_code == 200
        undo = re.findall(r"/merges/[0-9a-f-]{36}/undo", done.text)[0]
        assert "Merged" in (await web.get(f"/{folder}/{b}")).text
        listed = (await web.get(f"/{folder}")).text
        assert f"/{folder}/{a}" in listed
        assert f'href="/{folder}/{b}"' not in listed
        assert "has again what belongs to it" in (await web.post(undo)).text
        assert f'href="/{folder}/{b}"' in (await web.get(f"/{folder}")).text
        assert (await web.post(undo)).status_code == 404


# SPEC I12
@pytest.mark.parametrize("folder", ["contacts", "companies"])
async def test_one_is_deleted_and_restored(database_url: str, folder: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await two_of_each(site)
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        row = await site.contact("ann") if folder == "contacts" else await company(site, "Acme")
        gone = await web.post(f"/{folder}/{row.id}/delete")
        assert "Restore" in gone.text
        assert f'href="/{folder}/{row.id}"' not in (await web.get(f"/{folder}")).text
        assert "Restore" not in (await web.post(f"/{folder}/{row.id}/restore")).text
        assert await site.companies_of_talk("s") == ["Acme"]


# SPEC M6
async def test_a_link_is_pinned_denied_moved_and_released(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await two_of_each(site)
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        here = f"/conversations/{conversation_id(site.id, 's')}"
        ann, ben = (await site.contact("ann")).id, (await site.contact("ben")).id
        assert ben in (await web.get(f"{here}/move", params={"q": "ben"})).text
        moved = await web.post(f"{here}/link", data={"contact_id": ben, "decision": "pin"})
        assert "Pinned to" in moved.text
        assert await site.owner("s") == "ben"
        await web.post(f"{here}/link", data={"contact_id": ben, "decision": "release"})
        assert await site.owner("s") == "ann"
        denied = await web.post(f"{here}/link", data={"contact_id": ann, "decision": "deny"})
        assert "Link to a contact" in denied.text
        nonsense = await web.post(f"{here}/link", data={"contact_id": ann, "decision": "maybe"})
        assert nonsense.status_code == 422


async def test_a_viewer_sees_no_forms_and_changes_nothing(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await two_of_each(site)
        (await log_in_as(site.db, Role.VIEWER, [site.id])).give(web)
        ann = (await site.contact("ann")).id
        assert f"/contacts/{ann}/merge" not in (await web.get(f"/contacts/{ann}")).text
        for path in (f"/contacts/{ann}/delete", "/merges/none/undo"):
            assert (await web.post(path)).status_code == 403
        assert (await web.get(f"/contacts/{ann}/merge")).status_code == 403
        assert (await site.contact("ann")).deleted_at is None
