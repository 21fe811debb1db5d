"""The probability that a viewer completes a video: a table, and a model where it beats the table."""
