"""Every table of the schema, imported so that Alembic and the tests see all of them."""

from __future__ import annotations

from app.accounts.replies import api_replies
from app.accounts.saved_views import saved_views
from app.accounts.tables import (
    api_tokens,
    audit_log,
    known_browsers,
    login_tries,
    password_links,
    sessions,
    token_grants,
    users,
    website_grants,
)
from app.alerts.tables import alert_messages, alert_targets, alerts
from app.companies.tables import companies, company_aliases, contact_companies, domain_ties
from app.contacts.tables import contact_emails, contacts, custom_attributes, erased_identities
from app.conversations.tables import (
    conversation_companies,
    conversations,
    link_decisions,
    messages,
    operators,
)
from app.crisp.tables import quota_pauses, quota_usage, scope_outcomes
from app.db.base import metadata
from app.db.changes import change_batches, change_counters
from app.db.turns import turns
from app.edits.tables import remedies, remedy_rows
from app.imports.tables import import_companies, import_mappings, import_rows, imports
from app.insights.tables import thread_facts, thread_facts_places
from app.matching.tables import left_alone, merges
from app.privacy.tables import purges
from app.sync.tables import audit_findings, sync_failures, sync_runs, working_processes
from app.vault.tables import sealed_secrets
from app.webhooks.tables import inbox_events
from app.websites.tables import websites

__all__ = [
    "alert_messages",
    "alert_targets",
    "alerts",
    "api_replies",
    "api_tokens",
    "audit_findings",
    "audit_log",
    "change_batches",
    "change_counters",
    "companies",
    "company_aliases",
    "contact_companies",
    "contact_emails",
    "contacts",
    "conversation_companies",
    "conversations",
    "custom_attributes",
    "domain_ties",
    "erased_identities",
    "import_companies",
    "import_mappings",
    "import_rows",
    "imports",
    "inbox_events",
    "known_browsers",
    "left_alone",
    "link_decisions",
    "login_tries",
    "merges",
    "messages",
    "metadata",
    "operators",
    "password_links",
    "purges",
    "quota_pauses",
    "quota_usage",
    "remedies",
    "remedy_rows",
    "saved_views",
    "scope_outcomes",
    "sealed_secrets",
    "sessions",
    "sync_failures",
    "sync_runs",
    "thread_facts",
    "thread_facts_places",
    "token_grants",
    "turns",
    "users",
    "website_grants",
    "websites",
    "working_processes",
]
