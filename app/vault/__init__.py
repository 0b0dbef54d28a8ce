"""What nobody may read in a copy of the database: sealed with a key from outside it (SPEC P2)."""
