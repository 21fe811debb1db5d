"""How likely a viewer completes a video: a table, and a model where it beats the table."""
