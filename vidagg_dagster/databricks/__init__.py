"""Everything that only Databricks needs: jobs, compute, the wheel, and checks of the set-up."""
