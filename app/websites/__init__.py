"""The installed Crisp websites: connecting, verifying, settings."""
