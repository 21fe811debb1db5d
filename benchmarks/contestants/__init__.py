"""Programs that compute the same lifetime rows from the same files in different ways."""
