"""The database: the same meaning on SQLite and PostgreSQL."""
