"""What other programs get: each noun in one shape, for the API, the change feed and exports."""
