"""Programs that compute the same lifetime rows from the same files, each in its own way."""
