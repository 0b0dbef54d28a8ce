"""Telling people and programs what is wrong, by e-mail and by signed outgoing web hooks (SPEC V9)."""
