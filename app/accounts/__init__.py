"""Who may do what, and what was done by whom: users, sessions, tokens, roles, the audit log."""
