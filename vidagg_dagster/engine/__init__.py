"""The event -> engagement arithmetic: pure PySpark DataFrame functions. Imports no Dagster."""
