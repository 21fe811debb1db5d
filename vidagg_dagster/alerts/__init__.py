"""Alerts: causes found in Dagster's history, messages, channels, and an outbox."""
