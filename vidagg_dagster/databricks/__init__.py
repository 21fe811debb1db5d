"""What only Databricks needs: compute, the workspace's API, the wheel and the set-up's checks."""
