"""The Dagster layer: assets, checks, partitions, jobs, schedules, sensors."""
