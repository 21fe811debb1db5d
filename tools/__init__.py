"""Generators of reference pages. Not part of the wheel."""
