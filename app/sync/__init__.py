"""Pulling a website from Crisp: runs, windows, people, conversations, messages."""
