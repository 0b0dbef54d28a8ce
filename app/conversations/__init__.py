"""Conversations, their messages, the operators who answer, and which companies they belong to."""
