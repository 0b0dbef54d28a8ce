"""A website with contacts of every kind, and files that meet them: for tests of what holds for every file.

async with importing(database_url, tmp_path) as site:
    await crowd(site)          # as often as wanted: what was there is gone
    done = await site.run(file, "merge", columns=COLUMNS)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.edits.memberships import Joining
from app.tables import metadata
from tests.edits.by_hand import made
from tests.imports.importing import Importing
from tests.ingesting import ms, person, talk

EXAMPLES = int(os.environ.get("CRISPSYNC_IMPORT_EXAMPLES", "6"))
SOME = settings(
    max_examples=EXAMPLES,
    # A smaller file that fails as well takes minutes to find.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
COLUMNS: Mapping[str, Any] = {
    "email": "email", "name": "name", "phone": "phone", "job title": "job_title",
    "company": "company_name", "website": "company_url", "description": "company_description",
    "country": "country", "segments": "segments", "created": "created", "active": "last_active",
    "plan": "data.plan", "seats": {"to": "data.seats", "type": "integer"},
    "vip": {"to": "data.vip", "type": "yes_no"},
    "level": {"to": "data.level", "type": "multi_choice", "choices": "low|high"},
}  # fmt: skip
CELLS = {
    # From Crisp, by hand (one of them by its second address), from an earlier file, of nobody yet, of two
    # contacts, none.
    "email": ["ann@x.example", "ANN@x.example", "bare@x.example", "bo@x.example", "bo2@x.example",
              "ida@x.example", "jo@x.example", "new@x.example", "newer@x.example", "both@x.example",
              "", "nonsense"],
    "name": ["", "Ada", "Bo", "=1+1"],
    "phone": ["", "+34651234567", "+34600000000"],
    "job title": ["", "Buyer", "Head"],
    "company": ["", "Acme", "Beta", "Acme Ltd", "Newco"],
    "website": ["", "", "acme.example", "beta.example"],
    "description": ["", "Anvils", "Other"],
    "country": ["", "DE", "Germany", "FR"],
    "segments": ["", "vip", "vip|beta", "own"],
    "created": ["", "2020-08-14", "1694070416123"],
    "active": ["", "2026-01-31T10:00:00Z"],
    "plan": ["", "pro", "free"],
    "seats": ["", "", "3", "3", "5", "5", "07"],
    "vip": ["", "yes", "no"],
    "level": ["", "low", "high|low"],
}  # fmt: skip
MODES = st.sampled_from(["merge", "overwrite", "fill-empty", "create-only", "update-only"])
SEGMENT_FOR_ALL = st.sampled_from(["", "spring"])
FILES = st.lists(
    st.tuples(*(st.sampled_from(cells) for cells in CELLS.values())), min_size=1, max_size=7
).map(lambda rows: "\n".join([",".join(CELLS), *(",".join(row) for row in rows)]) + "\n")

EARLIER = (
    "email,name,company,website,segments,plan,seats,job title\n"
    "ida@x.example,Ida,Beta,beta.example,vip|old,free,3,Buyer\njo@x.example,,,,,,,\n"
)
KEPT = ("websites", "plugin_secrets", "alembic_version")


async def crowd(site: Importing) -> None:
    """Nobody but ann, bare, by (from Crisp), bo, two of one address (by hand), ida and jo (from a file)."""
    for table in reversed(metadata.sorted_tables):
        if table.name not in KEPT and "website_id" in table.c:
            await site.execute(delete(table).where(table.c.website_id == site.id))
    await site.take(
        person("ann", email="ann@x.example", segments=["own", "vip"], company={"name": "Acme"},
               person={"nickname": "Ann", "phone": "+34 600 000 000",
                       "employment": {"title": "Boss", "name": "Acme"}}, active={"last": ms(-3)}),
        person("bare", email="bare@x.example"),
        person("by", email="by@x.example", person={"nickname": "By"}, company={"name": "Beta"}),
        talk("of-new", meta={"email": "new@x.example"}),
        talk("of-ann", people_id="ann"),
        talk("of-bo", meta={"email": "bo@x.example"}),
        talk("of-by", people_id="by"),
    )  # fmt: skip
    await made(
        site, [Joining("Acme")], name="Bo", emails="bo@x.example\nbo2@x.example", segments="vip",
        country="FR", **{"attributes.plan": "gold"},
    )  # fmt: skip
    for name in ("One", "Two"):
        await site.add_by_hand(name, "both@x.example")
    names = EARLIER.splitlines()[0].split(",")
    await site.run(EARLIER, columns={name: COLUMNS[name] for name in names})
