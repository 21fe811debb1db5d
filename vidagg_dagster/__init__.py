"""Exact video engagement from raw player events, orchestrated by Dagster and computed by Spark."""
