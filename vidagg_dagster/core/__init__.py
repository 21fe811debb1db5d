"""Ground floor: words, parameters, schemas and contracts. No Spark, no Dagster, no I/O."""
