"""What is wrong, how one knows, and what to do about it (SPEC T1)."""
