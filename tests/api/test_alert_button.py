"""The test button of alerts, pressed by a program (SPEC V7, V9)."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.alerts.receiving import receiving_mail
from tests.alerts.test_alerts import settings_of
from tests.api.conftest import Api


# The server in the test wants a password without TLS, on loopback.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_the_button_over_the_api_sends_a_mail_and_tells_why_none_arrived(api: Api) -> None:
    wanted = {"kind": "email", "address": "team@acme.example"}
    made = await api.ask("admin-all", "POST", "/alerts/targets", json=wanted)
    path = f"/alerts/targets/{made.json()['id']}/test"
    state = api.whole.state
    answer = await api.ask("admin-all", "POST", path)
    assert answer.json()["arrived"] is False
    assert "SMTP_URL" in answer.json()["reason"]
    with receiving_mail() as mails:
        state.settings = settings_of(smtp_url=SecretStr(mails.url))
        answer = await api.ask("admin-all", "POST", path)
        assert answer.json() == {"arrived": True, "reason": None}
        (mail,) = mails.got
        assert "This is a test" in mail["Subject"]
        mails.refuse = True
        answer = await api.ask("admin-all", "POST", path)
        assert (answer.status_code, answer.json()["arrived"]) == (200, False)
        assert answer.json()["reason"] == "The mail server refused the address (550)."
        assert (await api.ask("member-all", "POST", path)).status_code == 403
        assert len(mails.got) == 1
