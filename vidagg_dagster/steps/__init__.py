"""The seam that decides where a step runs: one request, one result, several runners."""
