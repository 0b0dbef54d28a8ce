"""One person: everything stored about them, handed out or erased; and how long what is kept (SPEC P6, P8)."""
