"""Figures for customer success, from what is stored (docs/insights.md)."""
