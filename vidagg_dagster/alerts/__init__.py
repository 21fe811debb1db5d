"""Who is told of what: causes found in Dagster's history, messages, channels, an outbox."""
