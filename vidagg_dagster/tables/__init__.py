"""Rows kept: one interface over Delta tables in a folder and in a catalog."""
