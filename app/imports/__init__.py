"""Contacts from CSV files."""
