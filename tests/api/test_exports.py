"""Exports over the API: whole files, for whoever has a token (SPEC V4, FAILURES case 102)."""

from app.published.export import NOUNS
from tests.api.conftest import Api, some_rows
from tests.published.test_export import exported


async def test_the_api_streams_what_the_command_writes(api: Api) -> None:
    await some_rows(api.here, "acme")
    for noun in NOUNS:
        answer = await api.get("viewer", f"/exports/{noun}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == f'attachment; filename="{noun}.csv"'
        assert answer.text == await exported(api.here.db, noun)
    lines = await api.get("viewer", "/exports/messages?format=jsonl&include=notes")
    assert len(lines.text.splitlines()) == 4
    # FAILURES case 102: a link alone opens nothing.
    assert (await api.get(None, "/exports/contacts")).status_code == 401
    assert (await api.get("viewer-none", "/exports/contacts")).status_code == 422
    assert (await api.get("viewer", "/exports/secrets")).status_code == 422
    assert (await api.get("viewer", "/exports/contacts?format=xlsx")).status_code == 422
