"""All that knows Crisp: how to ask, how often, what its answers mean. Read-only (SPEC P1)."""
