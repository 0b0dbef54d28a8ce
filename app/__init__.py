"""crispsync: a Crisp website's people, conversations and messages, per contact and per company."""
