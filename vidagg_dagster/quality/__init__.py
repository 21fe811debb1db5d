"""Validation rules and the daily quality report."""
