"""Whose conversation is it: the people id first, the e-mail address second, never a guess (SPEC M)."""
