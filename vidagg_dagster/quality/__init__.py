"""Validation rules, their evaluation, and the daily quality report."""
