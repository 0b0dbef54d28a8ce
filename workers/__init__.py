"""Background work: an arq worker, or the same loop inside the web process."""
