"""The JSON API, version 1: everything the pages show, for programs (CONTRACT, HTTP; docs/api.md)."""
