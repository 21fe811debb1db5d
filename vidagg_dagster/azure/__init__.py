"""Azure: the definitions as KQL for Log Analytics and Application Insights, and its checker."""
