"""The server-rendered pages: read the tables, write nothing; what changes something asks app.sync."""
