"""The inbox of Crisp's web hooks."""
