"""What SQLite plans by: the statistics of a typical database, written once, the same everywhere.

Without any, SQLite takes every index of a table for equally good: the accounts at risk among 200,000
conversations took two minutes. Its own ANALYZE would hold the writer for seconds, make plans change
from one day to the next, and is not seen by connections that are open. Statistics of a prototype are what
sqlite.org/queryplanner-ng.html (section 4.1) recommends instead.

Here: fifty websites with 4,000 conversations and 40,000 messages each.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.engine import Connection

TYPICAL: Mapping[str, str] = {
    "ix_companies_merged_into": "200 4 1",
    "ix_companies_website_id_name_id": "3000 60 1 1",
    "sqlite_autoindex_companies_1": "3000 60 1",
    "ix_company_aliases_website_id_company_id": "6000 120 2",
    "sqlite_autoindex_company_aliases_1": "6000 120 60 1",
    "ix_contact_companies_current": "40000 800 1 1",
    "ix_contact_companies_own_contact": "200 4 1",
    "ix_contact_companies_website_id_company_id": "40000 800 17",
    "ix_contact_companies_website_id_contact_id": "40000 800 1",
    "sqlite_autoindex_contact_companies_1": "40000 800 1",
    "ix_contact_emails_website_id_contact_id": "50000 1000 1",
    "sqlite_autoindex_contact_emails_1": "50000 1000 1 1",
    "ix_contacts_figures": "50000 1000 500 500 1",
    "ix_contacts_merged_into": "200 4 1",
    "ix_contacts_name_words": "50000 1000 1 1",
    "ix_contacts_refresh_due": "200 4 1",
    "ix_contacts_website_id_last_active_at_id": "50000 1000 1 1",
    "ix_contacts_website_id_name_id": "50000 1000 1 1",
    "sqlite_autoindex_contacts_1": "50000 1000 1",
    "sqlite_autoindex_contacts_2": "50000 1000 1",
    "ix_conversation_companies_website_id_company_id": "150000 3000 60",
    "sqlite_autoindex_conversation_companies_1": "150000 3000 1 1",
    "ix_conversations_figures": "200000 4000 1300 260 130 4 4 4",
    "ix_conversations_messages_due": "500 10 1",
    "ix_conversations_rated": "10000 200 1",
    "ix_conversations_refresh_due": "500 10 1",
    "ix_conversations_unmatched": "20000 400 130 1 1 1 1 1 1 1",
    "ix_conversations_unmatched_domain": "20000 400 130 10 1 1",
    "ix_conversations_website_id_contact_id_crisp_updated_at": "200000 4000 4 1",
    "ix_conversations_website_id_crisp_created_at_id": "200000 4000 1 1",
    "ix_conversations_website_id_crisp_updated_at_id": "200000 4000 1 1",
    "ix_conversations_website_id_email_norm": "200000 4000 4",
    "ix_conversations_website_id_message_count_id": "200000 4000 200 1",
    "ix_conversations_website_id_people_id": "200000 4000 4",
    "sqlite_autoindex_conversations_1": "200000 4000 1",
    "sqlite_autoindex_conversations_2": "200000 4000 1",
    "sqlite_autoindex_link_decisions_1": "1000 20 1 1",
    "sqlite_autoindex_messages_1": "2000000 40000 10 1",
    "ix_thread_facts_waiting": "10000 200 1",
    "sqlite_autoindex_thread_facts_1": "200000 4000 1",
}
"""By index: rows, and how many of them have the same first column, first two columns, and so on."""


def write_typical_statistics(connection: Connection) -> None:
    """In place of whatever is there; a connection that is opened afterwards plans by it."""
    # Makes the table for them; one row of each index is enough.
    connection.exec_driver_sql("PRAGMA analysis_limit = 1")
    connection.exec_driver_sql("ANALYZE")
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    connection.execute(
        text(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat)"
            " SELECT tbl_name, name, :stat FROM sqlite_master WHERE type = 'index' AND name = :name"
        ),
        [{"name": name, "stat": stat} for name, stat in TYPICAL.items()],
    )
