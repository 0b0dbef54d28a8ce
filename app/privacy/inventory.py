"""Where personal data stands, and where none does: every text, JSON and bytes column of the schema.

tests/privacy/test_inventory.py fails for a column that is in none of the three. A new table: rows that
belong to one contact or conversation by a foreign key with ON DELETE CASCADE go into OWN; what may
mention a person goes into MENTIONS, with what becomes of it; what holds nothing of a person into FREE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

OWN = frozenset(
    {
        "contacts",
        "contact_emails",
        "contact_companies",
        "conversations",
        "conversation_companies",
        "left_alone",
        "link_decisions",
        "messages",
        "thread_facts",
    }
)
"""Rows of one person, deleted; what stands of them in other people's is app/privacy/mentions.py's."""

EMPTIED = frozenset({"api_replies"})
"""Kept for a day, and nobody can tell whom an answer is about: emptied with every erasure."""

BY_CODE = frozenset(
    {
        # app/webhooks/erased.py looks into every raw hook.
        "inbox_events.body",
        "inbox_events.error",
        # app/privacy/uploads.py: the line stays, so that the totals add up.
        *(
            f"import_rows.{name}"
            for name in ("email_norm", "contact_id", "changes", "problems", "cells", "basis")
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Mention:
    """Rows in which one of `columns` names the person. `what`: the row goes, or only those columns."""

    columns: tuple[str, ...]
    what: Literal["delete", "empty"]


MENTIONS: Mapping[str, Mention] = {
    "audit_log": Mention(("before", "after"), "empty"),
    "sync_failures": Mention(("external_id", "reason"), "delete"),
    "audit_findings": Mention(("external_id",), "delete"),
    "saved_views": Mention(("name", "query"), "delete"),
    "imports": Mention(("error",), "empty"),
    "remedies": Mention(("contact_id",), "empty"),
    "remedy_rows": Mention(("key", "before", "after"), "delete"),
    "merges": Mention(("loser_id", "winner_id", "fields"), "delete"),
}

_IMPORTS = "id state mode counts created_by request_id file layout columns options repairs plan_hash checkpoint"
FREE: Mapping[str, frozenset[str]] = {
    table: frozenset(columns.split())
    for table, columns in {
        # Ids, states and numbers; who of the team did it.
        "audit_log": "id website_id actor_kind actor_id actor_name action subject_kind subject_id request_id",
        "sync_failures": "website_id run_id kind",
        "audit_findings": "website_id run_id kind what missed_by",
        "saved_views": "website_id id owner_id list",
        "sync_runs": "website_id id kind state asked started_by request_id counts checkpoint error lease_owner",
        "inbox_events": "id website_id event state",
        "import_rows": "website_id import_id outcome state company_id company_key",
        "imports": f"website_id kind lease_owner file_name {_IMPORTS}",
        "change_batches": "website_id kind ids",
        "change_counters": "website_id",
        "hook_days": "website_id event day delays",
        "hook_refusals": "cause",
        "missed_hooks": "website_id day kind",
        "quota_usage": "credential day website_id purpose",
        "quota_pauses": "credential reason",
        "scope_outcomes": "credential scope",
        "turns": "name",
        "purges": "kind",
        "working_processes": "name",
        # A company is no person; the team is not who writes to it.
        "companies": "website_id id name domain attributes search crisp_name merged_into owner_id owner_name field_sources",
        "company_aliases": "website_id kind value company_id own_company_id",
        "domain_ties": "website_id domain company_id own_company_id tied_by",
        "merges": "website_id id kind merged_by undone_by",
        "remedies": "website_id id kind reason domain company_id counts done_by undone_by kept",
        "remedy_rows": "website_id remedy_id what",
        "import_companies": "website_id import_id company_id before after aliases",
        "operators": "website_id user_id name email role",
        "users": "id email name role password_hash",
        "known_browsers": "user_id browser_hash",
        "sessions": "id_hash kind user_id website_id",
        "website_grants": "website_id user_id",
        "api_tokens": "id name prefix token_hash scope created_by",
        "token_grants": "website_id token_id",
        "password_links": "token_hash user_id",
        "login_tries": "key",
        # What is wrong with the service, in its own words; the team's addresses.
        "alerts": "id condition website_id cause evidence",
        "alert_targets": "id website_id kind address created_by disabled",
        "alert_messages": "id alert_id target_id website_id payload state error",
        # Settings, and names of columns and attributes.
        "thread_facts_places": "website_id hours rebuilt_to",
        "websites": "id name domain status attention mapping time_zone business_hours rescanned_on "
        "rolling_read",
        "custom_attributes": "website_id key type choices created_by",
        "import_mappings": "website_id name kind columns options created_by",
        # Sealed, hashed.
        "sealed_secrets": "website_id field key_id sealed",
        "erased_identities": "website_id digest request_id",
    }.items()
}
