"""Contacts: people from Crisp, from CSV files or entered by hand."""
