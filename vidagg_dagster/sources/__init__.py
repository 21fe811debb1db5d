"""Rows in: files, Delta tables and catalog tables, as one frame of text columns."""
