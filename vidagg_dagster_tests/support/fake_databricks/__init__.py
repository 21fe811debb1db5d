"""A Databricks workspace on the loopback address that really runs what is submitted to it.

The real SDK and the real Pipes client speak to it. It knows the few routes that they use and
answers 404 to all others. It checks submissions against the SDK's own types. A submitted wheel
task is a process that finds the wheel and Spark, but not Dagster. Whether Databricks itself behaves
so, these tests cannot show: databricks/test_live.py does.
"""
