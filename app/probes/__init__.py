"""What a supervisor and a monitor ask: alive, ready, and in figures."""
