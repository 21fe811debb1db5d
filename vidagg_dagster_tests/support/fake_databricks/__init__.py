"""A Databricks workspace on the loopback address that really runs what is submitted to it.

The real SDK and the real Pipes client speak to it. It knows the few routes that they use and
answers 404 to all others; what is submitted is held against the SDK's own types. A submitted wheel
task is a process that finds the wheel, Spark and nothing of Dagster. What it cannot show is whether
Databricks itself behaves so.
"""
